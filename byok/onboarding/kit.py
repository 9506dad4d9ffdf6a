"""Everything that a customer receives before creating the keys, for one Region (contract 15-27)."""

import re
from dataclasses import dataclass
from typing import Any, Final, Self

from byok.domain.arns import KeyPair, KeyPurpose, account_id_of_role, check_key_arns, partition_of_region
from byok.domain.aws_console import cloudshell_url, console_url, create_key_url, quick_create_url
from byok.domain.customer_aws import DEFAULT_PROFILE, STACK_NAME_PATTERN
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements
from byok.domain.onboarding.customer_commands import (
    KEYS_TEMPLATE_FILE,
    TENANT_ROLE_TEMPLATE_FILE,
    CustomerCommands,
)
from byok.domain.vendor import VendorProfile

PREREQUISITES: Final = (
    "Your own AWS account, in which you create the keys.",
    "IAM permission to create KMS keys in that account.",
)
"""The prerequisites for the customer (contract 2, 3)."""

KEY_LOSS_WARNINGS: Final = (
    "Disabling or deleting a key makes the data inaccessible.",
    "KMS deletes a key only after a waiting period of 7 to 30 days, during which you can cancel the deletion.",
)
"""The consequences of disabling or deleting a key (contract 111, 112)."""

WARNINGS: Final = (
    *KEY_LOSS_WARNINGS,
    "Never remove or change the statements that AWS adds to a key policy, because without these statements you may "
    "no longer be able to change the key.",
)
"""The warnings for the customer (contract 56, 111, 112)."""


@dataclass(frozen=True)
class OnboardingKit:
    """The values, statements and commands for one onboarding.

    Attributes:
        platform_role_arn: The platform role, the only platform principal in any statement (contract 16, 17).
        platform_account: The account of the platform role, taken from the ARN (D3).
        region: The environment's Region (contract 18).
        vendor: The vendor's names.
        commands: The customer's AWS CLI commands, which include the customer's profile and stack name.
        keys: The ARNs of both keys, once they are known.
        external_id: The external id of the customer's organisation, which the platform passes when it assumes the
            optional tenant role. None until the keys are known, because the customer cannot create the role before the
            keys.
        template_url: The address of the key template in S3; None if the vendor has not uploaded the template.
    """

    platform_role_arn: str
    platform_account: str
    region: str
    vendor: VendorProfile
    commands: CustomerCommands
    keys: KeyPair | None
    external_id: str | None = None
    template_url: str | None = None

    @classmethod
    def for_region(
        cls,
        platform_role_arn: str,
        region: str,
        vendor: VendorProfile,
        *,
        stack_name: str,
        profile: str = DEFAULT_PROFILE,
        keys: KeyPair | None = None,
        organisation: str | None = None,
        template_url: str | None = None,
    ) -> Self:
        """Build the kit for a Region.

        Raises:
            ValueError: The role ARN is invalid, the role and the Region are in different partitions, a key cannot be
                used in the Region, or the stack name is invalid.
        """
        partition = platform_role_arn.split(":")[1] if ":" in platform_role_arn else ""
        account = account_id_of_role(platform_role_arn)
        if partition != partition_of_region(region):
            raise ValueError(
                f"{region} is in partition {partition_of_region(region)}, but the platform role {platform_role_arn} "
                f"is in {partition}: a role cannot use keys in another partition."
            )
        if not re.fullmatch(STACK_NAME_PATTERN, stack_name):
            raise ValueError(
                f"{stack_name!r} is not a valid stack name: use letters, digits and hyphens, start with a letter, and "
                "use at most 128 characters."
            )
        wrong = check_key_arns(keys, region, account) if keys else []
        if wrong:
            raise ValueError(wrong[0].message)
        commands = CustomerCommands(platform_role_arn, region, vendor, stack_name, profile, organisation)
        return cls(platform_role_arn, account, region, vendor, commands, keys, template_url=template_url)

    @property
    def organisation(self) -> str | None:
        """The organisation that will own the environment; None for the vendor."""
        return self.commands.organisation

    @property
    def launch_stack_url(self) -> str | None:
        """The URL of the console page that creates both keys, with all values filled in.

        None if the vendor has not uploaded the template, or if the Region's partition has no public console.
        """
        if self.template_url is None:
            return None
        return quick_create_url(
            self.region, self.template_url, self.commands.stack_name, self.commands.stack_parameters()
        )

    @property
    def create_stack_url(self) -> str | None:
        """The URL of the console page for uploading a template; None if there is no public console."""
        return console_url(self.region, "cloudformation/home#/stacks/create")

    @property
    def create_key_url(self) -> str | None:
        """The URL of the console page for creating a key; None if there is no public console."""
        return create_key_url(self.region)

    @property
    def cloudshell_url(self) -> str | None:
        """The URL of AWS CloudShell in the Region; None if there is no public console."""
        return cloudshell_url(self.region)

    def statements_for_key(self, which: KeyPurpose) -> list[Statement]:
        """Return the statements for one of the two keys, ready to paste (contract 26, 27)."""
        return build_key_statements(
            which,
            StatementParameters.for_platform_role(self.platform_role_arn, self.region, self.organisation),
            self.vendor,
        )

    def tenant_role_commands(self) -> tuple[str, str] | None:
        """Return the commands that create the optional role and print the role's ARN (D11).

        Return None until the keys are known.
        """
        if self.keys is None or self.external_id is None:
            return None
        return self.commands.deploy_tenant_role_command(
            self.keys, self.external_id
        ), self.commands.print_tenant_role_arn_command()

    def as_json_dict(self) -> dict[str, Any]:
        """Return the kit as a JSON-compatible dict."""
        deploy_role, role_arn = self.tenant_role_commands() or (None, None)
        return {
            "platform_role_arn": self.platform_role_arn,
            "platform_account": self.platform_account,
            "region": self.region,
            "organisation": self.organisation,
            "template_file": KEYS_TEMPLATE_FILE,
            "tenant_role_file": TENANT_ROLE_TEMPLATE_FILE,
            "stack_name": self.commands.stack_name,
            "launch_stack_url": self.launch_stack_url,
            "external_id": self.external_id,
            "statements": {which.value: self.statements_for_key(which) for which in KeyPurpose},
            "commands": {
                "deploy": self.commands.deploy_keys_command(),
                "payload": self.commands.print_payload_command(),
                "create_keys": self.commands.create_keys_commands(),
                "deploy_tenant_role": deploy_role,
                "tenant_role_arn": role_arn,
            },
            "prerequisites": list(PREREQUISITES),
            "warnings": list(WARNINGS),
        }
