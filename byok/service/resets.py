"""Detects whether a run was reset and is still waiting for a worker to continue it."""

from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from byok.domain.models import EnvironmentProgress


def is_resuming(execution: WorkflowExecution, progress: EnvironmentProgress | None) -> bool:
    """Return whether a run was reset and has not published its progress since.

    A run was reset if its chain contains an earlier run. Both of the times that this function compares come from the
    Temporal server.
    """
    if execution.status is not WorkflowExecutionStatus.RUNNING or progress is None or not progress.timeline:
        return False
    was_reset = execution.raw_info.first_run_id not in ("", execution.run_id)
    return was_reset and progress.timeline[-1].entered_at < execution.start_time
