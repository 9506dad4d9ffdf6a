"""byok's settings. Each entry point reads the settings once and passes the values on.

Connections to Temporal use Temporal's environment configuration (`TEMPORAL_ADDRESS`, profiles), and AWS clients use
boto3's standard configuration and credential chain.
"""

import json
import os
import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from byok.domain.arns import account_id_of_role, partition_of_region
from byok.domain.encryption import PlatformKeys
from byok.domain.models.base import AccountId, RegionName
from byok.domain.regions import DEFAULT_HOME_REGION
from byok.domain.scopes import ORGANISATION_PATTERN, Scope
from byok.domain.vendor import VendorProfile

ENV_PREFIX: Final = "BYOK_"
_FOR_TESTS: Final = "BYOK_TEST_"


_JSON: Final = {
    "BYOK_API": 'a JSON object, such as {"requests_per_minute": 600}',
    "BYOK_AUDIT": 'a JSON object, such as {"directory": "/var/lib/byok/audit"}',
    "BYOK_API__TOKENS": (
        'a JSON list, such as [{"sha256": "…", "organisation": "acme", "scopes": ["environments:read"]}]'
    ),
    "BYOK_PLATFORM_KEYS": (
        'a JSON object, such as {"eu-central-1": {"s3_key_arn": "arn:aws:kms:…", "rds_key_arn": "arn:aws:kms:…"}}'
    ),
    "BYOK_VENDOR": 'a JSON object, such as {"name": "Globex"}',
    "BYOK_VENDOR__TENANT_TAGS": 'a JSON list, such as ["globex:TenantName", "gtn"]',
}
"""For each setting whose value is JSON, a description with an example."""


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"


def _role_arn(value: str) -> str:
    account_id_of_role(value)
    return value


