"""Turns what AWS answers into the failure that Temporal sees: the one place that does."""

from collections.abc import Iterator
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
from byok.domain.arns import KeyPurpose
from byok.domain.models import Environment, Problem
from byok.domain.phases import Phase, RequestKind
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.vendor import VendorProfile

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
    def remedy_context(self) -> RemedyContext:
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
            raise self._failure_of_answer(error) from error
        except (ConnectionError, ConnectionClosedError, HTTPClientError) as error:
            code = f"network.{type(error).__name__}"
            raise _failure(self.build_problem(code, str(error), Remedy.WAIT), retry=True) from error
        except _NO_CREDENTIALS as error:
            code = f"aws.{type(error).__name__}"
            raise _failure(self.build_problem(code, str(error), Remedy.PLATFORM_CREDENTIALS)) from error
        except BotoCoreError as error:
            code = f"aws.{type(error).__name__}"
            raise _failure(self.build_problem(code, str(error), Remedy.PLATFORM_OPERATOR)) from error

    def non_retryable_error(
        self, code: str, message: str, remedy: Remedy, *, customer_key: bool = False
    ) -> ApplicationError:
        """A stop that is ours to declare: a conflict, a lost key, a proof that fails."""
        return _failure(self.build_problem(code, message, remedy, customer_key=customer_key))

    def retry_later_error(self, code: str, message: str, delay: timedelta) -> ApplicationError:
        """Not there yet: the same again after a delay, without a failure being counted."""
        why = self.build_problem(code, message, Remedy.WAIT)
        return ApplicationError(message, why, type=code, next_retry_delay=delay, category=_BENIGN)

    def require_match(self, name: str, found: BaseModel, expected: dict[str, object]) -> None:
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
        """The problem of this step, with the customer's key only where that is at fault."""
        return build_problem(
            code,
            message,
            remedy,
            self.remedy_context if customer_key else replace(self.remedy_context, key=None, key_arn=None),
            phase=self.phase,
            at=datetime.now(UTC),
            operation=operation,
            request_id=request_id,
        )

    def _failure_of_answer(self, error: ClientError) -> ApplicationError:
        service, row = find_service_and_rule(error, self.environment.key_arn(self.key))
        code = get_error_code(error)
        message = get_error_message(error) or f"{service} answered {code} and gave no reason."
        why = self.build_problem(
            f"{service}.{code}",
            message,
            row.remedy,
            customer_key=row.customer_key,
            operation=error.operation_name,
            request_id=error.response.get("ResponseMetadata", {}).get("RequestId"),
        )
        if row.outcome is ErrorOutcome.STOP:
            return _failure(why)
        if row.outcome is ErrorOutcome.STOP_AFTER_GRACE:
            return self._retry_within_grace(why)
        return _failure(why, retry=True)

    def _retry_within_grace(self, why: Problem) -> ApplicationError:
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
