"""byok's settings. Each entry point reads the settings once, and passes the values to the code that needs them.

Connections to Temporal use Temporal's environment configuration (`TEMPORAL_ADDRESS`, profiles), and AWS clients use
boto3's standard configuration and credential chain.
"""

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from byok.api_settings import ApiSettings, HttpsUrl, must_match
from byok.audit_settings import AuditSettings
from byok.domain.arns import account_id_of_role, partition_of_region
from byok.domain.encryption import PlatformKeys
from byok.domain.models.base import RegionName
from byok.domain.quotas import Quotas
from byok.domain.regions import DEFAULT_HOME_REGION
from byok.domain.validation_words import in_plain_words
from byok.domain.vendor import VendorProfile
from byok.notification_settings import NotificationSettings

ENV_PREFIX: Final = "BYOK_"
_FOR_TESTS: Final = "BYOK_TEST_"


_JSON: Final = {
    "BYOK_API": 'a JSON object, such as {"requests_per_minute": 600}',
    "BYOK_AUDIT": 'a JSON object, such as {"directory": "/var/lib/byok/audit"}',
    "BYOK_API__TOKENS": (
        'a JSON list, such as [{"name": "portal", "sha256": "…", "organisation": "acme", '
        '"scopes": ["environments:read"]}]'
    ),
    "BYOK_NOTIFICATIONS": 'a JSON object, such as {"allow_private_addresses": true}',
    "BYOK_NOTIFICATIONS__ENDPOINTS": (
        'a JSON list, such as [{"name": "portal", "url": "https://portal.example.com/byok", "secrets": ["whsec_…"]}]'
    ),
    "BYOK_PLATFORM_KEYS": (
        'a JSON object, such as {"eu-central-1": {"s3_key_arn": "arn:aws:kms:…", "rds_key_arn": "arn:aws:kms:…"}}'
    ),
    "BYOK_QUOTAS": 'a JSON object, such as {"environments": 500}',
    "BYOK_QUOTAS__ORGANISATIONS": 'a JSON object, such as {"acme": {"environments": 500}}',
    "BYOK_VENDOR": 'a JSON object, such as {"name": "Globex"}',
    "BYOK_VENDOR__TENANT_TAGS": 'a JSON list, such as ["globex:TenantName", "gtn"]',
}
"""The expected format of each setting whose value is JSON, with an example."""


class LogFormat(StrEnum):
    """The format of log lines."""

    JSON = "json"
    CONSOLE = "console"


def _role_arn(value: str) -> str:
    account_id_of_role(value)
    return value


def _split_names(value: Any) -> Any:
    return tuple(dict.fromkeys(name.strip() for name in value.split(","))) if isinstance(value, str) else value


_RegionNames = Annotated[tuple[RegionName, ...], NoDecode, BeforeValidator(_split_names)]
"""Names of Regions, separated by commas."""

