"""Reads the `Problem` out of a failed activity, and ends a workflow with it."""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from byok.domain.models import CheckKeysRequest, DeleteRequest, Problem, ReconcileTenantRequest, RecordModel
    from byok.domain.phases import Phase, RequestKind
    from byok.domain.problems.build import build_problem
    from byok.domain.problems.remediation import Remedy, RemedyContext
    from byok.domain.vendor import VendorProfile
from workflows.cancellation import is_cancelling

_Made = TypeVar("_Made", bound=RecordModel)

_REQUEST_KINDS: Final = {ReconcileTenantRequest: RequestKind.TENANT, DeleteRequest: RequestKind.DELETION}


class PhaseStoppedError(Exception):
    """A phase ended with problems; they are reported together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(item.message for item in problems))
        self.problems = tuple(problems)


def extract_problem(error: BaseException, request: CheckKeysRequest, phase: Phase, at: datetime) -> Problem:
    """The problem an activity ended with, or the cancellation of the workflow as one.

    An activity that ran out of time has the last thing AWS said as cause: that is the problem, and not the timeout.

    Args:
        error: What the activity or the workflow ended with.
        request: Whom it was for.
        phase: Where the workflow was; used only where the activity left no problem of its own.
        at: The workflow's time; likewise.
    """
    if is_cancellation(error):
        return _own_problem("byok.Cancelled", "Cancelled on request.", Remedy.CANCELLED, request, phase, at)
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, ApplicationError):
            return _detail_of(cause, Problem) or _own_problem(
                f"worker.{cause.type or 'Error'}", str(cause), Remedy.PLATFORM_OPERATOR, request, phase, at
            )
        cause = cause.__cause__
    return _own_problem("worker.Timeout", _timeout_message(error), Remedy.WAIT, request, phase, at)


def extract_problems(
    error: BaseException, request: CheckKeysRequest, phase: Phase, at: datetime
) -> tuple[Problem, ...]:
    """Every problem that something ended with; see `extract_problem`."""
    return error.problems if isinstance(error, PhaseStoppedError) else (extract_problem(error, request, phase, at),)


def is_cancellation(error: BaseException) -> bool:
    """Whether something ended because somebody asked for it.

    An attempt that fails after the wish has come is not tried again, and the server reports its failure instead of a
    cancellation: without the wish it would have gone on.
    """
    return is_cancelled_exception(error) or (
        is_cancelling() and isinstance(error, ActivityError) and not is_non_retryable(error)
    )


def is_non_retryable(error: BaseException) -> bool:
    """Whether an activity would not have been tried again."""
    return isinstance(error.__cause__, ApplicationError) and error.__cause__.non_retryable


def extract_partial_result(error: ActivityError, kind: type[_Made]) -> _Made | None:
    """What a failed activity had made by then, None where it does not say."""
    return _detail_of(error.__cause__, kind)


def _detail_of(error: BaseException | None, kind: type[_Made]) -> _Made | None:
    """What a failure has among its details."""
    for detail in error.details if isinstance(error, ApplicationError) else ():
        with contextlib.suppress(ValidationError):
            return kind.model_validate(detail)
    return None


def _own_problem(
    code: str, message: str, remedy: Remedy, request: CheckKeysRequest, phase: Phase, at: datetime
) -> Problem:
    request_kind = _REQUEST_KINDS.get(type(request), RequestKind.ENVIRONMENT)
    subject = RemedyContext(request.region, None, VendorProfile(), request_kind=request_kind)
    return build_problem(code, message, remedy, subject, phase=phase, at=at)


def _timeout_message(error: BaseException) -> str:
    what = error.activity_type if isinstance(error, ActivityError) else "The step"
    why = error.__cause__
    kind = why.type.name.lower().replace("_", " ") if isinstance(why, TimeoutError) and why.type else "timeout"
    return f"{what} was not finished in time ({kind}), and AWS had not said why."


def to_workflow_failure(error: BaseException, what: str, problems: Sequence[Problem]) -> BaseException:
    """What a workflow that stopped is to raise: its cancellation, or a failure.

    The failure has a headline for Temporal's UI, and every problem in its details.

    Args:
        error: What stopped it.
        what: What stopped, for the headline.
        problems: What was published of it.
    """
    if is_cancellation(error):
        return asyncio.CancelledError("cancelled on request")
    first, *others = problems
    more = f" (and {len(others)} more)" if others else ""
    headline = f"{what} stopped in {first.phase}: {first.code}: {first.message}{more}"
    return ApplicationError(headline, *problems, type=first.code, non_retryable=True)
