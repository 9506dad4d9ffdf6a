"""Translate AWS errors into the failures that Temporal records. All activities use this module to handle AWS errors."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)
from pydantic import BaseModel
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.aws_errors import find_service_and_rule, get_error_code, get_error_message
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from activities.holds import continue_hold, has_patience_for
from byok.domain.arns import KeyPurpose
from byok.domain.models import Environment, Problem
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.remediation import Remediation, RetryRequest
from byok.domain.vendor import VendorProfile

_FIRST_REFUSAL: Final = "first-refusal"
_GRACE_STEPS: Final = (timedelta(seconds=1), timedelta(seconds=2), timedelta(seconds=4))
"""The pauses between retries of a call that failed with an ambiguous access-denied error. The last pause is repeated
until the grace period ends. Most policy changes propagate within 1 to 2 s.
"""

_NOTHING_TO_DO: Final = Remediation.of_retry(
    "The platform has a technical problem",
    "No action is needed: byok retries by itself.",
    RetryRequest.NONE,
    explanation="This is a platform fault.",
)

_NO_CREDENTIALS: Final = (
    CredentialRetrievalError,
    MetadataRetrievalError,
    NoCredentialsError,
    PartialCredentialsError,
    SSOError,
    TokenRetrievalError,
)

_RETRY_INTERVAL: Final = timedelta(seconds=5)
"""The maximum interval between retries of a call on a busy resource; see `workflows/activity_options.py`."""

_BENIGN: Final = ApplicationErrorCategory.BENIGN


@dataclass(frozen=True)
class ActivityContext:
    """The context of an activity: its environment, its phase, and the other values that are needed to build a problem.

    Attributes:
        key: Which of the environment's keys the activity's calls use.
        request_kind: The kind of request that the user repeats once a problem is fixed.
    """

    environment: Environment
    vendor: VendorProfile
    phase: Phase
    key: KeyPurpose
    request_kind: RequestKind = RequestKind.ENVIRONMENT

    @property
    def remedy_context(self) -> RemedyContext:
        """The values to insert into a remedy for a problem with this activity's key."""
        return RemedyContext(
            self.environment.region,
            self.environment.platform_role_arn,
            self.vendor,
            self.key,
            self.environment.key_arn(self.key),
            self.request_kind,
            self.environment.profile,
            self.environment.key_arn(self.key.other),
            self.environment.organisation,
        )

    @contextmanager
    def translate_aws_errors(self) -> Iterator[None]:
        """Translate every botocore exception into the failure that Temporal records.

        Raises:
            ApplicationError: AWS returned an error, or a call failed. The type is `<service>.<error code>`, and the
                details contain a `Problem`. The error is non-retryable if the workflow must stop. If the cause is a
                platform fault, the error is retryable, with a growing delay (contract 151).
        """
        try:
            yield
        except ClientError as error:
            raise self._failure_of_answer(error) from error
        except (ConnectionError, ConnectionClosedError, HTTPClientError) as error:
            code = f"network.{type(error).__name__}"
            raise _hold(self.build_problem(code, str(error), Remedy.WAIT)) from error
        except _NO_CREDENTIALS as error:
            code = f"aws.{type(error).__name__}"
            raise _hold(self.build_problem(code, str(error), Remedy.PLATFORM_CREDENTIALS)) from error
        except BotoCoreError as error:
            code = f"aws.{type(error).__name__}"
            raise _failure(self.build_problem(code, str(error), Remedy.PLATFORM_OPERATOR)) from error

    def non_retryable_error(
        self, code: str, message: str, remedy: Remedy, *, customer_key: bool = False
    ) -> ApplicationError:
        """Build the error for a stop that was not caused by an AWS error.

        The cause is a conflict, the loss of access to a key, or a failed verification.
        """
        return _failure(self.build_problem(code, message, remedy, customer_key=customer_key))

    def retry_later_error(self, code: str, message: str, delay: timedelta) -> ApplicationError:
        """Build the error for a resource that is not ready yet. Temporal retries after the delay.

        The error is benign, so Temporal does not count it as a failure. If the activity has reached its maximum waiting
        time, the error stops the workflow.
        """
        why = self.build_problem(code, message, Remedy.WAIT)
        if not has_patience_for(delay):
            return _failure(why)
        return ApplicationError(message, why, type=code, next_retry_delay=delay, category=_BENIGN)

    def require_match(self, name: str, found: BaseModel, expected: dict[str, object]) -> None:
        """Compare what AWS reports with the request (contract 98).

        Args:
            name: The name of the resource.
            found: The resource's fields, as AWS reports them.
            expected: The required values of the resource's fields.

        Raises:
            ApplicationError: `byok.VerificationFailed`, if a field differs from the request. The error contains every
                field that differs, with the expected and the actual value.
        """
        reported = found.model_dump()
        wrong = [
            f"{field} is {reported[field]!r}, expected {value!r}"
            for field, value in expected.items()
            if reported[field] != value
        ]
        if wrong:
            raise self.non_retryable_error("byok.VerificationFailed", f"{name}: {'; '.join(wrong)}.", Remedy.UNPROVED)

    def build_problem(
        self,
        code: str,
        message: str,
        remedy: Remedy,
        *,
        customer_key: bool = False,
        operation: str | None = None,
        request_id: str | None = None,
    ) -> Problem:
        """Build a problem for this activity.

        The problem contains the ARN of a customer's key only if the key is at fault.

        If the keys are platform-managed, only the platform can fix a problem with a key.
        """
        context = self.remedy_context
        if customer_key and self.key not in self.environment.customer_keys:
            remedy, context = Remedy.PLATFORM_MANAGED_KEY, replace(context, key=None)
        elif not customer_key:
            context = replace(context, key=None, key_arn=None)
        return build_problem(
            code,
            message,
            remedy,
            context,
            phase=self.phase,
            at=datetime.now(UTC),
            operation=operation,
            request_id=request_id,
        )

    def _failure_of_answer(self, error: ClientError) -> ApplicationError:
        key_arn, role = self.environment.key_arn(self.key), self.environment.platform_role_arn
        service, row = find_service_and_rule(error, key_arn, role)
        code = get_error_code(error)
        message = get_error_message(error) or f"{service} returned {code} without a message."
        why = self.build_problem(
            f"{service}.{code}",
            message,
            row.remedy,
            customer_key=row.customer_key,
            operation=error.operation_name,
            request_id=error.response.get("ResponseMetadata", {}).get("RequestId"),
        )
        if row.outcome is ErrorOutcome.HOLD:
            return _hold(why)
        if row.outcome is ErrorOutcome.STOP or not has_patience_for(_RETRY_INTERVAL):
            return _failure(why)
        if row.outcome is ErrorOutcome.STOP_AFTER_GRACE:
            return self._retry_within_grace(why)
        return _failure(why, retry=True)

    def _retry_within_grace(self, why: Problem) -> ApplicationError:
        """Build an error that is retryable until the grace period ends, in case a policy change is propagating (D14).

        The grace period starts with the first access-denied error, not with the activity. A worker that starts late, or
        an earlier throttling error, therefore does not shorten the grace period.
        """
        if self.environment.key_grace_seconds == 0:
            return _failure(why)
        first = load_from_previous_attempt(_FIRST_REFUSAL)
        if first is None:
            first = why.at.isoformat()
            save_for_retry(_FIRST_REFUSAL, first)
        left = timedelta(seconds=self.environment.key_grace_seconds) - (why.at - datetime.fromisoformat(first))
        if left <= timedelta(0):
            return _failure(why)
        pause = _GRACE_STEPS[min(activity.info().attempt, len(_GRACE_STEPS)) - 1]
        # Users see the remedy only once the activity stops. While Temporal still retries, the remedy would be
        # premature, and the failure would exceed Temporal's size limit for retried attempts.
        wait = f"byok retries for another {round(left.total_seconds())} s."
        remedy = Remediation.of_retry("A key change may still be propagating", wait, RetryRequest.NONE)
        asked_again = why.model_copy(update={"remediation": remedy})
        return _failure(asked_again, retry=True, delay=min(pause, left))


