"""The requests, which are the inputs of the workflows."""

from typing import Any, Final, TypeVar

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from byok.domain.arns import KEY_ARN_MAX_LENGTH, KeyPair
from byok.domain.customer_aws import DEFAULT_PROFILE, PROFILE_PATTERN, STACK_NAME_PATTERN
from byok.domain.models.base import AccountId, OrganisationName, RegionName, RequestModel, RoleArn
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.onboarding.payload import expand_payload_fields
from byok.domain.phases import Encryption, OnFailure
from byok.domain.scopes import environment_id_prefix

MISSING_KEY_ERROR_TYPE: Final = "missing_key"
"""The type of the validation error for a request that lacks the ARN of a customer's key."""

_Value = TypeVar("_Value")


class RegionRequest(RequestModel):
    """The fields that every request about an environment or its keys contains.

    Either key ARN field may contain the onboarding payload instead of an ARN, or the request may contain the payload's
    two fields in addition to its other fields (contract 50).

    Attributes:
        organisation: The organisation that owns the environment. The keys must be in AWS accounts that are registered
            for the organisation (contract 146). None if the vendor owns the environment, in which case byok does not
            check the accounts.
        region: The environment's AWS Region.
        key_grace_seconds: How long to retry an ambiguous access-denied error while a policy change propagates (D14).
        profile: The customer's AWS CLI profile, which is used in the commands of every remedy (contract 40, 130);
            empty for commands without a profile.
    """

    organisation: OrganisationName | None = None
    region: RegionName
    key_grace_seconds: int = Field(default=30, ge=0, le=300, strict=True)
    profile: str = Field(default=DEFAULT_PROFILE, pattern=PROFILE_PATTERN)

    @model_validator(mode="before")
    @classmethod
    def _take_the_payload_too(cls, values: Any) -> Any:
        return expand_payload_fields(values) if isinstance(values, dict) else values


