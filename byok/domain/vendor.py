"""The names that customers see and that differ from vendor to vendor.

The defaults must exactly match the reference vendor's names (contract, sections 3 to 5 and 8). To use byok, another
vendor defines its own profile, and does not need to change the code.
"""

import re
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from byok.domain.arns import KeyPurpose

TENANT_PLACEHOLDER: Final = "{tenant}"
"""The placeholder for the tenant name in an alias pattern."""

ENVIRONMENT_PLACEHOLDER: Final = "{environment_id}"
"""Placeholder for the environment's id in the pattern of tenant names."""

_ALIAS_MAX: Final = 256
"""Maximum length of an alias name, including `alias/` (KMS, CreateAlias)."""

_ALIAS_PATTERN: Final = re.compile(r"alias/[A-Za-z0-9/_-]*\{tenant\}[A-Za-z0-9/_-]*")
_TENANT_PATTERN: Final = re.compile(r"[A-Za-z0-9/_-]{0,64}\{environment_id\}[A-Za-z0-9/_-]{0,64}")
_TAG_KEY: Final = re.compile(r"[\w .:/=+@-]{1,128}")


_NAME: Final = re.compile(r"[A-Z][A-Za-z0-9]{0,31}")
_RESOURCE_PREFIX: Final = re.compile(r"[a-z][a-z0-9]{1,7}")
_TAG_PREFIX: Final = re.compile(r"[a-z][a-z0-9-]{0,30}")


