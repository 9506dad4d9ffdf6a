"""A worker records who started, replayed, cancelled or terminated each run (contract 147).

A run changes nothing before its record is written.
"""

import asyncio
import importlib
import pkgutil
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from temporalio import workflow
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.testing import WorkflowEnvironment

import workflows
from activities.closed_runs import ClosedRunRecorder
from activities.run_records import UNKNOWN_SUBJECT, UNWRITABLE_ERROR_TYPE, RunRecordInterceptor
from byok import contracts
from byok.audit.journal import AuditJournal
from byok.audit.notes import decode_requester, encode_requester
from byok.audit.record import WORKFLOW_ACTIONS, AuditAction, AuditOutcome, AuditRecord, RecordKind
from byok.domain.models import EntryPoint, Requester
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.lifecycle import reset_workflow
from byok.service.replay import find_reset_point
from byok.service.verification import verify_environment
from tests.audit_journal import read_journal
from tests.workflows.fake_activities import RDS_KEY, S3_KEY, FakeActivities, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness, run_harness
from tests.workflows.watching import wait_until_called, wait_until_ended

DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)
ANA = Requester(via=EntryPoint.CLI, subject="ana@laptop", request_id="42", reason="ticket 42")


@pytest_asyncio.fixture
async def recorded(temporal: WorkflowEnvironment, journal: AuditJournal) -> AsyncIterator[WorkflowHarness]:
    """A worker that records runs."""
    recorder, queue = RunRecordInterceptor(temporal.client, journal), f"audit-{uuid.uuid4().hex}"
    async with run_harness(temporal, FakeActivities(), queue, interceptors=[recorder]) as harness:
        yield harness


def list_runs(journal: AuditJournal) -> list[AuditRecord]:
    """Return the records of runs."""
    return [one for one in read_journal(journal.directory) if one.kind is RecordKind.RUN]