# These patterns are stricter than Temporal's, because Temporal joins a deployment and a build id with a dot or a colon,
# and because operators type both into commands.
_Deployment = Annotated[str, must_match(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", "letters, digits, _ and -, at most 63")]
_BuildId = Annotated[str, must_match(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,126}", "letters, digits and . _ + -, at most 127")]


class Settings(BaseSettings):
    """All settings, read from `BYOK_…` environment variables.

    Two underscores separate the parts of a nested setting's name.

    Attributes:
        platform_role_arn: The role to which the customers' key policies grant access. The default is the role of the
            worker's AWS credentials.
        platform_keys: The platform's own keys for platform-managed environments, by Region (JSON). In every other
            Region, platform-managed environments use the AWS managed keys in the platform's account.
        home_region: The Region whose probe bucket holds the claims on all keys. The home Region must not change while
            an environment exists.
        regions: The Regions in use, separated by commas; only the home Region by default.
        vendor: The vendor's names (`BYOK_VENDOR__NAME`).
        blueprint: File that defines an environment's contents. The default is the blueprint that comes with byok.
        quotas: Limits on what one organisation may use (`BYOK_QUOTAS__…`).
        prove_aurora_keys: Whether a check may create a cluster without instances to prove that an Aurora key works.
            byok removes the cluster afterwards.
        health_check_seconds: Interval between two checks of the keys and resources of all environments in a Region; 0
            creates no schedule for these checks. To stop the checks temporarily, pause the schedule in Temporal.
        recover_clusters: Whether byok starts a cluster that lost its key, once the key is usable again.
        database_poll_seconds: Interval between two polls of a cluster's or a writer's status.
        aws_connect_timeout_seconds: Timeout for connecting to AWS.
        aws_read_timeout_seconds: How long a call waits for AWS to send data.
        aws_calls_per_second: Maximum rate of AWS calls per service, Region and worker. If the rate is reached, further
            calls wait.
        hold_pause_seconds: Longest pause between two attempts while byok holds an environment because of a fault in the
            platform, such as throttling. The first pauses of a hold are shorter.
        worker_check_seconds: Interval between two checks of a worker's identity and clock.
        activity_threads: Maximum number of concurrent AWS calls per worker.
        max_cached_workflows: Maximum number of unfinished workflows that one worker caches in memory; each uses an
            eighth of a MiB. Whenever a workflow outside the cache resumes, the worker replays the workflow's history,
            which increases CPU time by a third.
        worker_deployment: Name of the worker deployment. Setting this name turns on worker versioning, so the worker
            gets new work only once its build is the current version.
        worker_build_id: This worker's build id in the worker deployment. Set both `worker_deployment` and
            `worker_build_id`, or neither.
        api: Access, sessions and limits of the API and the wizard (`byok.api_settings`).
        audit: Where the audit trail is stored.
        notifications: The endpoints to which byok delivers notifications (`byok.notification_settings`).
        docs_url: Address of the documentation, for the links in problems. The default is the path `/docs` of the public
            URL or, without a public URL, of the server that sends the problem.
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
    quotas: Quotas = Quotas()
    prove_aurora_keys: bool = True
    health_check_seconds: float = Field(default=240, ge=0, le=300)
    recover_clusters: bool = True
    database_poll_seconds: float = Field(default=60, gt=0, le=300)
    aws_connect_timeout_seconds: float = Field(default=5, gt=0, le=60)
    aws_read_timeout_seconds: float = Field(default=20, gt=0, le=120)
    aws_calls_per_second: float = Field(default=100, ge=1, le=10_000)
    hold_pause_seconds: float = Field(default=600, gt=0, le=900)
    worker_check_seconds: float = Field(default=180, gt=0, le=600)
    activity_threads: int = Field(default=50, ge=1, le=500)
    max_cached_workflows: int = Field(default=300, ge=1, le=100_000)
    worker_deployment: _Deployment | None = None
    worker_build_id: _BuildId | None = None
    api: ApiSettings = ApiSettings()
    audit: AuditSettings = AuditSettings()
    notifications: NotificationSettings = NotificationSettings()
    docs_url: HttpsUrl | None = None
    log_level: str = Field(default="INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$")
    log_format: LogFormat = LogFormat.JSON

    @model_validator(mode="before")
    @classmethod
    def _no_unknown_names(cls, values: Any) -> Any:
        """Reject unknown `BYOK_…` variables, so that a setting with a misspelled name is not silently ignored."""
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

        The Regions must be in one partition, because the platform role exists in only one partition.
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
        """Require that the account that owns the audit bucket is known.

        Every call on the bucket must specify that account (contract 154).
        """
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

        With only one of the two settings, the worker would silently run unversioned.
        """
        if (self.worker_deployment is None) is not (self.worker_build_id is None):
            missing = "BYOK_WORKER_BUILD_ID" if self.worker_build_id is None else "BYOK_WORKER_DEPLOYMENT"
            raise ValueError(
                f"{missing}: missing; a versioned worker needs BYOK_WORKER_DEPLOYMENT and BYOK_WORKER_BUILD_ID"
            )
        return self


def format_settings_error(error: ValidationError | SettingsError) -> str:
    """Describe all errors in the settings, each with the name of the environment variable.

    Errors that only result from another error are omitted. For example, a name that byok derives from an invalid name
    is also invalid.
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
        return in_plain_words(message)
    variable = ENV_PREFIX + "__".join(named).upper()
    if variable in _JSON and kind.endswith("_type"):
        return f"{variable}: must be {_JSON[variable]}"
    if kind == "extra_forbidden":
        return f"{variable}: no such setting"
    return f"{variable}: {in_plain_words(message)}"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