def stop_with_problems(problems: Sequence[Problem]) -> ApplicationError:
    """Build the error for a stop with several problems, such as one for each key."""
    first = problems[0]
    return ApplicationError(first.message, *problems, type=first.code, non_retryable=True)


def retried_later(refusal: ApplicationError, delay: timedelta) -> ApplicationError:
    """Return a retryable version of a failure, for work that must not be abandoned."""
    return ApplicationError(
        refusal.message, *refusal.details, type=refusal.type, next_retry_delay=delay, category=refusal.category
    )


def with_partial_result(refusal: ApplicationError, resource: BaseModel) -> ApplicationError:
    """Return a copy of a failure, with a resource added to its details.

    The activity created or adopted the resource before it failed, and byok must report every resource that it keeps
    (D9).
    """
    return ApplicationError(
        refusal.message,
        *refusal.details,
        resource,
        type=refusal.type,
        non_retryable=refusal.non_retryable,
        next_retry_delay=refusal.next_retry_delay,
        category=refusal.category,
    )


def _hold(why: Problem) -> ApplicationError:
    """Build the error for a platform fault, with a message that states when the hold began (contract 151).

    Temporal's UI shows the error's message next to the pending activity. The error does not contain the remedy, which
    applies only if the fault lasts so long that the environment stops.
    """
    since, pause = continue_hold()
    held = why.model_copy(update={"held_since": since, "remediation": _NOTHING_TO_DO})
    message = f"Holding since {since:%Y-%m-%d %H:%M:%S} UTC: {why.message} byok retries by itself."
    return ApplicationError(message, held, type=why.code, next_retry_delay=pause, category=_BENIGN)


def _failure(why: Problem, *, retry: bool = False, delay: timedelta | None = None) -> ApplicationError:
    return ApplicationError(
        why.message,
        why,
        type=why.code,
        non_retryable=not retry,
        next_retry_delay=delay,
        category=_BENIGN if retry and why.key is None else ApplicationErrorCategory.UNSPECIFIED,
    )
