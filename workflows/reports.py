"""Sends reports from the workflows that change an environment to the environment's record."""

import asyncio
from datetime import datetime
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.environment_records import RecordActivities
    from byok.domain.models import EnvironmentProgress, RecordedProgress, RunReport, TenantProgress, TenantReport
from workflows.activity_options import OPEN_RECORD_OPTIONS, REPORT_OPTIONS
from workflows.attempts import AttemptRecorder
from workflows.cancellation import finish_despite_cancellation
from workflows.failures import PhaseStoppedError
from workflows.progress import find_requester

_T = TypeVar("_T")


class RunReporter:
    """Reports the start and the end of a run.

    A run sends no reports if it was refused, because of a quota or because another environment with the same id has a
    record.
    """

    def __init__(self, attempts: AttemptRecorder) -> None:
        self._attempts = attempts
        self._started = False
        self._resuming: asyncio.Task[Any] | None = None

    async def report_start(self, progress: EnvironmentProgress) -> None:
        """Report that this run has started.

        If the environment has no record, the report of a provisioning run begins one.

        Raises:
            PhaseStoppedError: The record belongs to another environment with the same id (contract 135).
            ActivityError: Temporal did not accept the report.
        """
        report = self._build(progress)
        answer = await workflow.execute_local_activity_method(
            RecordActivities.open_record, report, **OPEN_RECORD_OPTIONS
        )
        if answer.problem is not None:
            raise PhaseStoppedError((answer.problem,))
        self._started = True

    def report_resumption(self, progress: EnvironmentProgress) -> None:
        """Report that a reset has resumed this run, without waiting until Temporal accepts the report.

        A reset to a point after `report_start` does not execute `report_start` again.
        """
        if self._started:
            report = self._build(progress)
            self._resuming = workflow.start_local_activity_method(
                RecordActivities.open_record, report, **REPORT_OPTIONS
            )

    async def report_end(self, progress: EnvironmentProgress, *, cancelled: bool = False) -> EnvironmentProgress:
        """Report the outcome of this run, even while it is being cancelled, and return the progress to publish.

        If Temporal does not accept the report, the run ends without it. A run can be cancelled before it reports its
        start. If the record refuses such a run, the returned progress contains the refusal as the problem.

        Args:
            progress: The progress with the final phase, which the run has not published yet.
            cancelled: Whether the run ends because of a cancellation, possibly before it could report its start.
        """
        if self._resuming is not None:
            await _finish(self._resuming)
        report = self._build(progress, workflow.now())
        if self._started:
            await _finish(workflow.start_local_activity_method(RecordActivities.report_run, report, **REPORT_OPTIONS))
        elif cancelled:
            opening = workflow.start_local_activity_method(RecordActivities.open_record, report, **REPORT_OPTIONS)
            answer = await _finish(opening)
            if answer is not None and answer.problem is not None:
                return progress.model_copy(update={"problems": (answer.problem,)})
        return progress

    def _build(self, progress: EnvironmentProgress, ended_at: datetime | None = None) -> RunReport:
        attempt = self._attempts.describe(progress, ended_at)
        recorded = RecordedProgress.from_progress(progress)
        return RunReport(progress=recorded, attempt=attempt, requester=find_requester())


async def report_tenant(progress: TenantProgress, *, completed: bool) -> None:
    """Report the outcome of a tenant run, even while it is being cancelled."""
    report = TenantReport(
        environment_id=progress.request.environment_id,
        organisation=progress.request.organisation,
        role_arn=progress.confirmed_role_arn,
        outcome=progress.outcome,
        problems=progress.problems,
        completed=completed,
        ended_at=workflow.now(),
    )
    await _finish(workflow.start_local_activity_method(RecordActivities.report_tenant, report, **REPORT_OPTIONS))


async def _finish(report: asyncio.Task[_T]) -> _T | None:
    try:
        return await finish_despite_cancellation(report)
    except ActivityError as error:
        workflow.logger.warning("the record of the environment was not updated", exc_info=error)
        return None
