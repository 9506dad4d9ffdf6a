"""Reports to the record of an environment, from the workflows that change the environment."""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.environment_records import RecordActivities
    from byok.domain.models import EnvironmentProgress, RunReport, TenantProgress, TenantReport
from workflows.activity_options import OPEN_RECORD_OPTIONS, REPORT_OPTIONS
from workflows.attempts import AttemptRecorder
from workflows.cancellation import finish_despite_cancellation
from workflows.failures import PhaseStoppedError
from workflows.progress import find_requester


class RunReporter:
    """Reports the start and the end of a run.

    A run that was refused reports nothing, because a quota or the record of another environment with the same id
    refused it.
    """

    def __init__(self, attempts: AttemptRecorder) -> None:
        self._attempts = attempts
        self._started = False

    async def report_start(self, progress: EnvironmentProgress) -> None:
        """Report that this run has started. If the environment has no record, this begins it.

        Raises:
            PhaseStoppedError: The record belongs to another environment with the same id (contract 135).
            ActivityError: Temporal did not accept the report.
        """
        report = RunReport(progress=progress, attempt=self._attempts.describe(progress), requester=find_requester())
        answer = await workflow.execute_local_activity_method(
            RecordActivities.open_record, report, **OPEN_RECORD_OPTIONS
        )
        if answer.problem is not None:
            raise PhaseStoppedError((answer.problem,))
        self._started = True

    async def report_end(self, progress: EnvironmentProgress, *, cancelled: bool = False) -> None:
        """Report how this run ends, even while it is being cancelled.

        If Temporal does not accept the report, the run ends without it.

        Args:
            progress: The progress with the final phase, which the run has not published yet.
            cancelled: Whether the run ends because of a cancellation, possibly before it could report its start.
        """
        if not self._started and not cancelled:
            return
        attempt = self._attempts.describe(progress, workflow.now())
        report = RunReport(progress=progress, attempt=attempt, requester=find_requester())
        if self._started:
            await _send(workflow.start_local_activity_method(RecordActivities.report_run, report, **REPORT_OPTIONS))
        else:
            await _send(workflow.start_local_activity_method(RecordActivities.open_record, report, **REPORT_OPTIONS))


async def report_tenant(progress: TenantProgress, *, completed: bool) -> None:
    """Report how a tenant run ends, even if it has been cancelled."""
    report = TenantReport(progress=progress, completed=completed, ended_at=workflow.now())
    await _send(workflow.start_local_activity_method(RecordActivities.report_tenant, report, **REPORT_OPTIONS))


async def _send(report: asyncio.Task[Any]) -> None:
    try:
        await finish_despite_cancellation(report)
    except ActivityError as error:
        workflow.logger.warning("the record of the environment was not updated", exc_info=error)
