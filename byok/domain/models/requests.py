"""The requests, which are the inputs of the workflows."""

from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from byok.domain.arns import KEY_ARN_MAX_LENGTH, ROLE_ARN_PATTERN, KeyPair
from byok.domain.customer_aws import DEFAULT_PROFILE, PROFILE_PATTERN, STACK_NAME_PATTERN
from byok.domain.models.base import RegionName, RequestModel
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.onboarding.payload import expand_payload_fields
from byok.domain.phases import OnFailure
from byok.domain.tenant import EXTERNAL_ID_PATTERN


class RegionRequest(RequestModel):
    """What every request about an environment or its keys contains.

    The model accepts the onboarding payload in place of either key ARN, and it accepts the payload's two fields
    alongside the other fields (contract 50).

    Attributes:
        region: The environment's AWS Region.
        key_grace_seconds: How long to retry an ambiguous access-denied error while a policy change propagates (D14).
        profile: The customer's AWS CLI profile in the commands of every remedy (contract 40, 130).
    """

    region: RegionName
    key_grace_seconds: int = Field(default=30, ge=0, le=300, strict=True)
    profile: str = Field(default=DEFAULT_PROFILE, pattern=PROFILE_PATTERN)

    @model_validator(mode="before")
    @classmethod
    def _take_the_payload_too(cls, values: Any) -> Any:
        return expand_payload_fields(values) if isinstance(values, dict) else values


class KeyPairRequest(RegionRequest):
    """What every request that uses the two keys says of them.

    This model does not validate the ARNs, because an invalid ARN results in a finding with a remedy, not in a malformed
    request.

    Attributes:
        s3_key_arn: Full ARN of the customer's key for S3.
        rds_key_arn: Full ARN of the customer's key for Aurora.
    """

    s3_key_arn: str = Field(min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str = Field(min_length=1, max_length=KEY_ARN_MAX_LENGTH)

    @property
    def key_pair(self) -> KeyPair:
        """The two ARNs as one value."""
        return KeyPair(self.s3_key_arn, self.rds_key_arn)


class CheckKeysRequest(KeyPairRequest):
    """The input of `CheckKeys`.

    Attributes:
        environment_id: The environment that the keys are for, if it is known. It may hold the keys already; a key that
            another environment holds is refused.
        prove_aurora_key: Whether to prove the Aurora key by a cluster without instances, which is then removed.
    """

    environment_id: str | None = Field(
        default=None, pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH
    )
    prove_aurora_key: bool = Field(default=False, strict=True)


class TenantRole(RequestModel):
    """The role in the customer's account that the worker assumes to put the tenant name on the keys (D11).

    Attributes:
        role_arn: The role's ARN.
        external_id: The external id that the role's trust policy requires. An external id is not a secret (IAM user
            guide, "Access to AWS accounts owned by third parties").
    """

    role_arn: str = Field(pattern=ROLE_ARN_PATTERN)
    external_id: str = Field(pattern=EXTERNAL_ID_PATTERN)


class ProvisionRequest(KeyPairRequest):
    """The input of `ProvisionEnvironment`.

    Attributes:
        environment_id: Lower-case letters, digits and single hyphens; part of every resource name.
        on_failure: Whether a stop keeps or removes the resources created so far (D9).
        tenant: The tenant name that the last phase puts on both keys; None if it is not known yet. An invalid name
            results in a finding, as an invalid ARN does.
        tenant_role: The role that the worker assumes to put the name on the keys. Without a role, byok returns the
            commands for the customer to run.
        stack_name: The CloudFormation stack in the customer's account that contains the keys. byok keeps the name with
            the environment, so that later commands update this stack (contract 130).
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    on_failure: OnFailure = OnFailure.KEEP
    tenant: str | None = Field(default=None, max_length=1024)
    tenant_role: TenantRole | None = None
    stack_name: str | None = Field(default=None, pattern=STACK_NAME_PATTERN)


class DeleteRequest(RegionRequest):
    """The input of `DeleteEnvironment`.

    AWS decides what the environment consists of. The workflow compares the Region and the keys with what AWS reports,
    and stops before it removes anything if they differ (contract 137).

    Attributes:
        environment_id: The id of the environment to delete.
        s3_key_arn: The environment's S3 key, if it is known.
        rds_key_arn: The environment's Aurora key, if it is known.
        confirm: The environment id again, to confirm the deletion of all the environment's resources.
        final_snapshot: Whether to take a snapshot of the cluster first. RDS encrypts the snapshot with the Aurora key.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    s3_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    confirm: str = Field(max_length=ENVIRONMENT_ID_MAX_LENGTH)
    final_snapshot: bool = True

    @field_validator("confirm")
    @classmethod
    def _require_confirmation(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("environment_id", value):
            raise ValueError("must repeat the environment id, to confirm that all its resources are deleted")
        return value


class ReconcileTenantRequest(KeyPairRequest):
    """The input of `ReconcileTenant`.

    Attributes:
        environment_id: The id of the environment that uses the keys.
        tenant: The tenant name.
        tenant_role: The role that the worker assumes. Without a role, byok changes nothing and returns the commands.
        repoint: Whether to repoint an alias that points at the environment's other key.
        commands_only: Whether to return the commands and change nothing, even if the request contains a role.
        stack_name: The CloudFormation stack of the keys, as in `ProvisionRequest`.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    tenant: str = Field(max_length=1024)
    tenant_role: TenantRole | None = None
    repoint: bool = False
    commands_only: bool = False
    stack_name: str | None = Field(default=None, pattern=STACK_NAME_PATTERN)


class ListClaimsRequest(RequestModel):
    """The input of `ListKeyClaims`.

    Attributes:
        account: List only claims on the keys of this account.
        after: The `after` of the previous page.
        size: The maximum number of claims.
    """

    account: str | None = Field(default=None, pattern=r"^[0-9]{12}$")
    after: str | None = Field(default=None, pattern=r"^[0-9]{12}/[A-Za-z0-9-]{1,64}$")
    size: int = Field(default=50, ge=1, le=100)
