"""The customer in the local stack, who creates pairs of KMS keys from the templates for customers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from byok.domain.arns import KeyPair
from byok.domain.onboarding.customer_commands import ORGANISATION_PARAMETER, TENANT_ROLE_ARN_OUTPUT
from byok.domain.onboarding.payload import RDS_KEY_FIELD, S3_KEY_FIELD, parse_payload
from byok.domain.vendor import VendorProfile
from byok.onboarding.template import render_keys_template
from byok.onboarding.tenant_role import render_tenant_role_template

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import WaiterConfigTypeDef
    from mypy_boto3_kms import KMSClient


@dataclass(frozen=True)
class Customer:
    """The customer, who owns the keys and lets the platform use them through S3 and RDS.

    Attributes:
        kms: A KMS client with the customer's credentials.
        cloudformation: A CloudFormation client with the customer's credentials.
        platform_role_arn: The platform role, to which the key policies grant access.
        region: The Region of the keys.
        vendor: The vendor's names.
    """

    kms: "KMSClient"
    cloudformation: "CloudFormationClient"
    platform_role_arn: str
    region: str
    vendor: VendorProfile

    def ensure_key_pair(self, name: str, organisation: str | None = None) -> KeyPair:
        """Return the key pair of the stack `byok-<name>`, and create the stack if it does not exist.

        Args:
            name: The name of the key pair.
            organisation: The organisation that will own the environment; None for the vendor.
        """
        given = {self.vendor.role_parameter_name: self.platform_role_arn, "PlatformRegion": self.region}
        if self.vendor.organisation_session_tag:
            given[ORGANISATION_PARAMETER] = organisation or ""
        outputs = self._ensure_stack(f"byok-{name}", render_keys_template(self.vendor), given)
        return KeyPair(**parse_payload(outputs[self.vendor.payload_output_name]))

    def ensure_tenant_role(self, name: str, pair: KeyPair, external_id: str) -> str:
        """Return the ARN of the tenant role for a key pair. The role is created if it does not exist."""
        given = {
            self.vendor.role_parameter_name: self.platform_role_arn,
            S3_KEY_FIELD: pair.s3_key_arn,
            RDS_KEY_FIELD: pair.rds_key_arn,
            "ExternalId": external_id,
        }
        outputs = self._ensure_stack(f"byok-{name}-tenant-role", render_tenant_role_template(self.vendor), given)
        return outputs[TENANT_ROLE_ARN_OUTPUT]

    def read_aliases_and_tags(self, key_arn: str) -> tuple[list[str], dict[str, str]]:
        """Return a key's aliases and tags."""
        aliases = self.kms.list_aliases(KeyId=key_arn)["Aliases"]
        tags = self.kms.list_resource_tags(KeyId=key_arn)["Tags"]
        return [alias["AliasName"] for alias in aliases], {tag["TagKey"]: tag["TagValue"] for tag in tags}

    def disable_key(self, key_arn: str) -> None:
        """Disable a key, as a customer can at any time."""
        self.kms.disable_key(KeyId=key_arn)

    def enable_key(self, key_arn: str) -> None:
        """Enable a key again."""
        self.kms.enable_key(KeyId=key_arn)

    def _ensure_stack(self, name: str, template: str, given: dict[str, str]) -> dict[str, str]:
        """Return a stack's outputs; create the stack if it does not exist."""
        outputs = self._outputs(name)
        if outputs is None:
            self.cloudformation.create_stack(
                StackName=name,
                TemplateBody=template,
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given.items()],
                Capabilities=["CAPABILITY_IAM"],
            )
            waiting: WaiterConfigTypeDef = {"Delay": 1, "MaxAttempts": 60}
            self.cloudformation.get_waiter("stack_create_complete").wait(StackName=name, WaiterConfig=waiting)
            outputs = self._outputs(name)
        return outputs or {}

    def _outputs(self, name: str) -> dict[str, str] | None:
        try:
            (found,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":  # "Stack with id … does not exist"
                raise
            return None
        return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}
