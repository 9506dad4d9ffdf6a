"""What people ask for: the inputs of the workflows."""

from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from byok.domain.arns import KEY_ARN_MAX_LENGTH, REGION_PATTERN, ROLE_ARN_PATTERN, KeyPair
from byok.domain.models.base import RequestModel
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.onboarding.payload import expand_payload_fields
from byok.domain.phases import OnFailure
from byok.domain.tenant import EXTERNAL_ID_PATTERN


class CheckKeysRequest(RequestModel):
    """Input of `CheckKeys`.

    The ARNs are not validated here: a bad one is a finding with a remedy, not a malformed request. The onboarding
    payload is taken in the place of either ARN, or with its own two names beside the other fields (contract 50).

    Attributes:
        region: The environment's AWS Region.
        s3_key_arn: Full ARN of the customer's key for S3.
        rds_key_arn: Full ARN of the customer's key for Aurora.
        key_grace_seconds: How long an ambiguous refusal may still turn out to be a policy on its way (D14).
    """

    region: str = Field(pattern=REGION_PATTERN)
    s3_key_arn: str = Field(min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str = Field(min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    key_grace_seconds: int = Field(default=30, ge=0, le=300, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _take_the_payload_too(cls, values: Any) -> Any:
        return expand_payload_fields(values) if isinstance(values, dict) else values

    @property
    def key_pair(self) -> KeyPair:
        """The two ARNs as one value."""
        return KeyPair(self.s3_key_arn, self.rds_key_arn)


class TenantRole(RequestModel):
    """The role in the customer's account through which the keys get a tenant's name (D11).

    Attributes:
        role_arn: Its ARN.
        external_id: What its trust policy asks for. It is not a secret (IAM user guide, "Access to AWS accounts owned
            by third parties").
    """

    role_arn: str = Field(pattern=ROLE_ARN_PATTERN)
    external_id: str = Field(pattern=EXTERNAL_ID_PATTERN)


class ProvisionRequest(CheckKeysRequest):
    """Input of `ProvisionEnvironment`.

    Attributes:
        environment_id: Lower-case letters, digits and single hyphens; part of every name.
        on_failure: Whether a stop keeps what was made or removes it (D9).
        tenant: The tenant's name, where it is known already: then both keys get it as the last phase. Whether it can be
            put on a key is a finding, as with the ARNs.
        tenant_role: Through which role; without one the commands are handed over.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    on_failure: OnFailure = OnFailure.KEEP
    tenant: str | None = Field(default=None, max_length=1024)
    tenant_role: TenantRole | None = None


class DeleteRequest(CheckKeysRequest):
    """Input of `DeleteEnvironment`.

    Attributes:
        environment_id: The environment; its keys are named so that they can be used for another one afterwards.
        confirm: The environment's id once more: everything of it is deleted.
        final_snapshot: Whether a snapshot of the cluster is taken first. It is encrypted with the Aurora key.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    confirm: str = Field(max_length=ENVIRONMENT_ID_MAX_LENGTH)
    final_snapshot: bool = True

    @field_validator("confirm")
    @classmethod
    def _require_confirmation(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("environment_id", value):
            raise ValueError("has to be the environment's id once more, as everything of it is deleted")
        return value


class ReconcileTenantRequest(CheckKeysRequest):
    """Input of `ReconcileTenant`.

    Attributes:
        environment_id: The environment that the keys belong to.
        tenant: The tenant's name.
        tenant_role: Through which role; without one nothing is changed, and the commands are handed over.
        repoint: Whether an alias that points at the other of the two keys is pointed at this one.
        commands_only: Whether the commands are handed over and nothing is changed, although there is a role.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    tenant: str = Field(max_length=1024)
    tenant_role: TenantRole | None = None
    repoint: bool = False
    commands_only: bool = False