def _fits(pattern: str, words: str) -> AfterValidator:
    def fits(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {words}")
        return value

    return AfterValidator(fits)


def _split_names(value: Any) -> Any:
    return tuple(dict.fromkeys(name.strip() for name in value.split(","))) if isinstance(value, str) else value


_RegionNames = Annotated[tuple[RegionName, ...], NoDecode, BeforeValidator(_split_names)]
"""Names of Regions, separated by commas."""

# These patterns are stricter than Temporal's, because Temporal joins a deployment and a build id with a dot or a colon,
# and because operators type both into commands.
_Deployment = Annotated[str, _fits(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "letters, digits, _ and -, at most 63")]
_BuildId = Annotated[str, _fits(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,126}", "letters, digits and . _ + -, at most 127")]


class AccessToken(BaseModel):
    """A bearer token for the API. The settings contain only the token's hash.

    Attributes:
        sha256: SHA-256 of the token, in hexadecimal. `python -m byok.web token` generates a strong token.
        organisation: The organisation whose environments the token grants access to, or `*` for all organisations.
        scopes: The operations that the token allows.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    sha256: Annotated[str, _fits(r"[0-9a-f]{64}", "the SHA-256 of a token, 64 hexadecimal digits")]
    organisation: Annotated[str, _fits(rf"\*|{ORGANISATION_PATTERN}", "up to 16 lower-case letters and digits, or *")]
    scopes: tuple[Scope, ...]


class ApiSettings(BaseModel):
    """Authentication and limits of the API (`BYOK_API__…`).

    Attributes:
        issuer: OIDC issuer whose tokens the API accepts. Requires `audience` and `jwks_url`.
        audience: Audience for which the tokens must be issued.
        jwks_url: URL of the issuer's public keys.
        organisation_claim: Name of the token claim that contains the caller's organisation.
        tokens: Bearer tokens for small deployments, as hashes (JSON).
        session_secret: Secret that signs the wizard's cookies and the page tokens. All processes behind one address
            must use the same secret. If the secret is not set, each process generates its own secret, and sessions end
            when the process ends.
        requests_per_minute: Maximum number of requests per minute from one client address.
        max_body_bytes: Maximum size of a request body.
        max_streams: Maximum number of open event streams per organisation, in each process.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    issuer: str | None = None
    audience: str | None = None
    jwks_url: Annotated[str, _fits(r"https?://.+", "a URL")] | None = None
    organisation_claim: str = "organisation"
    tokens: tuple[AccessToken, ...] = ()
    session_secret: SecretStr | None = Field(default=None, min_length=32)
    requests_per_minute: int = Field(default=600, ge=1)
    max_body_bytes: int = Field(default=262_144, ge=1024)
    max_streams: int = Field(default=500, ge=1)

    @model_validator(mode="after")
    def _issuer_is_whole(self) -> Self:
        """Require all three OIDC settings or none.

        Without an audience, the API would accept tokens that were issued for another application.
        """
        given = {"ISSUER": self.issuer, "AUDIENCE": self.audience, "JWKS_URL": self.jwks_url}
        missing = [f"BYOK_API__{name}" for name, value in given.items() if not value]
        if 0 < len(missing) < len(given):
            raise ValueError(f"{' and '.join(missing)}: missing; issuer, audience and JWKS URL must be set together")
        return self

    @property
    def allows_anonymous(self) -> bool:
        """Whether the API accepts requests without authentication."""
        return self.issuer is None and not self.tokens


class AuditSettings(BaseModel):
    """Where the audit trail is stored (`BYOK_AUDIT__…`).

    Attributes:
        directory: The directory of the journal, on a disk that outlives the process. Several processes may share it.
        bucket: The S3 bucket, with Object Lock, to which byok ships the journal. If no bucket is set, the journal stays
            in the directory.
        bucket_region: The bucket's Region. The default is the home Region.
        bucket_owner: The account that owns the bucket. The default is the platform role's account.
        lock_mode: The retention mode of the objects.
        retention_days: For how many days S3 refuses to delete an object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    directory: Path = Path(".byok/audit")
    bucket: str | None = None
    bucket_region: RegionName | None = None
    bucket_owner: AccountId | None = None
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    retention_days: int = Field(default=400, ge=1, le=36_500)


class Settings(BaseSettings):
    """All settings, read from `BYOK_…` environment variables. Two underscores join the parts of a nested name.

    Attributes:
        platform_role_arn: The role that the customers' key policies name. The default is the role of the worker's AWS
            credentials.
        platform_keys: The platform's own keys for platform-managed environments, by Region (JSON). In every other
            Region, such environments use the AWS managed keys of the platform's account.
        home_region: The Region whose probe bucket holds the claims on all keys. It must not change while an environment
            exists.
        regions: The Regions in use, separated by commas. The default is the home Region.
        vendor: The vendor's names (`BYOK_VENDOR__NAME`).
        blueprint: File that defines an environment's contents. The default is the blueprint that comes with byok.
        prove_aurora_keys: Whether a check may prove that an Aurora key works by creating a cluster without instances,
            which byok then removes.
        database_poll_seconds: Interval between two polls of a cluster's or a writer's status.
        aws_connect_timeout_seconds: Timeout for connecting to AWS.
        aws_read_timeout_seconds: How long a call waits for AWS to send data.
        activity_threads: Maximum number of concurrent AWS calls per worker.
        max_cached_workflows: Maximum number of unfinished workflows that one worker caches in memory; each uses an
            eighth of a MiB. Whenever a workflow outside the cache resumes, the worker replays the workflow's history,
            which increases CPU time by a third.
        worker_deployment: Name of the worker deployment. Setting this name turns on worker versioning, so the worker
            gets new work only once its build is the current version.
        worker_build_id: This worker's build id in the worker deployment. Set both settings or neither.
        api: Authentication and limits of the API.
        audit: Where the audit trail is stored.
        log_level: Minimum severity of the messages to log.
        log_format: `json` for log collectors, `console` for people.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_ignore_empty=True, env_nested_delimiter="__", frozen=True, hide_input_in_errors=True
    )

    platform_role_arn: Annotated[str, AfterValidator(_role_arn)] | None = None
    platform_keys: dict[RegionName, PlatformKeys] = {}
    home_region: RegionName = DEFAULT_HOME_REGION
    regions: _RegionNames = Field(default_factory=lambda given: (given["home_region"],))
    vendor: VendorProfile = VendorProfile()
    blueprint: Path | None = None
    prove_aurora_keys: bool = True
    database_poll_seconds: float = Field(default=60, gt=0, le=300)
    aws_connect_timeout_seconds: float = Field(default=5, gt=0, le=60)
    aws_read_timeout_seconds: float = Field(default=20, gt=0, le=120)
    activity_threads: int = Field(default=50, ge=1, le=500)
    max_cached_workflows: int = Field(default=300, ge=1, le=100_000)
    worker_deployment: _Deployment | None = None
    worker_build_id: _BuildId | None = None
    api: ApiSettings = ApiSettings()
    audit: AuditSettings = AuditSettings()
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: LogFormat = LogFormat.JSON

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_names(cls, values: Any) -> Any:
        """Reject unknown `BYOK_…` variables. Otherwise, a setting with a misspelled name would be silently ignored."""
        known = {ENV_PREFIX + name.upper() for name in cls.model_fields}
        unknown = sorted(
            name
            for name in os.environ
            if name.upper().startswith(ENV_PREFIX)
            and not name.upper().startswith(_FOR_TESTS)
            and name.upper().split("__")[0] not in known
        )
        if unknown:
            raise ValueError(f"unknown: {', '.join(unknown)}; known settings: {', '.join(sorted(known))}")
        return values

    @model_validator(mode="after")
    def _regions_belong_together(self) -> Self:
        """Require that the Regions in use include the home Region and are all in the same partition.

        A role exists in only one partition.
        """
        if self.home_region not in self.regions:
            raise ValueError(f"BYOK_REGIONS: must contain the home Region, {self.home_region} (BYOK_HOME_REGION)")
        home = partition_of_region(self.home_region)
        others = [region for region in self.regions if partition_of_region(region) != home]
        if others:
            raise ValueError(f"BYOK_REGIONS: {', '.join(others)} is not in the partition of {self.home_region}, {home}")
        return self

    @model_validator(mode="after")
    def _audit_bucket_has_an_owner(self) -> Self:
        """Require the account that owns the audit bucket, because every call on a bucket names it (contract 154)."""
        if self.audit.bucket is not None and self.audit_bucket_owner is None:
            raise ValueError("BYOK_AUDIT__BUCKET_OWNER: missing; set it, or BYOK_PLATFORM_ROLE_ARN, to use a bucket")
        return self

    @property
    def audit_bucket_owner(self) -> str | None:
        """The account that owns the audit bucket."""
        platform = account_id_of_role(self.platform_role_arn) if self.platform_role_arn else None
        return self.audit.bucket_owner or platform

    @model_validator(mode="after")
    def _version_is_whole(self) -> Self:
        """Require a deployment and a build id, or neither.

        With only one of them, the worker would silently run unversioned.
        """
        if (self.worker_deployment is None) is not (self.worker_build_id is None):
            missing = "BYOK_WORKER_BUILD_ID" if self.worker_build_id is None else "BYOK_WORKER_DEPLOYMENT"
            raise ValueError(
                f"{missing}: missing; a versioned worker needs BYOK_WORKER_DEPLOYMENT and BYOK_WORKER_BUILD_ID"
            )
        return self


def format_settings_error(error: ValidationError | SettingsError) -> str:
    """Describe all errors in the settings, each with the name of the environment variable.

    Omit errors that only result from another error, such as an error in a name that byok derives from an invalid name.
    """
    if isinstance(error, SettingsError):
        given = {name.upper(): value for name, value in os.environ.items()}
        unread = [name for name in _JSON if given.get(name) and not _is_json(given[name])]
        return "; ".join(f"{name}: must be {_JSON[name]}" for name in unread) or str(error)
    found = [one for one in error.errors(include_input=False) if one["type"] != "default_factory_not_called"]
    inner = {one["loc"][:length] for one in found for length in range(len(one["loc"]))}
    own = [one for one in found if one["loc"] not in inner or not one["loc"]]
    return "; ".join(dict.fromkeys(_fault(one["loc"], one["type"], one["msg"]) for one in own))


def _fault(location: tuple[int | str, ...], kind: str, message: str) -> str:
    named = [part for part in location if isinstance(part, str)]
    if not named:
        return message.removeprefix("Value error, ")
    variable = ENV_PREFIX + "__".join(named).upper()
    if variable in _JSON and kind.endswith("_type"):
        return f"{variable}: must be {_JSON[variable]}"
    if kind == "extra_forbidden":
        return f"{variable}: no such setting"
    return f"{variable}: {message.removeprefix('Value error, ')}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
