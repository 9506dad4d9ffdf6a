"""Activities that report to the record of an environment. All of them run as local activities."""

from collections.abc import Sequence
from datetime import UTC, datetime

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.run_records import UNKNOWN_SUBJECT, RunHistory
from byok.audit.record import AuditOutcome
from byok.contracts import ID_IN_USE_CODE
from byok.domain.models import (
    EnvironmentRecordState,
    Problem,
    RecordConflict,
    RunReport,
    TenantReport,
)
from byok.domain.notifications import WebhookEndpoint, build_run_notification
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.vendor import VendorProfile
from byok.temporal_deliveries import start_deliveries
from byok.temporal_records import FoundRecord, UnreadableRecordError, find_record, send_report


class RecordActivities:
    """Sends reports to the environments' records, and starts the deliveries of notifications.

    Sending the same report again has no further effect.

    Args:
        endpoints: The endpoints to which byok delivers notifications.
    """

    def __init__(self, endpoints: Sequence[WebhookEndpoint] = ()) -> None:
        self._endpoints = tuple(endpoints)

    @activity.defn
    async def open_record(self, report: RunReport) -> RecordConflict:
        """Report a run, and begin the record if the environment has no record yet.

        If the record belongs to another environment with the same id, report nothing and return the conflict.

        Raises:
            ApplicationError: A newer version of byok has written the record.
            RPCError: Temporal does not respond.
        """
        found = await find_record(activity.client(), report.progress.request.environment_id)
        if found is not None and found.is_open:
            problem = _find_conflict(report, await _read_state(found))
            if problem is not None:
                return RecordConflict(problem=problem)
        if report.attempt.ended_at is None:
            await _send(report)
        else:
            await self._report_end(report)
        return RecordConflict()

    @activity.defn
    async def report_run(self, report: RunReport) -> None:
        """Report that a reset has resumed this run, or report the outcome of this run.

        Raises:
            RPCError: Temporal does not respond.
        """
        await self._report_end(report)

    @activity.defn
    async def report_tenant(self, report: TenantReport) -> None:
        """Report the end of a tenant run.

        Raises:
            RPCError: Temporal does not respond.
        """
        await _send(report)

    async def _report_end(self, report: RunReport) -> None:
        """Report the outcome of a run, and start the deliveries to the endpoints.

        If the worker is killed between the two steps, Temporal repeats the activity, so no notification is lost
        (contract 144).
        """
        await _send(await _with_author(report))
        notification = build_run_notification(report)
        if notification is not None:
            await start_deliveries(activity.client(), activity.info().task_queue, notification, self._endpoints)


async def _read_state(found: FoundRecord) -> EnvironmentRecordState:
    try:
        return await found.read_state()
    except UnreadableRecordError as error:
        raise ApplicationError(str(error), type="byok.UnreadableRecord", non_retryable=True) from error


async def _send(report: RunReport | TenantReport) -> None:
    await send_report(activity.client(), activity.info().task_queue, report)


async def _with_author(report: RunReport) -> RunReport:
    """Add the requester of the attempt, and the reason for the request (contract 148).

    If the attempt began with a reset, only the run's history shows who made the request.
    """
    info = activity.info()
    if info.workflow_id is None or info.workflow_run_id is None:  # only a test can call this outside a workflow
        raise AssertionError("report_run was called outside a workflow")
    history = await RunHistory.fetch(activity.client(), info.workflow_id, info.workflow_run_id)
    record = await history.build_start_record(AuditOutcome.ACCEPTED)
    if record is None:
        return report
    by = None if record.requester.subject == UNKNOWN_SUBJECT else record.requester.subject
    update = {"by": by, "reason": record.requester.reason}
    return report.model_copy(update={"attempt": report.attempt.model_copy(update=update)})


def _find_conflict(report: RunReport, state: EnvironmentRecordState) -> Problem | None:
    """Return the problem that prevents the run from changing the environment, if any (contract 135)."""
    request = report.progress.request
    if state.latest is None or state.is_deleted:
        return None
    name, region, remedy = request.environment_id, state.possible_region, Remedy.ID_IN_USE
    if state.latest.progress.request.organisation != request.organisation:
        message = f"The name {name} is not available."
        if request.deletion:
            message, remedy = (
                f"The request to delete {name} does not specify the organisation that owns {name}.",
                Remedy.OTHER_OWNER,
            )
    elif not request.deletion and region not in (None, request.region):
        message = f"{name} exists in {region}, so it cannot be created in {request.region}."
    else:
        return None
    context = RemedyContext(request.region, None, VendorProfile(), organisation=request.organisation)
    phase = report.progress.phase
    return build_problem(ID_IN_USE_CODE, message, remedy, context, phase=phase, at=datetime.now(UTC))
