"""Extract the `Problem` from a failed activity, and fail a workflow with that problem."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from byok.domain.models import (
        CheckKeysRequest,
        DeleteRequest,
        Problem,
        ReconcileTenantRequest,
        RecordModel,
        RegionRequest,
    )
    from byok.domain.phases import Phase, RequestKind
    from byok.domain.problems.build import build_problem
    from byok.domain.problems.remediation import Remedy, RemedyContext, build_remediation
    from byok.domain.vendor import VendorProfile
from workflows.cancellation import is_cancelling

_Made = TypeVar("_Made", bound=RecordModel)

_REQUEST_KINDS: Final = {
    CheckKeysRequest: RequestKind.KEY_CHECK,
    ReconcileTenantRequest: RequestKind.TENANT,
    DeleteRequest: RequestKind.DELETION,
}


class PhaseStoppedError(Exception):
    """A phase ended with one or more problems, which byok reports together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(item.message for item in problems))
        self.problems = tuple(problems)


def extract_problem(error: BaseException, request: RegionRequest, phase: Phase, at: datetime) -> Problem:
    """Return the first of the problems that `extract_problems` returns."""
    return extract_problems(error, request, phase, at)[0]


def extract_problems(error: BaseException, request: RegionRequest, phase: Phase, at: datetime) -> tuple[Problem, ...]:
    """Return the problems that ended an activity or a phase; for a cancellation, the problem `byok.Cancelled`.

    An activity's failure can contain a problem for each key. If an activity timed out after an AWS error, the problem
    describes that error and not the timeout. If byok held the environment before the activity ended, the problem's
    remediation states how long the hold lasted.

    Args:
        error: The exception that ended the activity or the workflow.
        request: The workflow's request.
        phase: The workflow's phase, used only if the activity's failure contains no problem.
        at: The workflow's current time.
    """
    if isinstance(error, PhaseStoppedError):
        return error.problems
    if is_cancellation(error):
        return (_own_problem("byok.Cancelled", "Cancelled on request.", Remedy.CANCELLED, request, phase, at),)
    cause = error.__cause__
    while cause is not None:
        if isinstance(cause, ApplicationError):
            code = f"worker.{cause.type or 'Error'}"
            found = tuple(_after_hold(problem, request, at) for problem in _details_of(cause, Problem))
            return found or (_own_problem(code, str(cause), Remedy.PLATFORM_OPERATOR, request, phase, at),)
        cause = cause.__cause__
    return (_own_problem("worker.Timeout", _timeout_message(error), Remedy.WAIT, request, phase, at),)


def is_cancellation(error: BaseException) -> bool:
    """Return whether an error is the result of a cancellation request.

    If an attempt fails after the workflow was cancelled, the server does not retry the activity and reports the
    attempt's failure instead of a cancellation. If the failure is retryable, only the cancellation request prevented a
    retry, so the failure counts as a cancellation.
    """
    return is_cancelled_exception(error) or (
        is_cancelling() and isinstance(error, ActivityError) and not is_non_retryable(error)
    )


def is_non_retryable(error: BaseException) -> bool:
    """Return whether an activity failed with an error that Temporal does not retry."""
    return isinstance(error.__cause__, ApplicationError) and error.__cause__.non_retryable


def extract_partial_result(error: ActivityError, kind: type[_Made]) -> _Made | None:
    """Return the resource that an activity created before it failed, or None if the failure does not contain one."""
    return next(_details_of(error.__cause__, kind), None)


def _details_of(error: BaseException | None, kind: type[_Made]) -> Iterator[_Made]:
    """Yield each detail of a failure that is a valid instance of the given model."""
    for detail in error.details if isinstance(error, ApplicationError) else ():
        with contextlib.suppress(ValidationError):
            yield kind.model_validate(detail)


def _after_hold(problem: Problem, request: RegionRequest, at: datetime) -> Problem:
    """Rewrite the remediation of a problem for which byok held the environment.

    The original remediation no longer applies once the hold is over (contract 151).
    """
    if problem.held_since is None:
        return problem
    context = _remedy_context(request)
    minutes = int((at - problem.held_since).total_seconds() // 60)
    lasted = f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - an hour
    remedy = build_remediation(Remedy.HELD_TOO_LONG, context)
    held = f"byok held for {lasted}, since {problem.held_since:%Y-%m-%d %H:%M:%S} UTC."
    told = remedy.model_copy(update={"explanation": f"{held} {remedy.explanation}"})
    return problem.model_copy(update={"remediation": told})


def _remedy_context(request: RegionRequest) -> RemedyContext:
    request_kind = _REQUEST_KINDS.get(type(request), RequestKind.ENVIRONMENT)
    return RemedyContext(request.region, None, VendorProfile(), request_kind=request_kind, profile=request.profile)


def _own_problem(
    code: str, message: str, remedy: Remedy, request: RegionRequest, phase: Phase, at: datetime
) -> Problem:
    return build_problem(code, message, remedy, _remedy_context(request), phase=phase, at=at)


def _timeout_message(error: BaseException) -> str:
    what = error.activity_type if isinstance(error, ActivityError) else "The activity"
    why = error.__cause__
    kind = why.type.name.lower().replace("_", " ") if isinstance(why, TimeoutError) and why.type else "timeout"
    return f"{what} did not finish in time ({kind}), and AWS reported no reason."


def to_workflow_failure(error: BaseException, what: str, problems: Sequence[Problem]) -> BaseException:
    """Return the exception that a stopped workflow must raise: a cancellation, or a failure.

    The failure has a headline for Temporal's UI, and its details contain all problems.

    Args:
        error: The error that stopped the workflow.
        what: What stopped, such as "Environment acme". The headline starts with this text.
        problems: The problems that the workflow has published.
    """
    if is_cancellation(error):
        return asyncio.CancelledError("cancelled on request")
    first, *others = problems
    more = f" (and {len(others)} more)" if others else ""
    headline = f"{what} stopped in {first.phase}: {first.code}: {first.message}{more}"
    return ApplicationError(headline, *problems, type=first.code, non_retryable=True)
