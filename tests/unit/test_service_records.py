"""byok keeps a record of each environment, so that all operations still work once Temporal deletes the workflows."""

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest, UnpauseWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

import workflows.environment_record
from byok.contracts import (
    ID_IN_USE_CODE,
    RUN_REPORT_SIGNAL,
    TENANT_REPORT_SIGNAL,
    environment_workflow_id,
    record_workflow_id,
)
from byok.domain.models import (
    Attempt,
    AttemptKind,
    ClusterResource,
    EntryPoint,
    EnvironmentProgress,
    EnvironmentRecordState,
    RecordedProgress,
    Requester,
    Resources,
    RunReport,
    TenantReport,
    TimelineEntry,
)
from byok.domain.models.records import MAX_RECORDED_ATTEMPTS
from byok.domain.phases import Phase
from byok.domain.quotas import Quota
from byok.service.environments import EnvironmentService
from byok.service.errors import EnvironmentConflictError, EnvironmentNotFoundError
from byok.service.status import EnvironmentStatus, EnvironmentSummary
from byok.service.unreported_ends import UNREPORTED_END_CODE
from byok.temporal_records import find_record
from tests.quotas.conftest import Tenant, tenant
from tests.workflows.fake_activities import (
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
)
from tests.workflows.forgetting import delete_workflow, forget_workflows
from tests.workflows.temporal_env import WorkflowHarness, run_harness
from tests.workflows.watching import wait_until_called, wait_until_ended

DISABLED = ("s3", "KMS.DisabledException", "The key is disabled.", Phase.VALIDATING_KEYS)
NO_ROLE = ("sts", "AccessDenied", "not authorized to perform: sts:AssumeRole", Phase.RECONCILING_TENANT)
ANA = Requester(via=EntryPoint.API, subject="ana", request_id="r-1", reason="ticket 7")
OTHER_KEY = S3_KEY.replace("1111-4111", "1111-4222")
MOMENT = datetime(2026, 11, 29, tzinfo=UTC)


