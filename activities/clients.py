"""The AWS clients of a worker: one for each service and Region, one attempt for each call."""

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Self, cast

import boto3
from botocore.config import Config

from activities.aws_errors import record_service_on_responses
from byok import __version__
from byok.domain.models import TenantRole

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

_USER_AGENT: Final = f"byok/{__version__} Boto3/{boto3.__version__}"
"""Shown by the customer's CloudTrail. Botocore adds itself to it. Without it, botocore builds a user agent for every
call, which takes a tenth of the call's CPU."""

_SHORTEST_SESSION: Final = 900
"""Seconds; STS knows no shorter session (AssumeRole, DurationSeconds)."""


@dataclass(frozen=True)
class AwsClients:
    """boto3 clients, made once per service and Region: a client may be used by many threads, its making may not.

    Botocore makes one attempt per call. Temporal does all retrying, where it can be seen.
    """

    session: boto3.Session
    config: Config
    _made: dict[tuple[str, str | None], Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def from_settings(cls, *, connect_timeout: timedelta, read_timeout: timedelta, connections: int) -> Self:
        """Clients by the standard chain of boto3: environment, config files, container or instance role.

        Args:
            connect_timeout: How long a connection may take.
            read_timeout: How long AWS may be silent.
            connections: Calls at once, the number of activity threads.
        """
        config = Config(
            connect_timeout=connect_timeout.total_seconds(),
            read_timeout=read_timeout.total_seconds(),
            retries={"total_max_attempts": 1, "mode": "standard"},
            max_pool_connections=connections,
            user_agent=_USER_AGENT,
        )
        return cls(boto3.Session(), config)

    def s3(self, region: str) -> "S3Client":
        """The S3 client of a Region."""
        return cast("S3Client", self._client("s3", region))

    def rds(self, region: str) -> "RDSClient":
        """The RDS client of a Region."""
        return cast("RDSClient", self._client("rds", region))

    def sts(self, region: str | None = None) -> "STSClient":
        """The STS client of a Region, or of the session's own."""
        return cast("STSClient", self._client("sts", region or self.session.region_name))

    def kms_assuming_role(self, role: TenantRole, region: str, session_name: str) -> "KMSClient":
        """A KMS client in the customer's account, for one step: its credentials are new, and end with it.

        Args:
            role: The role there, and its external id.
            region: Where the keys are.
            session_name: What the customer's CloudTrail shows.

        Raises:
            ClientError: STS does not give the role.
        """
        taken = self.sts(region).assume_role(
            RoleArn=role.role_arn,
            RoleSessionName=session_name,
            ExternalId=role.external_id,
            DurationSeconds=_SHORTEST_SESSION,
        )["Credentials"]
        with self._lock:
            made = self._make(
                "kms",
                region,
                aws_access_key_id=taken["AccessKeyId"],
                aws_secret_access_key=taken["SecretAccessKey"],
                aws_session_token=taken["SessionToken"],
            )
        return cast("KMSClient", made)

    def _client(self, service: str, region: str | None) -> Any:
        with self._lock:
            if (service, region) not in self._made:
                self._made[service, region] = self._make(service, region)
            return self._made[service, region]

    def _make(self, service: str, region: str | None, **credentials: str) -> Any:
        """Make a client; the caller holds the lock, because making one is not safe among threads."""
        made = self.session.client(
            service,  # type: ignore[call-overload]
            region_name=region,
            config=self.config,
            **credentials,
        )
        record_service_on_responses(made)
        return made
