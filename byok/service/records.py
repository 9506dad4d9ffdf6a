"""Builds an environment's status from its record, once Temporal has deleted the workflow (contract 134)."""

from temporalio.client import Client

from byok.contracts import environment_workflow_id
from byok.domain.models import EnvironmentRecordState, ProvisionRequest, RecordSummary, TenantReport
from byok.domain.models.records import find_start
from byok.domain.phases import Phase
from byok.service.histories import read_workflow_request
from byok.service.status import EnvironmentStatus, EnvironmentSummary, collect_progress_fields
from byok.service.tenant_runs import TenantRun
from byok.service.unreported_ends import UNREPORTED_END_CODE, problem_of_forgotten_end


def build_recorded_status(state: EnvironmentRecordState) -> EnvironmentStatus | None:
    """Build the status from a record; None if no run has reported to the record yet.

    If Temporal has deleted the workflow of a run that never reported its outcome, the run counts as STOPPED.
    """
    if state.latest is None:
        return None
    progress, attempt, requester = state.latest.progress, state.latest.attempt, state.latest.requester
    fields = collect_progress_fields(progress)
    if attempt.ended_at is None:
        ended = problem_of_forgotten_end(progress)
        fields |= {"phase": Phase.STOPPED, "problem": ended, "problems": (ended,)}
    return EnvironmentStatus(
        environment_id=progress.request.environment_id,
        requested_by=requester.subject if requester else None,
        reason=requester.reason if requester else None,
        **fields,
        workflow_id=environment_workflow_id(progress.request.environment_id),
        run_id=attempt.run_id,
        created_at=state.created_at or attempt.started_at,
        started_at=find_start(state.latest),
        closed_at=attempt.ended_at,
        record=state,
    )


def list_recorded_tenant_runs(state: EnvironmentRecordState) -> list[TenantRun]:
    """Return the tenant runs that reported to a record, most recent first."""
    reports = [state.tenant] if state.tenant == state.named else [state.tenant, state.named]
    return [_build_tenant_run(one) for one in reports if one is not None]


def build_recorded_summary(summary: RecordSummary) -> EnvironmentSummary:
    """Build the list entry of an environment whose workflow Temporal has deleted."""
    values = summary.model_dump(exclude={"health", "deletions"})  # the list computes the current health
    if summary.closed_at is None:
        values |= {"phase": Phase.STOPPED, "problem_code": UNREPORTED_END_CODE}
    return EnvironmentSummary.model_validate(values)


async def read_provision_request(client: Client, status: EnvironmentStatus) -> ProvisionRequest | None:
    """Return the request of an environment's current run; None if the request is invalid."""
    if status.record is not None and status.record.latest is not None:
        return status.record.latest.progress.request.to_provision_request()
    handle = client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
    return await read_workflow_request(client, handle, ProvisionRequest)


def _build_tenant_run(report: TenantReport) -> TenantRun:
    return TenantRun(
        report.organisation, report.outcome, report.role_arn, report.completed, report.ended_at, report.problems
    )