def _an_identifier(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(
            "must start with a capital letter and have at most 32 characters, only digits and letters without accents"
        )
    return name


def _free_for_buckets(prefix: str) -> str:
    if not _RESOURCE_PREFIX.fullmatch(prefix):
        raise ValueError("must be 2 to 8 lower-case letters and digits, starting with a letter")
    # S3 reserves names that start with `sthree-` and `amzn-s3-demo-` (S3 user guide, "Bucket naming rules").
    if prefix in ("sthree", "amzn"):
        raise ValueError(f"S3 reserves bucket names that start with {prefix}-")
    return prefix


def _free_for_tags(prefix: str) -> str:
    if not _TAG_PREFIX.fullmatch(prefix):
        raise ValueError("must be at most 31 lower-case letters, digits and hyphens, starting with a letter")
    if prefix == "aws":
        raise ValueError("AWS reserves tag keys that start with aws:")
    return prefix


def _an_alias_pattern(pattern: str) -> str:
    if not _ALIAS_PATTERN.fullmatch(pattern):
        raise ValueError(
            f"must be alias/ followed by letters, digits, / _ and -, and contain {TENANT_PLACEHOLDER} exactly once"
        )
    if pattern.startswith("alias/aws/"):
        raise ValueError("AWS reserves aliases that start with alias/aws/")
    return pattern


def _a_tenant_pattern(pattern: str) -> str:
    if not _TENANT_PATTERN.fullmatch(pattern):
        raise ValueError(
            f"must contain {ENVIRONMENT_PLACEHOLDER} exactly once, with at most 64 letters, digits, / _ and - "
            "on either side of it"
        )
    return pattern


def _tag_keys(keys: tuple[str, ...]) -> tuple[str, ...]:
    for key in keys:
        if key.lower().startswith("aws:"):
            raise ValueError(f"AWS reserves tag keys that start with aws:, such as {key}")
        if not _TAG_KEY.fullmatch(key):
            raise ValueError(f"{key!r} is not a valid tag key")
    if len(set(keys)) != len(keys):
        raise ValueError("tag keys must be unique")
    return keys


def _slug(validated: dict[str, Any]) -> str:
    return str(validated["name"]).lower()


class VendorProfile(BaseModel):
    """The names that a vendor uses in policies, templates, tags, aliases and resources.

    Attributes:
        name: The vendor's name for use in identifiers, in PascalCase. The default aliases and tenant tags derive from
            this name.
        resource_prefix: First part of every cluster and bucket name.
        tag_prefix: First part of the key of every tag that byok sets on the resources it creates.
        s3_alias: The S3 key's alias, with `{tenant}` as the placeholder for the tenant name.
        rds_alias: The Aurora key's alias, with `{tenant}` as the placeholder for the tenant name.
        tenant_tags: The keys of the tags that contain the tenant name on both KMS keys.
        tenant_pattern: The tenant name that the platform assigns, with `{environment_id}` as the placeholder for the
            environment's id.
        organisation_session_tag: Whether byok uses the session tag `organisation`. If so, the worker's AWS session for
            an organisation's environment has this tag, and the statements in the customers' key policies require it.
    """

    # The derived defaults are validated too, because a name such as Aws would result in tag keys that AWS reserves.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    name: Annotated[str, AfterValidator(_an_identifier)] = "Ataccama"
    resource_prefix: Annotated[str, AfterValidator(_free_for_buckets)] = "byok"
    tag_prefix: Annotated[str, AfterValidator(_free_for_tags)] = "byok"
    # In the reference vendor's documents, only the S3 key's alias pattern contains the word "for" (contract 103, 104).
    s3_alias: Annotated[str, AfterValidator(_an_alias_pattern)] = Field(
        default_factory=lambda values: (
            f"alias/{_slug(values)}-objectstorage-byok-encryption-key-alias-for-{TENANT_PLACEHOLDER}"
        )
    )
    rds_alias: Annotated[str, AfterValidator(_an_alias_pattern)] = Field(
        default_factory=lambda values: f"alias/{_slug(values)}-database-byok-db-key-alias-{TENANT_PLACEHOLDER}"
    )
    tenant_tags: Annotated[tuple[str, ...], AfterValidator(_tag_keys)] = Field(
        default_factory=lambda values: (f"{_slug(values)}:automation:TenantName", f"{_slug(values)[0]}atn"),
        min_length=1,
        max_length=10,
    )

    tenant_pattern: Annotated[str, AfterValidator(_a_tenant_pattern)] = ENVIRONMENT_PLACEHOLDER
    organisation_session_tag: bool = False

    @model_validator(mode="after")
    def _an_alias_for_each_key(self) -> Self:
        if self.s3_alias == self.rds_alias:
            raise ValueError("the aliases of the two keys must differ, because an alias points at only one key")
        if self.tenant_name_max_length < 1:
            raise ValueError("the alias patterns leave no room for a tenant name")
        return self

    def session_organisation(self, organisation: str | None) -> str | None:
        """Return the value of the session tag for an organisation's environments; None if the session has no tag.

        The vendor's own environments belong to no organisation, so their session has no tag.
        """
        return organisation if self.organisation_session_tag else None

    def tenant_name_for(self, environment_id: str) -> str:
        """Return the tenant name that the platform assigns to an environment (contract 100, 131)."""
        return self.tenant_pattern.replace(ENVIRONMENT_PLACEHOLDER, environment_id)

    @property
    def s3_access_sid(self) -> str:
        """Sid of the platform's only statement in the S3 key's policy (contract 61)."""
        return f"Allow{self.name}PlatformS3Access"

    @property
    def rds_describe_key_sid(self) -> str:
        """Sid of the platform's first statement in the Aurora key's policy (contract 67)."""
        return f"Allow{self.name}PlatformRDSDescribeKey"

    @property
    def rds_grants_sid(self) -> str:
        """Sid of the platform's second statement in the Aurora key's policy (contract 70)."""
        return f"Allow{self.name}PlatformRDSGrants"

    @property
    def role_parameter_name(self) -> str:
        """The template's parameter for the platform role (contract 34)."""
        return f"{self.name}PlatformRoleArn"

    @property
    def payload_output_name(self) -> str:
        """The template's output with both key ARNs (contract 45)."""
        return f"{self.name}OnboardingPayload"

    @property
    def tenant_name_max_length(self) -> int:
        """Maximum length of a tenant name: the longer of the two aliases must not exceed KMS's limit (contract 105)."""
        return _ALIAS_MAX - max(len(pattern) - len(TENANT_PLACEHOLDER) for pattern in (self.s3_alias, self.rds_alias))

    def alias_pattern(self, which: KeyPurpose) -> str:
        """Return the alias pattern of one of the two keys (contract 103, 104)."""
        return self.s3_alias if which is KeyPurpose.S3 else self.rds_alias

    def alias_for_tenant(self, which: KeyPurpose, tenant: str) -> str:
        """Return a tenant's alias for one of the two keys."""
        return self.alias_pattern(which).replace(TENANT_PLACEHOLDER, tenant)
