"""The AWS clients, and the one converter from what AWS says to what Temporal does about it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Self, cast

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.aws_errors import TenantRoleError, code_of, message_of, rule_for
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok import __version__
from byok.domain.arns import KeyPurpose
from byok.domain.models import Environment, Problem, TenantRole
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.aws_errors import Outcome
from byok.domain.problems.build import problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.vendor import VendorProfile

if TYPE_CHECKING:
    from mypy_boto3_kms import KMSClient
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

_USER_AGENT: Final = f"byok/{__version__} Boto3/{boto3.__version__}"
"""Shown by the customer's CloudTrail. Botocore, which adds itself, puts its own together for each call
anew: a tenth of what that takes."""

_SHORTEST_SESSION: Final = 900
"""Seconds; STS knows no shorter session (AssumeRole, DurationSeconds)."""

_FIRST_REFUSAL: Final = "first-refusal"
_GRACE_STEPS: Final = (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4))
"""Between two tries of an ambiguous refusal; the last one goes on. A policy is mostly there after a second or two."""

_ASKED_AGAIN: Final = "Nothing yet: a change of the key may be on its way. AWS is asked again for {left} s more."

_NO_CREDENTIALS: Final = (
    CredentialRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
_BENIGN: Final = ApplicationErrorCategory.BENIGN


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

    def kms_as(self, role: TenantRole, region: str, session_name: str) -> "KMSClient":
        """A KMS client in the customer's account, for one step: its credentials are new, and end with it.

        Args:
            role: The role there, and its external id.
            region: Where the keys are.
            session_name: What the customer's CloudTrail shows.

        Raises:
            TenantRoleError: STS does not give the role; whatever concerns the worker's own credentials is raised as it
                comes.
        """
        sts, own = self.sts(region), self.session.get_credentials()
        if own is not None:
            own.get_frozen_credentials()  # renewed now where they are due, so that what follows is about the role alone
        try:
            taken = sts.assume_role(
                RoleArn=role.role_arn,
                RoleSessionName=session_name,
                ExternalId=role.external_id,
                DurationSeconds=_SHORTEST_SESSION,
            )["Credentials"]
        except ClientError as error:
            raise TenantRoleError.of(error) from error
        with self._lock:  # the making of a client is not safe among threads
            return self.session.client(
                "kms",
                region_name=region,
                config=self.config,
                aws_access_key_id=taken["AccessKeyId"],
                aws_secret_access_key=taken["SecretAccessKey"],
                aws_session_token=taken["SessionToken"],
            )

    def _client(self, service: str, region: str | None) -> Any:
        with self._lock:
            if (service, region) not in self._made:
                made = self.session.client(
                    service,  # type: ignore[call-overload]
                    region_name=region,
                    config=self.config,
                )
                made.meta.events.register_last("before-call.s3", _send_at_once)
                self._made[service, region] = made
            return self._made[service, region]


def _send_at_once(params: "dict[str, Any]", **_: object) -> None:
    """Botocore asks S3 for leave before it sends an object (`Expect: 100-continue`), which takes a round trip for each.

    That saves the sending of what is refused; ours have 64 KiB at the most.
    """
    params["headers"].pop("Expect", None)


@dataclass(frozen=True)
class ActivityContext:
    """What an activity is doing, for whom: all that a problem has to tell besides AWS's answer.

    Attributes:
        key: The customer's key that the step's calls use.
        request_kind: What is asked for again once a problem is solved.
    """

    environment: Environment
    vendor: VendorProfile
    phase: Phase
    key: KeyPurpose
    request_kind: RequestKind = RequestKind.ENVIRONMENT

    @property
    def subject(self) -> RemedyContext:
        """Whom and what an advice about this step's key is for."""
        return RemedyContext(
            self.environment.region,
            self.environment.platform_role_arn,
            self.vendor,
            self.key,
            self.environment.key_arn(self.key),
            self.request_kind,
        )

    @contextmanager
    def translate_aws_errors(self) -> Iterator[None]:
        """Turn whatever botocore raises into the failure that Temporal is to see.

        Raises:
            ApplicationError: Of type `service.WireCode`, with a `Problem`; non-retryable where the workflow is to stop.
        """
        try:
            yield
        except ClientError as error:
            raise self._answered(error) from error
        except (ConnectionError, ConnectionClosedError, HTTPClientError) as error:
            code = f"network.{type(error).__name__}"
            raise _failure(self.problem(code, str(error), Remedy.WAIT), retry=True) from error
        except _NO_CREDENTIALS as error:
            code = f"aws.{type(error).__name__}"
            raise _failure(self.problem(code, str(error), Remedy.PLATFORM_CREDENTIALS)) from error
        except BotoCoreError as error:
            code = f"aws.{type(error).__name__}"
            raise _failure(self.problem(code, str(error), Remedy.PLATFORM_OPERATOR)) from error

    def refuse(self, code: str, message: str, remedy: Remedy, *, customer_key: bool = False) -> ApplicationError:
        """A stop that is ours to declare: a conflict, a lost key, a proof that fails."""
        return _failure(self.problem(code, message, remedy, customer_key=customer_key))

    def wait(self, code: str, message: str, delay: timedelta) -> ApplicationError:
        """Not there yet: the same again after a delay, without a failure being counted."""
        why = self.problem(code, message, Remedy.WAIT)
        return ApplicationError(message, why, type=code, next_retry_delay=delay, category=_BENIGN)

    def must_match(self, name: str, found: BaseModel, expected: dict[str, object]) -> None:
        """Compare what AWS reports with what was asked for (contract 98).

        Args:
            name: The resource.
            found: What AWS reports.
            expected: What its fields have to say.

        Raises:
            ApplicationError: `byok.VerificationFailed`, a stop that names every field that differs.
        """
        reported = found.model_dump()
        wrong = [
            f"{field} is {reported[field]!r} and not {value!r}"
            for field, value in expected.items()
            if reported[field] != value
        ]
        if wrong:
            raise self.refuse("byok.VerificationFailed", f"{name}: {'; '.join(wrong)}.", Remedy.UNPROVED)

    def problem(
        self,
        code: str,
        message: str,
        remedy: Remedy,
        *,
        customer_key: bool = False,
        operation: str | None = None,
        request_id: str | None = None,
    ) -> Problem:
        """The problem of this step, with the customer's key only where that is at fault."""
        return problem(
            code,
            message,
            remedy,
            self.subject if customer_key else replace(self.subject, key=None, key_arn=None),
            phase=self.phase,
            at=datetime.now(UTC),
            operation=operation,
            request_id=request_id,
        )

    def _answered(self, error: ClientError) -> ApplicationError:
        service, row = rule_for(error, self.environment.key_arn(self.key))
        code = code_of(error)
        message = message_of(error) or f"{service} answered {code} and gave no reason."
        why = self.problem(
            f"{service}.{code}",
            message,
            row.remedy,
            customer_key=row.customer_key,
            operation=error.operation_name,
            request_id=error.response.get("ResponseMetadata", {}).get("RequestId"),
        )
        if row.outcome is Outcome.STOP:
            return _failure(why)
        if row.outcome is Outcome.STOP_AFTER_GRACE:
            return self._ambiguous(why)
        return _failure(why, retry=True)

    def _ambiguous(self, why: Problem) -> ApplicationError:
        """A refusal that a policy on its way would explain: tried again until the grace is over (D14).

        The grace begins with the first such refusal and not with the activity: a worker that comes late, or a throttle
        in between, uses none of it up.
        """
        first = load_from_previous_attempt(_FIRST_REFUSAL)
        if first is None:
            first = why.at.isoformat()
            save_for_retry(_FIRST_REFUSAL, first)
        left = timedelta(seconds=self.environment.key_grace_seconds) - (why.at - datetime.fromisoformat(first))
        if left <= timedelta(0):
            return _failure(why)
        pause = _GRACE_STEPS[min(activity.info().attempt, len(_GRACE_STEPS)) - 1]
        # The advice comes with the stop. It would be premature here, and too long for what Temporal keeps of a retry.
        asked_again = why.model_copy(update={"remediation": _ASKED_AGAIN.format(left=round(left.total_seconds()))})
        return _failure(asked_again, retry=True, delay=min(pause, left))


def with_partial_result(refusal: ApplicationError, resource: BaseModel) -> ApplicationError:
    """The same failure, with what was made before it: what is kept is told (D9)."""
    return ApplicationError(
        refusal.message,
        *refusal.details,
        resource,
        type=refusal.type,
        non_retryable=refusal.non_retryable,
        next_retry_delay=refusal.next_retry_delay,
        category=refusal.category,
    )


def _failure(why: Problem, *, retry: bool = False, delay: timedelta | None = None) -> ApplicationError:
    return ApplicationError(
        why.message,
        why,
        type=why.code,
        non_retryable=not retry,
        next_retry_delay=delay,
        category=_BENIGN if retry and why.key is None else ApplicationErrorCategory.UNSPECIFIED,
    )
