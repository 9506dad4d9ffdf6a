"""Builds the problem for a workflow that ended without reporting an outcome."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio.client import WorkflowExecution
from temporalio.exceptions import ApplicationError, FailureError

from byok.contracts import INVALID_INPUT_ERROR_TYPE, INVALID_INPUT_PROBLEM_CODE, first_phase
from byok.domain.models import EnvironmentProgress, Problem, RecordedProgress, TimelineEntry
from byok.domain.phases import Phase
from byok.domain.remediation import Actor, Remediation, RemedyStep, RetryRequest, RetryValues

UNREPORTED_END_CODE: Final = "byok.Ended"
"""The problem code for a run that ended without reporting an outcome."""

_ENDED: Final = "The workflow ended before it was finished"
_CREATE_AGAIN: Final = Remediation.of_retry(
    _ENDED, "Retry with the same values: existing resources are adopted.", RetryRequest.REPLAY
)
_DELETE_AGAIN: Final = Remediation.of_retry(
    _ENDED, "Retry the deletion: resources that are already deleted are skipped.", RetryRequest.DELETE
)


@dataclass(frozen=True)
class HistoryLoaders:
    """Loads values that only the workflow's history contains.

    Attributes:
        failure: Loads the workflow's failure or termination; None if the workflow ended in any other way.
        task_failure: Loads the reason why the last workflow task failed.
        input_error: Loads the reason why the workflow's input is invalid; None if the input is valid.
        stopped_timeline: Loads the timeline of the attempt that stopped last; empty if no attempt has stopped.
    """

    failure: Callable[[], Awaitable[FailureError | None]]
    task_failure: Callable[[], Awaitable[str | None]]
    input_error: Callable[[], Awaitable[str | None]]
    stopped_timeline: Callable[[], Awaitable[tuple[TimelineEntry, ...]]]


async def problem_of_unreported_end(
    described: WorkflowExecution, progress: EnvironmentProgress | None, fetch: HistoryLoaders
) -> Problem:
    """Build the problem for a workflow that ended without reporting an outcome, for example due to invalid input."""
    phase = progress.phase if progress else first_phase(described.workflow_type)
    region = progress.request.region if progress else ""
    deletion, failure = phase is Phase.DELETING, await fetch.failure()
    ended = problem_of_end(described, failure, phase, region, _DELETE_AGAIN if deletion else _CREATE_AGAIN)
    if isinstance(failure, ApplicationError) and failure.type != INVALID_INPUT_ERROR_TYPE:
        operator = RemedyStep(
            text="Find the cause in the workflow's history in Temporal, and fix it.", actor=Actor.PLATFORM_OPERATOR
        )
        steps = (operator, *ended.remediation.steps)
        remedy = Remediation(title="The workflow failed with an error that byok did not expect", steps=steps)
        return ended.model_copy(
            update={"code": "byok.WorkflowFailed", "message": failure.message, "remediation": remedy}
        )
    if isinstance(failure, ApplicationError):
        message = failure.message
    else:
        # If the workflow has reported progress, its input was valid.
        invalid = None if progress else await fetch.input_error()
        if invalid is None:
            return ended
        message = f"{ended.message} Its input is invalid: {invalid}"
    remedy = Remediation.of_retry(
        "The workflow's input is invalid",
        f"Correct the input, then {'start the deletion' if deletion else 'create the environment'} again.",
        RetryRequest.DELETE if deletion else RetryRequest.CREATE,
        RetryValues.CORRECTED,
    )
    return ended.model_copy(update={"code": INVALID_INPUT_PROBLEM_CODE, "message": message, "remediation": remedy})


def problem_of_forgotten_end(progress: RecordedProgress) -> Problem:
    """Build the problem for a run that did not report its outcome before Temporal deleted the workflow."""
    return Problem(
        code=UNREPORTED_END_CODE,
        message="The workflow ended without reporting an outcome, and Temporal has since deleted its history.",
        phase=progress.phase,
        region=progress.request.region,
        at=progress.timeline[-1].entered_at if progress.timeline else datetime.now(UTC),
        remediation=_DELETE_AGAIN if progress.phase is Phase.DELETING else _CREATE_AGAIN,
    )


def problem_of_end(
    execution: WorkflowExecution, failure: FailureError | None, phase: Phase, region: str, again: Remediation
) -> Problem:
    """Build the problem for a workflow that timed out, or that was terminated or cancelled in Temporal."""
    how = execution.status.name.lower().replace("_", " ") if execution.status else "ended"
    why = f" ({failure.message})" if failure and failure.message else ""
    return Problem(
        code=UNREPORTED_END_CODE,
        message=f"The workflow was {how} in Temporal before it finished{why}.",
        phase=phase,
        region=region,
        at=execution.close_time or datetime.now(UTC),
        remediation=again,
    )
