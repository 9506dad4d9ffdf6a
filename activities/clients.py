"""The worker's AWS clients. There is one client per service and Region. A client makes one attempt per call.

The S3 clients access only buckets that the platform's account owns.
"""

import threading
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast

import boto3
import botocore.session
from botocore.config import Config

from activities.aws_errors import explain_head_denials, record_service_on_responses
from activities.call_rate import TokenBucket
from activities.organisation_sessions import TaggedRole, build_tagged_session
from byok import __version__

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.model import OperationModel
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

_USER_AGENT: Final = f"byok/{__version__} Boto3/{boto3.__version__}"
"""The user agent, which appears in the customer's CloudTrail. Botocore appends its own name to the user agent. If this
string were not set, botocore would build a user agent for every call, which would take a tenth of the call's CPU time.
"""

_SHORTEST_SESSION: Final = 900
"""The shortest session that STS allows, in seconds (AssumeRole, DurationSeconds)."""

MAX_ORGANISATIONS: Final = 100
"""The maximum number of organisations whose AWS clients a worker keeps. For any other organisation, the worker creates
new clients when needed."""


def build_client_config(*, connect_timeout: timedelta, read_timeout: timedelta, connections: int) -> Config:
    """Build the configuration of the worker's clients.

    Args:
        connect_timeout: How long to wait for a connection.
        read_timeout: How long to wait for AWS to send data.
        connections: Maximum number of concurrent calls; pass the number of activity threads.
    """
    return Config(
        connect_timeout=connect_timeout.total_seconds(),
        read_timeout=read_timeout.total_seconds(),
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=connections,
        user_agent=_USER_AGENT,
    )


@dataclass(frozen=True)
class AwsClients:
    """boto3 clients, created once per service and Region. Using a client is thread-safe, but creating a client is not.

    Botocore makes one attempt per call. Temporal handles all retries, and its UI shows every attempt.

    Attributes:
        session: The session, which finds credentials in boto3's standard chain: environment variables, config files,
            container or instance role.
        config: See `build_client_config`.
        account: The platform's account id. S3 refuses every call on a bucket that another account owns.
        calls_per_second: The maximum rate of calls per service and Region. A call that would exceed this rate is
            delayed.
        tagged_role: The role for sessions with an organisation's tag; None if the vendor profile does not turn on
            session tags.
    """

    session: boto3.Session | botocore.session.Session
    config: Config
    account: str
    calls_per_second: float = 100
    _buckets: dict[tuple[str, str], TokenBucket] = field(default_factory=dict, repr=False)
    tagged_role: TaggedRole | None = None
    _made: dict[tuple[str, str], Any] = field(default_factory=dict, repr=False)
    _organisations: "dict[str, AwsClients]" = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def on_behalf_of(self, organisation: str | None) -> "AwsClients":
        """Return the clients for calls that use the keys of an organisation's environment.

        If the vendor profile turns on session tags, the calls are made in a session of the platform role with the tag
        `organisation`, which the customer's key policies require. Calls on the vendor's own resources, such as claims,
        and calls for the vendor's own environments need no tag.

        The clients are created at the first call and kept for the most recently used organisations.
        """
        role = self.tagged_role
        if organisation is None or role is None:
            return self
        with self._lock:
            clients = self._organisations.pop(organisation, None)
            if clients is None:
                session = build_tagged_session(role.role_arn, organisation, lambda: self.sts(role.region))
                clients = AwsClients(session, self.config, self.account, self.calls_per_second, _buckets=self._buckets)
            self._organisations[organisation] = clients
            if len(self._organisations) > MAX_ORGANISATIONS:
                del self._organisations[next(iter(self._organisations))]
        return clients

    def s3(self, region: str) -> "S3Client":
        """Return the S3 client for a Region."""
        return cast("S3Client", self._client("s3", region))

    def rds(self, region: str) -> "RDSClient":
        """Return the RDS client for a Region."""
        return cast("RDSClient", self._client("rds", region))

    def sts(self, region: str) -> "STSClient":
        """Return the STS client for a Region."""
        return cast("STSClient", self._client("sts", region))

    def kms_assuming_role(self, role_arn: str, external_id: str, region: str, session_name: str) -> "KMSClient":
        """Return a KMS client for the customer's account, with new credentials that only the calling activity uses.

        Args:
            role_arn: The role in the customer's account.
            external_id: The external id that the role's trust policy must require.
            region: The Region of the keys.
            session_name: The session name, which appears in the customer's CloudTrail.

        Raises:
            ClientError: STS does not allow the worker to assume the role.
        """
        taken = self.sts(region).assume_role(
            RoleArn=role_arn,
            RoleSessionName=session_name,
            ExternalId=external_id,
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

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._made:
                self._made[service, region] = self._make(service, region)
            return self._made[service, region]

    def _make(self, service: str, region: str, **credentials: str) -> Any:
        """Create a client.

        Call this method only while you hold the lock, because creating a client is not thread-safe.
        """
        create: Any = self.session.client if isinstance(self.session, boto3.Session) else self.session.create_client
        made = create(service, region_name=region, config=self.config, **credentials)
        record_service_on_responses(made)
        self._buckets.setdefault((service, region), TokenBucket(self.calls_per_second)).limit(made)
        if service == "s3":
            explain_head_denials(made, lambda: self.sts(region).get_caller_identity())
            _expect_bucket_owner(made, self.account)
        return made


def _expect_bucket_owner(client: "BaseClient", account: str) -> None:
    """Send the expected owner with every call on a bucket (contract 154).

    Without the expected owner, S3 would accept any bucket of the given name that the caller may access. Of the
    operations that byok calls, only CreateBucket and ListBuckets have no parameter for the expected owner (botocore's
    S3 model).
    """

    def add_owner(params: dict[str, Any], model: "OperationModel", **_: object) -> None:
        if model.input_shape and "ExpectedBucketOwner" in model.input_shape.members:
            params["ExpectedBucketOwner"] = account

    client.meta.events.register("before-parameter-build.s3", add_owner)