class KeyPairRequest(RegionRequest):
    """A request that contains the ARNs of the customer's two keys.

    This model does not validate the ARNs, so that an invalid ARN results in a finding with a remedy instead of a
    validation error.

    Attributes:
        s3_key_arn: Full ARN of the customer's key for S3.
        rds_key_arn: Full ARN of the customer's key for Aurora.
    """

    s3_key_arn: str = Field(min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str = Field(min_length=1, max_length=KEY_ARN_MAX_LENGTH)

    @property
    def key_pair(self) -> KeyPair:
        """The two ARNs as a `KeyPair`."""
        return KeyPair(self.s3_key_arn, self.rds_key_arn)


def _refuse_if_platform_managed(value: _Value, info: ValidationInfo) -> _Value:
    if value is not None and info.data.get("encryption") is Encryption.PLATFORM_MANAGED:
        raise PydanticCustomError(
            "not_with_platform_managed",
            "must be left out with `encryption: platform-managed`, because the customer has no key for the environment",
        )
    return value


def _require_own_prefix(environment_id: str | None, info: ValidationInfo) -> str | None:
    prefix = environment_id_prefix(info.data.get("organisation"))
    if environment_id is not None and not environment_id.startswith(prefix):
        raise PydanticCustomError(
            "foreign_prefix", "must begin with {prefix}, like all ids of this organisation", {"prefix": prefix}
        )
    return environment_id


class CheckKeysRequest(KeyPairRequest):
    """The input of `CheckKeys`.

    Attributes:
        environment_id: The environment that the keys are for, if it is known. The check accepts keys that this
            environment already uses, but refuses a key that another environment uses.
        prove_aurora_key: Whether to prove that the Aurora key works, by creating a cluster without instances, which
            byok then deletes.
    """

    environment_id: str | None = Field(
        default=None, pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH
    )
    prove_aurora_key: bool = Field(default=False, strict=True)

    _have_the_own_prefix = field_validator("environment_id")(_require_own_prefix)


class ProvisionRequest(RegionRequest):
    """The input of `ProvisionEnvironment`: an environment with customer-managed or platform-managed keys (contract 14).

    A request without ARNs is invalid unless it specifies platform-managed encryption. byok therefore never uses any
    keys other than the requested keys (contract 99, 132).

    Attributes:
        encryption: Whose keys encrypt the environment.
        s3_key_arn: The ARN of the customer's key for S3, as in `KeyPairRequest`; None if the keys are platform-managed.
        rds_key_arn: The ARN of the customer's key for Aurora; None if the keys are platform-managed.
        environment_id: The environment's id, which is part of every resource name. The id consists of lower-case
            letters, digits and single hyphens.
        on_failure: What byok does with the resources that it has created if provisioning stops (D9).
        tenant: The tenant name that byok sets on both keys in the last phase; None if the name is not known yet. Like
            an invalid ARN, an invalid name results in a finding. If the keys are platform-managed, the environment gets
            the name, but byok does not set the name on any keys.
        tenant_role_arn: The role in the customer's account that the worker assumes, with the organisation's external
            id, to set the tenant name on the keys (D11). Without a role, byok returns the commands for the customer to
            run.
        stack_name: The CloudFormation stack in the customer's account that contains the keys. byok stores the name with
            the environment, so that later commands update this stack (contract 130).
    """

    encryption: Encryption = Encryption.CUSTOMER_MANAGED
    s3_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH, validate_default=True)
    rds_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH, validate_default=True)
    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    on_failure: OnFailure = OnFailure.KEEP
    tenant: str | None = Field(default=None, max_length=1024)
    tenant_role_arn: RoleArn | None = None
    stack_name: str | None = Field(default=None, pattern=STACK_NAME_PATTERN)

    _have_the_own_prefix = field_validator("environment_id")(_require_own_prefix)
    _fit_the_encryption_too = field_validator("tenant_role_arn", "stack_name")(_refuse_if_platform_managed)

    @field_validator("s3_key_arn", "rds_key_arn")
    @classmethod
    def _fit_the_encryption(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("encryption") is Encryption.CUSTOMER_MANAGED:
            raise PydanticCustomError(
                MISSING_KEY_ERROR_TYPE, "Field required, unless the request says `encryption: platform-managed`"
            )
        return _refuse_if_platform_managed(value, info)

    @property
    def key_pair(self) -> KeyPair | None:
        """The ARNs of the customer's two keys as a `KeyPair`; None if the keys are platform-managed."""
        return KeyPair(self.s3_key_arn, self.rds_key_arn) if self.s3_key_arn and self.rds_key_arn else None


class DeleteRequest(RegionRequest):
    """The input of `DeleteEnvironment`.

    byok determines the environment's resources from what AWS reports. If the request's Region, encryption or keys
    differ from what AWS reports, the workflow stops before it removes anything (contract 137).

    Attributes:
        environment_id: The id of the environment to delete.
        encryption: Whose keys the environment uses; None if this is not known.
        s3_key_arn: The ARN of the customer's S3 key; None if it is not known or the keys are platform-managed.
        rds_key_arn: The ARN of the customer's Aurora key; None if it is not known or the keys are platform-managed.
        confirm: The environment id again, to confirm the deletion of all the environment's resources.
        final_snapshot: Whether to take a snapshot of the cluster first. RDS encrypts the snapshot with the Aurora key.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    encryption: Encryption | None = None
    s3_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    confirm: str = Field(max_length=ENVIRONMENT_ID_MAX_LENGTH)
    final_snapshot: bool = True

    _fit_the_encryption = field_validator("s3_key_arn", "rds_key_arn")(_refuse_if_platform_managed)

    @field_validator("confirm")
    @classmethod
    def _require_confirmation(cls, value: str, info: ValidationInfo) -> str:
        if value != info.data.get("environment_id", value):
            raise ValueError("must repeat the environment id, to confirm that all its resources are deleted")
        return value

    @property
    def named_encryption(self) -> Encryption | None:
        """Whose keys the request specifies; None if the request specifies neither keys nor a kind of encryption.

        A request with a key ARN specifies the customer's keys.
        """
        named = self.s3_key_arn or self.rds_key_arn
        return Encryption.CUSTOMER_MANAGED if named else self.encryption


class ReconcileTenantRequest(KeyPairRequest):
    """The input of `ReconcileTenant`.

    Attributes:
        environment_id: The id of the environment that uses the keys.
        tenant: The tenant name.
        tenant_role_arn: The role that the worker assumes. Without a role, byok changes nothing and returns the
            commands.
        repoint: Whether to repoint an alias that points to the environment's other key.
        commands_only: Whether to return the commands and change nothing, even if the request contains a role.
        stack_name: The CloudFormation stack that contains the keys, as in `ProvisionRequest`.
    """

    environment_id: str = Field(pattern=ENVIRONMENT_ID_PATTERN, max_length=ENVIRONMENT_ID_MAX_LENGTH)
    tenant: str = Field(max_length=1024)
    tenant_role_arn: RoleArn | None = None
    repoint: bool = False
    commands_only: bool = False
    stack_name: str | None = Field(default=None, pattern=STACK_NAME_PATTERN)


class ListClaimsRequest(RequestModel):
    """The input of `ListKeyClaims`.

    Attributes:
        account: List only claims on keys in this account; None lists all claims.
        after: The value of `after` in the previous page; None for the first page.
        size: The maximum number of claims.
    """

    account: AccountId | None = None
    after: str | None = Field(default=None, pattern=r"^[0-9]{12}/[A-Za-z0-9-]{1,64}$")
    size: int = Field(default=50, ge=1, le=100)


class ExternalIdRequest(RequestModel):
    """The input of `GetExternalId`.

    Attributes:
        organisation: The organisation whose external id is requested; None for the vendor's own environments.
    """

    organisation: OrganisationName | None = None