async def create_ready(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    await service.create(build_provision_request(environment_id, tenant="acme"))


async def create_named(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    """Create an environment, and set another tenant name once the environment is ready."""
    await create_ready(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    await service.reconcile_tenant(await service.build_reconcile_tenant_request(environment_id, "globex"))


async def create_stopped(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED)]
    await service.create(build_provision_request(environment_id))


async def create_replayed(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    await create_stopped(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    await service.on_behalf_of(ANA).replay(environment_id)


async def create_named_after_a_stop(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    """Create an environment whose keys cannot get the tenant name, and set the name with a later request."""
    harness.activities.script["reconcile_key"] = [build_aws_failure(*NO_ROLE)]
    role = {"tenant": "acme", "tenant_role_arn": "arn:aws:iam::444455556666:role/TenantRole"}
    await service.create(build_provision_request(environment_id, **role))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.STOPPED
    await service.reconcile_tenant(await service.build_reconcile_tenant_request(environment_id))


async def stop_deletion(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    await create_ready(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    harness.activities.script["find_resources"] = [build_aws_failure("s3", "KMS.DisabledException", "", Phase.DELETING)]
    await service.delete(await service.build_delete_request(environment_id))


async def delete(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    await create_ready(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    await service.delete(await service.build_delete_request(environment_id))


PASTS = {
    "READY": create_ready,
    "READY, named later": create_named,
    "STOPPED": create_stopped,
    "READY after a replay": create_replayed,
    "READY, named after a stop": create_named_after_a_stop,
    "deletion STOPPED": stop_deletion,
    "DELETED": delete,
}


def without_moments_of_the_end(status: EnvironmentStatus) -> dict[str, Any]:
    """Return a status without the times at which runs ended.

    The times in the record are a few milliseconds earlier, because a run sends its last report before it ends.
    """
    return {**status.model_dump(exclude={"closed_at"}), "timeline": [entry.phase for entry in status.timeline]}


async def create_for_acme(service: EnvironmentService, harness: WorkflowHarness) -> EnvironmentStatus:
    """Create an environment that the organisation acme owns, and return its last status."""
    environment_id = f"acme-{uuid.uuid4().hex[:8]}"
    harness.activities.accounts = {S3_KEY.split(":")[4]: "acme"}
    await service.create(build_provision_request(environment_id, organisation="acme"))
    return await wait_until_ended(service, environment_id)


async def wait_until_listed(
    service: EnvironmentService, environment_id: str, fact: Callable[[EnvironmentSummary], bool]
) -> EnvironmentSummary:
    """Wait until the list shows an environment as expected, because visibility is eventually consistent."""
    async with asyncio.timeout(20):
        while True:
            found, _ = await service.list_environments_page(prefix=environment_id)
            if found and fact(found[0]):
                return found[0]
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("past", PASTS)
async def test_status_list_and_attempts_are_the_same_without_the_workflows(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, past: str
) -> None:
    await PASTS[past](service, harness, environment_id)
    before = await wait_until_ended(service, environment_id)
    before = await service.read_status(environment_id)
    attempts = await service.list_attempts(before)
    listed = await wait_until_listed(service, environment_id, lambda one: one.phase is before.phase)

    await forget_workflows(harness.client, environment_id)

    after = await service.read_status(environment_id)
    assert without_moments_of_the_end(after) == without_moments_of_the_end(before)  # contract 134
    found = await wait_until_listed(
        service, environment_id, lambda one: (one.phase, one.tenant_name) == (after.phase, after.tenant_name)
    )
    assert found.model_dump(exclude={"closed_at"}) == {
        **listed.model_dump(exclude={"closed_at"}),
        "tenant_name": after.tenant_name,  # without a record, the list shows only the name from provisioning
    }
    for phase in Phase:
        assert bool((await service.list_environments_page(prefix=environment_id, phase=phase))[0]) == (
            phase is after.phase
        )
    assert [
        (one.number, one.kind, one.run_id, one.phase, one.problem_code, one.by, one.reason)
        for one in await service.list_attempts(after)
    ] == [(one.number, one.kind, one.run_id, one.phase, one.problem_code, one.by, one.reason) for one in attempts]


async def test_forgotten_environment_exists_for_a_new_request(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await create_ready(service, harness, environment_id)
    ready = await wait_until_ended(service, environment_id)
    await forget_workflows(harness.client, environment_id)

    again = await service.create(build_provision_request(environment_id, tenant="acme"))
    assert (again.started, again.run_id) == (False, ready.run_id)
    for changes in ({"s3_key_arn": OTHER_KEY}, {"region": "eu-west-1"}):
        with pytest.raises(EnvironmentConflictError):  # contract 135
            await service.create(build_provision_request(environment_id, tenant="acme", **changes))
    assert harness.activities.calls.count("ensure_cluster") == 1


async def test_forgotten_environment_is_replayed_named_and_deleted(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await create_stopped(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    await forget_workflows(harness.client, environment_id)

    await service.replay(environment_id)
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    await forget_workflows(harness.client, environment_id)

    named = await service.reconcile_tenant(await service.build_reconcile_tenant_request(environment_id, "globex"))
    assert named.tenant == "globex"
    await forget_workflows(harness.client, environment_id)
    assert (await service.read_status(environment_id)).tenant_name == "globex"

    await service.delete(await service.build_delete_request(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.DELETED
    record = await find_record(harness.client, environment_id)
    assert record is not None
    assert not record.is_open

    await forget_workflows(harness.client, environment_id)
    created = await service.create(build_provision_request(environment_id, region="eu-west-1", s3_key_arn=OTHER_KEY))
    assert created.started


async def test_forgotten_environments_count_towards_the_quota(tenant: Tenant) -> None:
    await tenant.use_up(Quota.ENVIRONMENTS)

    await forget_workflows(tenant.harness.client, f"{tenant.name}-first")

    found = await tenant.find_exceeded(Quota.ENVIRONMENTS)
    assert found is not None
    assert found.used == 1


async def test_forgotten_environment_of_another_organisation_is_not_found(
    service: EnvironmentService, harness: WorkflowHarness
) -> None:
    environment_id = (await create_for_acme(service, harness)).environment_id
    await forget_workflows(harness.client, environment_id)
    globex = service.on_behalf_of(ANA.model_copy(update={"organisation": "globex"}))
    acme = service.on_behalf_of(ANA.model_copy(update={"organisation": "acme"}))

    with pytest.raises(EnvironmentNotFoundError):
        await globex.read_status(environment_id)
    assert (await globex.list_environments_page(prefix=environment_id))[0] == []
    assert (await acme.read_status(environment_id)).phase is Phase.READY
    await wait_until_listed(acme, environment_id, lambda one: one.phase is Phase.READY)


async def test_run_that_was_terminated_and_forgotten_counts_as_stopped(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    denied = build_aws_failure(*DISABLED, retry_after=timedelta(hours=1))
    harness.activities.script["probe_s3_key"] = [denied]
    await service.create(build_provision_request(environment_id))
    await wait_until_called(harness, "probe_s3_key")
    await harness.client.get_workflow_handle(environment_workflow_id(environment_id)).terminate("a test")
    await forget_workflows(harness.client, environment_id)

    status = await service.read_status(environment_id)
    listed = await wait_until_listed(service, environment_id, lambda one: one.problem_code is not None)

    assert (status.phase, status.problem and status.problem.code) == (Phase.STOPPED, UNREPORTED_END_CODE)
    assert (listed.phase, listed.problem_code) == (Phase.STOPPED, UNREPORTED_END_CODE)
    await service.replay(environment_id)
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


@pytest.mark.parametrize("start", ["provisioning", "deletion"])
async def test_run_that_is_cancelled_before_it_begins_is_recorded(
    service: EnvironmentService,
    harness: WorkflowHarness,
    temporal: WorkflowEnvironment,
    environment_id: str,
    start: str,
) -> None:
    await create_ready(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    queue = WorkflowHarness(harness.client, f"queue-{uuid.uuid4().hex}", harness.activities)
    if start == "provisioning":
        await (await queue.start_provision(build_provision_request(environment_id))).cancel()
    else:
        await (await queue.start_delete(build_delete_request(environment_id))).cancel()

    async with run_harness(temporal, harness.activities, queue.task_queue):
        cancelled = await wait_until_ended(service, environment_id)

    assert cancelled.problem is not None
    assert cancelled.problem.code == "byok.Cancelled"
    await forget_workflows(harness.client, environment_id)
    after = await service.read_status(environment_id)
    assert (after.phase, after.run_id, after.problems) == (Phase.STOPPED, cancelled.run_id, cancelled.problems)


async def test_id_of_a_recorded_environment_cannot_be_used_in_another_region(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    """A user can start the workflow directly in Temporal, without the checks of `EnvironmentService`."""
    await create_ready(service, harness, environment_id)
    ready = await wait_until_ended(service, environment_id)
    await forget_workflows(harness.client, environment_id)
    keys = {
        name: arn.replace("eu-central-1", "eu-west-1")
        for name, arn in (("s3_key_arn", S3_KEY), ("rds_key_arn", RDS_KEY))
    }
    begun = len(harness.activities.calls)

    other = await harness.start_provision(build_provision_request(environment_id, region="eu-west-1", **keys))
    with pytest.raises(WorkflowFailureError) as stopped:
        await other.result()

    assert isinstance(stopped.value.cause, ApplicationError)
    assert stopped.value.cause.type == ID_IN_USE_CODE  # contract 135
    assert f"{environment_id} exists in eu-central-1" in stopped.value.cause.message
    assert harness.activities.calls[begun:] == ["plan_environment"]
    await forget_workflows(harness.client, environment_id)
    assert without_moments_of_the_end(await service.read_status(environment_id)) == without_moments_of_the_end(ready)


async def test_run_that_a_record_refused_does_not_hide_the_environment_from_its_owner(
    service: EnvironmentService, harness: WorkflowHarness
) -> None:
    acme = service.on_behalf_of(ANA.model_copy(update={"organisation": "acme"}))
    environment_id = (await create_for_acme(acme, harness)).environment_id

    refused = await harness.start_provision(build_provision_request(environment_id))
    with pytest.raises(WorkflowFailureError):
        await refused.result()

    assert (await acme.read_status(environment_id)).phase is Phase.READY


async def test_deletion_that_does_not_name_the_owner_stops_and_changes_nothing(
    service: EnvironmentService, harness: WorkflowHarness
) -> None:
    environment_id = (await create_for_acme(service, harness)).environment_id
    begun = len(harness.activities.calls)

    deletion = await harness.start_delete(build_delete_request(environment_id))
    with pytest.raises(WorkflowFailureError) as stopped:
        await deletion.result()

    assert isinstance(stopped.value.cause, ApplicationError)
    assert stopped.value.cause.type == ID_IN_USE_CODE
    assert harness.activities.calls[begun:] == []
    status = await service.read_status(environment_id)
    assert (status.phase, status.organisation) == (Phase.READY, "acme")
    await delete_environment(service, environment_id)  # the service adds the owner to the request


async def test_run_that_is_refused_while_it_is_cancelled_does_not_represent_the_environment(
    service: EnvironmentService, harness: WorkflowHarness, temporal: WorkflowEnvironment
) -> None:
    ready = await create_for_acme(service, harness)
    environment_id = ready.environment_id
    queue = WorkflowHarness(harness.client, f"queue-{uuid.uuid4().hex}", harness.activities)
    handle = await queue.start_delete(build_delete_request(environment_id))
    await handle.cancel()

    async with run_harness(temporal, harness.activities, queue.task_queue):
        with pytest.raises(WorkflowFailureError):
            await handle.result()

    status = await service.read_status(environment_id)
    assert (status.phase, status.organisation, status.run_id) == (Phase.READY, "acme", ready.run_id)


async def test_run_that_a_quota_refused_does_not_represent_the_environment(tenant: Tenant) -> None:
    first = await tenant.create("first")
    await tenant.leave_running("other")
    tenant.limit(in_flight=1)
    await tenant.wait_until_exceeded(Quota.IN_FLIGHT)

    refused = await tenant.harness.start_provision(tenant.build_request("first"))
    with pytest.raises(WorkflowFailureError):
        await refused.result()

    assert (await tenant.service.read_status(first)).phase is Phase.READY


async def test_stopped_environment_with_resources_does_not_start_over_in_another_region(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*DISABLED)]
    await service.create(build_provision_request(environment_id))
    stopped = await wait_until_ended(service, environment_id)
    assert stopped.resources.cluster is not None
    keys = {"s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    elsewhere = {name: arn.replace(REGION, "eu-west-1") for name, arn in keys.items()}

    with pytest.raises(EnvironmentConflictError, match=f"has resources in {REGION}"):
        await service.create(build_provision_request(environment_id, region="eu-west-1", **elsewhere))
    refused = await harness.start_provision(build_provision_request(environment_id, region="eu-west-1", **elsewhere))
    with pytest.raises(WorkflowFailureError):
        await refused.result()

    status = await service.read_status(environment_id)
    assert (status.region, status.run_id) == (REGION, stopped.run_id)
    assert (await service.build_delete_request(environment_id)).region == REGION
    await service.replay(environment_id)
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_replay_that_is_terminated_leaves_its_region_in_the_record(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [build_aws_failure(*DISABLED)]
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*DISABLED, retry_after=timedelta(hours=1))]
    replayed = await service.replay(environment_id)
    await wait_until_called(harness, "ensure_bucket")
    await harness.client.get_workflow_handle(replayed.workflow_id).terminate("a test")
    await forget_workflows(harness.client, environment_id)

    record = await find_record(harness.client, environment_id)
    assert record is not None
    state = await record.read_state()
    assert state.possible_region == REGION
    assert [one.kind for one in state.attempts] == [AttemptKind.PROVISIONING, AttemptKind.REPLAY]


async def test_record_continues_as_new_without_losing_anything(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflows.environment_record, "_MAX_REPORTS", 2)
    await create_replayed(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    before = await service.read_status(environment_id)
    attempts = await service.list_attempts(before)
    handle = harness.client.get_workflow_handle(record_workflow_id(environment_id))

    runs = [one async for one in harness.client.list_workflows(f"WorkflowId = '{record_workflow_id(environment_id)}'")]
    assert len(runs) > 1
    await forget_workflows(harness.client, environment_id)

    after = await service.read_status(environment_id)
    assert without_moments_of_the_end(after) == without_moments_of_the_end(before)
    assert [one.run_id for one in await service.list_attempts(after)] == [one.run_id for one in attempts]
    memo = (await handle.describe()).raw_description.workflow_execution_info.memo
    assert memo.ByteSize() < 2048  # the SDK logs a warning about larger memos


async def test_paused_record_can_be_read_and_receives_reports_later(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await create_stopped(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    client, record = harness.client, WorkflowExecution(workflow_id=record_workflow_id(environment_id))
    values = {"namespace": client.namespace, "workflow_id": record.workflow_id, "identity": "ops", "reason": "a test"}
    await client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(**values, request_id=str(uuid.uuid4()))
    )

    await service.replay(environment_id)
    ready = await wait_until_ended(service, environment_id)
    await forget_workflows(client, environment_id)

    assert without_moments_of_the_end(await service.read_status(environment_id)) == without_moments_of_the_end(ready)
    await client.workflow_service.unpause_workflow_execution(
        UnpauseWorkflowExecutionRequest(**values, request_id=str(uuid.uuid4()))
    )
    assert without_moments_of_the_end(await service.read_status(environment_id)) == without_moments_of_the_end(ready)


async def test_record_of_a_lost_record_begins_with_the_next_report(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await create_stopped(service, harness, environment_id)
    await wait_until_ended(service, environment_id)
    await harness.client.get_workflow_handle(record_workflow_id(environment_id)).terminate("a test")
    await delete_workflow(harness.client, record_workflow_id(environment_id))

    await service.replay(environment_id)
    await wait_until_ended(service, environment_id)
    await forget_workflows(harness.client, environment_id)

    assert (await service.read_status(environment_id)).phase is Phase.READY


def build_report(environment_id: str, run_id: str, minute: int, ended: int | None = None, **changes: Any) -> RunReport:
    """Build the report of a run that began `minute` minutes after `MOMENT`.

    If `ended` is given, the run ended `ended` minutes after `MOMENT`. `changes` replaces fields of the progress.
    """
    phase = Phase.VALIDATING_KEYS if ended is None else Phase.READY
    began = MOMENT + timedelta(minutes=minute)
    progress = EnvironmentProgress(
        request=build_provision_request(environment_id),
        phase=phase,
        timeline=(TimelineEntry(phase=Phase.VALIDATING_KEYS, entered_at=began),),
    )
    return RunReport(
        progress=RecordedProgress.from_progress(progress.model_copy(update=changes)),
        attempt=Attempt(
            kind=AttemptKind.PROVISIONING,
            run_id=run_id,
            started_at=began,
            ended_at=None if ended is None else MOMENT + timedelta(minutes=ended),
            phase=phase,
        ),
    )


CLUSTER = ClusterResource(identifier="byok-acme", arn="arn", status="available", key_arn=RDS_KEY)


def test_repeated_and_late_reports_change_nothing() -> None:
    start, end = build_report("acme", "first", 0), build_report("acme", "first", 0, ended=5)
    later = build_report("acme", "second", 10)

    state = EnvironmentRecordState().apply(start).apply(end)
    assert state.apply(end) == state.apply(start) == state
    both = state.apply(later)
    assert both.apply(end) == both
    assert [one.run_id for one in both.attempts] == ["first", "second"]
    assert both.latest == later


def test_deletion_in_a_wrong_region_does_not_change_where_the_resources_are() -> None:
    created = build_report("acme", "first", 0, ended=5, resources=Resources(cluster=CLUSTER))
    request = build_delete_request("acme", region="us-east-1", s3_key_arn=None, rds_key_arn=None)

    state = EnvironmentRecordState().apply(created).apply(build_report("acme", "second", 10, ended=11, request=request))

    assert (state.region, state.possible_region) == (REGION, REGION)


def test_latest_run_is_the_one_that_reported_last_whatever_the_clocks_say() -> None:
    stopped, later = build_report("acme", "first", 10, ended=11), build_report("acme", "second", 9, ended=12)

    state = EnvironmentRecordState().apply(stopped).apply(later)

    assert state.latest == later
    assert state.apply(stopped).latest == later


def test_environment_that_is_created_again_begins_anew_before_its_old_record_has_closed() -> None:
    created = build_report("acme", "first", 0, ended=5, resources=Resources(cluster=CLUSTER))
    deleted = build_report("acme", "second", 6, ended=7, phase=Phase.DELETED, request=build_delete_request("acme"))
    other = build_provision_request("globex-1", organisation="globex").model_copy(update={"environment_id": "acme"})

    state = EnvironmentRecordState().apply(created).apply(deleted)
    again = state.apply(build_report("acme", "third", 8))
    taken = state.apply(build_report("acme", "third", 8, request=other))

    assert (again.region, again.tenant, len(again.attempts)) == (None, None, 3)
    assert (taken.region, len(taken.attempts)) == (None, 1)


def test_report_of_another_organisation_is_ignored() -> None:
    state = EnvironmentRecordState().apply(build_report("acme", "first", 0, ended=5))
    other = build_provision_request("globex-1", organisation="globex").model_copy(update={"environment_id": "acme"})
    name = TenantReport(environment_id="acme", organisation="globex", completed=True, ended_at=MOMENT)

    assert state.apply(build_report("acme", "second", 10, request=other)) == state
    assert state.apply(name) == state


def test_region_of_a_run_that_reported_no_end_is_kept() -> None:
    state = EnvironmentRecordState().apply(build_report("acme", "first", 0))

    assert state.apply(build_report("acme", "second", 10, ended=11)).possible_region == REGION


def test_another_deletion_does_not_reopen_a_deleted_record() -> None:
    request = build_delete_request("acme")
    deleted = build_report("acme", "first", 0, ended=1, phase=Phase.DELETED, request=request)
    state = EnvironmentRecordState().apply(deleted)

    assert state.apply(build_report("acme", "second", 2, phase=Phase.DELETING, request=request)) == state


def test_every_part_of_a_record_accepts_fields_of_a_newer_version() -> None:
    created = build_report("acme", "first", 0, ended=5, resources=Resources(cluster=CLUSTER))
    state = EnvironmentRecordState().apply(created)

    def with_unknown_fields(value: Any) -> Any:
        if isinstance(value, dict):
            return {"new": 1, **{name: with_unknown_fields(item) for name, item in value.items()}}
        return [with_unknown_fields(item) for item in value] if isinstance(value, list) else value

    newer = with_unknown_fields(state.model_dump(mode="json"))

    assert EnvironmentRecordState.model_validate(newer) == state


def test_report_about_another_environment_is_ignored() -> None:
    state = EnvironmentRecordState().apply(build_report("acme", "first", 0))

    assert state.receive(build_report("globex", "second", 10), "acme") == state


def test_record_keeps_the_first_and_the_latest_attempts() -> None:
    state = EnvironmentRecordState()
    for number in range(MAX_RECORDED_ATTEMPTS + 10):
        state = state.apply(build_report("acme", f"run-{number}", number))

    assert len(state.attempts) == MAX_RECORDED_ATTEMPTS
    assert [one.number for one in state.attempts[:2]] == [1, 12]  # the gap shows that attempts are missing
    assert state.attempts[-1].number == MAX_RECORDED_ATTEMPTS + 10


SIGNALS: dict[str, list[Any]] = {
    "no value": [],
    "two values": [build_report("acme", "a", 0), build_report("acme", "b", 0)],
    "text": ["nonsense"],
    "bytes": [RawValue(Payload(metadata={"encoding": b"binary/plain"}, data=b"\x00"))],
    "times without a time zone": [
        {
            "progress": {
                "request": {"deletion": False, "environment_id": "any", "region": "eu-central-1"},
                "phase": "READY",
                "timeline": [],
            },
            "attempt": {
                "kind": "provisioning",
                "run_id": "a",
                "started_at": "2026-11-29T00:00:00",
                "phase": "READY",
            },
        }
    ],
    "unknown encoding": [RawValue(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"\x00"))],
}


@pytest.mark.parametrize("name", [RUN_REPORT_SIGNAL, TENANT_REPORT_SIGNAL, "another"])
@pytest.mark.parametrize("values", SIGNALS)
async def test_signal_that_is_no_report_changes_nothing(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, name: str, values: str
) -> None:
    await create_ready(service, harness, environment_id)
    ready = await wait_until_ended(service, environment_id)
    handle = harness.client.get_workflow_handle(record_workflow_id(environment_id))

    await handle.signal(name, args=SIGNALS[values])
    await delete_environment(service, environment_id)

    record = await find_record(harness.client, environment_id)
    assert record is not None
    assert [one.run_id for one in (await record.read_state()).attempts][:1] == [ready.run_id]
    await asyncio.wait_for(handle.result(), 20)  # the record still receives reports, and closes


async def delete_environment(service: EnvironmentService, environment_id: str) -> None:
    """Delete an environment, and wait until it is deleted."""
    await service.delete(await service.build_delete_request(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.DELETED


__all__ = ["tenant"]
