"""Builds the problem of a workflow that ended without reporting one."""

from datetime import UTC, datetime

from temporalio.client import WorkflowExecution
from temporalio.exceptions import ApplicationError, FailureError

from byok.contracts import INVALID_INPUT_ERROR_TYPE, first_phase
from byok.domain.models import EnvironmentProgress, Problem
from byok.domain.phases import Phase


def problem_of_unreported_end(
    described: WorkflowExecution, progress: EnvironmentProgress | None, failure: FailureError | None
) -> Problem:
    """Build the problem of a workflow that ended without reporting one, from its failure or its status in Temporal."""
    phase = progress.phase if progress else first_phase(described.workflow_type)
    region = progress.request.region if progress else ""
    if isinstance(failure, ApplicationError) and failure.type == INVALID_INPUT_ERROR_TYPE:
        code, message = "byok.InvalidInput", failure.message
        remedy = "Correct the input and start again. Nothing was created."
    elif isinstance(failure, ApplicationError):
        code, message = "byok.WorkflowFailed", failure.message
        remedy = "The platform's operator must fix this: see the workflow's history in Temporal."
    elif phase is Phase.DELETING:
        again = "Retry the deletion: resources that are already deleted are skipped."
        return problem_of_end(described, failure, phase, region, again)
    else:
        again = "Retry with the same values: existing resources are adopted."
        return problem_of_end(described, failure, phase, region, again)
    at = described.close_time or datetime.now(UTC)
    return Problem(code=code, message=message, phase=phase, region=region, at=at, remediation=remedy)


def problem_of_end(
    execution: WorkflowExecution, failure: FailureError | None, phase: Phase, region: str, again: str
) -> Problem:
    """Build the problem of a workflow that was terminated, cancelled or timed out in Temporal."""
    how = execution.status.name.lower().replace("_", " ") if execution.status else "ended"
    why = f" ({failure.message})" if failure and failure.message else ""
    return Problem(
        code="byok.Ended",
        message=f"The workflow was {how} in Temporal before it finished{why}.",
        phase=phase,
        region=region,
        at=execution.close_time or datetime.now(UTC),
        remediation=again,
    )