async def until(fact: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition is true, or fail after a deadline."""
    async with asyncio.timeout(30):
        while not await fact():  # noqa: ASYNC110 - the server does not announce it
            await asyncio.sleep(0.05)


async def test_run_started_in_temporal_is_recorded_once_with_temporals_identity(
    recorded: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    handle = await recorded.start_provision(build_provision_request(environment_id))
    await handle.result()

    (record,) = list_runs(journal)
    assert (record.action, record.outcome) == (AuditAction.CREATE_ENVIRONMENT, AuditOutcome.ACCEPTED)  # contract 147
    assert record.temporal_identity == record.requester.subject == recorded.client.identity
    assert record.requester.via is EntryPoint.TEMPORAL
    assert (record.workflow_id, record.run_id) == (handle.id, handle.result_run_id)
    assert (record.target.environment_id, record.target.key_arns) == (environment_id, (S3_KEY, RDS_KEY))


async def test_run_started_with_the_cli_is_recorded_with_its_user_and_reason(
    recorded: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    service = EnvironmentService(recorded.client, recorded.task_queue).on_behalf_of(ANA)
    await service.create(build_provision_request(environment_id))
    status = await wait_until_ended(service, environment_id)

    (record,) = list_runs(journal)
    assert record.requester == ANA  # contract 147
    assert record.temporal_identity == recorded.client.identity
    assert (status.requested_by, status.reason) == ("ana@laptop", "ticket 42")


async def test_verification_is_recorded_with_the_environments_keys(
    recorded: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    service = EnvironmentService(recorded.client, recorded.task_queue).on_behalf_of(ANA)
    await service.create(build_provision_request(environment_id))
    ready = await wait_until_ended(service, environment_id)
    await verify_environment(service, environment_id)

    created, record = list_runs(journal)
    assert (record.action, record.requester) == (AuditAction.VERIFY_ENVIRONMENT, ANA)  # contract 147
    assert record.target == created.target
    assert (record.target.region, record.target.key_arns) == (ready.region, (S3_KEY, RDS_KEY))


async def test_current_details_name_the_requester_and_the_reason(harness: WorkflowHarness, environment_id: str) -> None:
    service = EnvironmentService(harness.client, harness.task_queue).on_behalf_of(ANA)
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)

    handle = harness.client.get_workflow_handle(contracts.environment_workflow_id(environment_id))
    shown = await handle.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert "Requested by ana@laptop (CLI, request `42`): ticket 42" in shown.current_details  # contract 147


async def test_replays_are_recorded_with_their_requester_or_the_reason_given_in_temporal(
    recorded: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    recorded.activities.script["ensure_bucket"] = [DISABLED, DISABLED]
    service = EnvironmentService(recorded.client, recorded.task_queue)
    await service.create(build_provision_request(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.STOPPED

    replayed = await service.on_behalf_of(ANA).replay(environment_id)
    assert replayed.step is not None
    stopped = await wait_until_ended(service, environment_id)
    handle = recorded.client.get_workflow_handle(stopped.workflow_id, run_id=stopped.run_id)
    point = await find_reset_point(handle.fetch_history_events())
    assert point is not None
    again = await reset_workflow(recorded.client, stopped, point, None)
    await wait_until_ended(service, environment_id)

    start, by_ana, in_temporal = list_runs(journal)
    assert start.action is AuditAction.CREATE_ENVIRONMENT
    assert (by_ana.action, by_ana.requester) == (AuditAction.REPLAY_ENVIRONMENT, ANA)  # contract 147
    assert by_ana.run_id == replayed.run_id
    assert (in_temporal.action, in_temporal.run_id) == (AuditAction.REPLAY_ENVIRONMENT, again.run_id)
    assert (in_temporal.requester.subject, in_temporal.temporal_identity) == (UNKNOWN_SUBJECT, None)
    assert in_temporal.requester.reason == f"replayed from {point.step}"


async def test_run_does_nothing_until_its_record_can_be_written(
    recorded: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    journal.directory.write_text("a file where the directory should be")
    handle = await recorded.start_provision(build_provision_request(environment_id))

    async def is_refused() -> bool:
        pending = (await handle.describe()).raw_description.pending_activities
        return any(one.last_failure.application_failure_info.type == UNWRITABLE_ERROR_TYPE for one in pending)

    await until(is_refused)
    assert set(recorded.activities.calls) == {"plan_environment"}

    journal.directory.unlink()
    await handle.result()
    assert [one.run_id for one in list_runs(journal)] == [handle.result_run_id]


async def test_record_is_written_again_after_any_error(
    temporal: WorkflowEnvironment, journal: AuditJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder, appended = RunRecordInterceptor(temporal.client, journal), list[AuditRecord]()

    async def append(record: AuditRecord) -> None:
        appended.append(record)
        if len(appended) == 1:
            raise RuntimeError("not a JournalUnwritableError")

    monkeypatch.setattr(AuditJournal, "append", lambda _, record: append(record))
    queue = f"audit-{uuid.uuid4().hex}"
    async with run_harness(temporal, FakeActivities(), queue) as harness:
        handle = await harness.start_provision(build_provision_request(f"env-{uuid.uuid4().hex[:12]}"))
        assert handle.result_run_id is not None
        with pytest.raises(RuntimeError):
            await recorder.record_run(handle.id, handle.result_run_id)
        for _ in range(2):
            await recorder.record_run(handle.id, handle.result_run_id)
        await handle.result()

    assert len(appended) == 2


async def test_ended_runs_reveal_cancellations_terminations_and_invalid_inputs(
    recorded: WorkflowHarness, journal: AuditJournal
) -> None:
    cancelled, terminated, invalid = (f"env-{uuid.uuid4().hex[:12]}" for _ in range(3))
    held = threading.Event()
    recorded.activities.script["ensure_cluster"] = [lambda: held.wait(60), lambda: held.wait(30)]
    service = EnvironmentService(recorded.client, recorded.task_queue).on_behalf_of(ANA)
    for name in (cancelled, terminated):
        await recorded.start_provision(build_provision_request(name))
    await wait_until_called(recorded, "ensure_cluster")
    await service.cancel(cancelled)
    await recorded.client.get_workflow_handle(contracts.environment_workflow_id(terminated)).terminate()
    held.set()
    await recorded.client.start_workflow(
        contracts.PROVISION_ENVIRONMENT_WORKFLOW,
        {"environment_id": "Not Legal"},
        id=contracts.environment_workflow_id(invalid),
        task_queue=recorded.task_queue,
    )
    for name in (cancelled, terminated, invalid):
        await wait_until_ended(service, name)
    recorder = ClosedRunRecorder(recorded.client, journal, recorded.task_queue)

    def find(action: AuditAction, outcome: AuditOutcome) -> list[AuditRecord]:
        return [one for one in list_runs(journal) if (one.action, one.outcome) == (action, outcome)]

    async def is_complete() -> bool:
        await recorder.record_closed_runs()  # visibility is eventually consistent
        return len({one.workflow_id for one in list_runs(journal)} | {None}) == 4 and bool(
            find(AuditAction.CANCEL, AuditOutcome.ACCEPTED) and find(AuditAction.TERMINATE, AuditOutcome.ACCEPTED)
        )

    await until(is_complete)
    (by_ana,) = find(AuditAction.CANCEL, AuditOutcome.ACCEPTED)
    (in_temporal,) = find(AuditAction.TERMINATE, AuditOutcome.ACCEPTED)
    (refused,) = find(AuditAction.CREATE_ENVIRONMENT, AuditOutcome.REFUSED)
    assert by_ana.requester == ANA  # contract 147
    assert in_temporal.requester.subject == recorded.client.identity
    assert (refused.workflow_id, refused.code) == (
        contracts.environment_workflow_id(invalid),
        contracts.INVALID_INPUT_ERROR_TYPE,
    )

    await ClosedRunRecorder(recorded.client, journal, recorded.task_queue).record_closed_runs()
    repeated = find(AuditAction.CANCEL, AuditOutcome.ACCEPTED)
    assert {one.record_id for one in repeated} == {by_ana.record_id}


@pytest.mark.parametrize("text", ["", "a person's reason", "{", "{}", "AAAA", "bm90IGEgcGF5bG9hZA=="])
async def test_reason_written_by_a_person_is_not_a_requester(temporal: WorkflowEnvironment, text: str) -> None:
    converter = temporal.client.data_converter
    assert await decode_requester(converter, text) is None
    assert await decode_requester(converter, await encode_requester(converter, ANA)) == ANA


def test_every_workflow_type_has_an_action_or_only_reads() -> None:
    modules = [importlib.import_module(f"workflows.{one.name}") for one in pkgutil.iter_modules(workflows.__path__)]
    classes = {item for module in modules for item in vars(module).values() if isinstance(item, type)}
    found = [workflow._Definition.from_class(item) for item in classes]
    assert {one.name for one in found if one is not None} == set(WORKFLOW_ACTIONS)  # contract 147
