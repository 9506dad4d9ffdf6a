"""Every attempt of an environment stays visible, with its problem, its times and its requester (contract 148)."""

import asyncio
import threading
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import pytest
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.attempts import AttemptActivities
from byok.cli.views import render_environment
from byok.contracts import ID_IN_USE_CODE, STOP_SIGNAL, environment_workflow_id
from byok.domain.arns import parse_key_arn
from byok.domain.models import Attempt, AttemptKind, EntryPoint, Requester, StoppedAttempt
from byok.domain.phases import Phase
from byok.service import attempts as attempts_service
from byok.service.attempt_memo import build_attempts_memo
from byok.service.environments import EnvironmentService
from byok.service.replay import find_reset_point
from byok.service.status import EnvironmentStatus
from byok.temporal_reads import describe_or_none
from byok.wizard.views import StatusView, StepState
from tests.workflows.fake_activities import (
    S3_KEY,
    FakeActivities,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness, run_harness
from tests.workflows.watching import wait_until_called, wait_until_ended

OTHER_KEY = S3_KEY.replace("11111111-1", "33333333-3")
DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)
CODE = "s3.KMS.DisabledException"
BUCKETS = Phase.CREATING_STORAGE


ANA = Requester(via=EntryPoint.API, subject="ana", request_id="1", reason="ticket 42")


def to_milliseconds(moment: datetime) -> datetime:
    """Return a time without microseconds, because a list of environments shows only milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


async def stop_environment(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, stops: int = 1
) -> None:
    """Create an environment that stops at its first bucket in each of its first `stops` attempts."""
    harness.activities.script["ensure_bucket"] = [DISABLED] * stops
    await service.create(build_provision_request(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.STOPPED


async def replay(service: EnvironmentService, environment_id: str, **keys: str) -> EnvironmentStatus:
    await service.replay(environment_id, **keys)
    return await wait_until_ended(service, environment_id)


async def list_attempts(service: EnvironmentService, environment_id: str) -> tuple[Attempt, ...]:
    return await service.list_attempts(await service.read_status(environment_id))


async def reset(service: EnvironmentService, environment_id: str, reason: str, event_id: int | None = None) -> str:
    """Reset the current run to an event, as Temporal's CLI does; by default, to the point at which a replay resumes."""
    status = await service.read_status(environment_id)
    if event_id is None:
        handle = service.client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
        point = await find_reset_point(handle.fetch_history_events())
        assert point is not None
        event_id = point.event_id
    answer = await service.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=service.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=status.workflow_id, run_id=status.run_id),
            reason=reason,
            workflow_task_finish_event_id=event_id,
            request_id=f"{environment_id}-{reason}",
        )
    )
    return answer.run_id


async def delete_earlier_runs(service: EnvironmentService, environment_id: str) -> None:
    """Delete all runs but the current one, as Temporal does when their retention period ends."""
    status, client = await service.read_status(environment_id), service.client
    earlier = {one.run_id for one in await list_attempts(service, environment_id)} - {status.run_id}
    for run_id in earlier:
        execution = WorkflowExecution(workflow_id=status.workflow_id, run_id=run_id)
        await client.workflow_service.delete_workflow_execution(
            DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
        )
    async with asyncio.timeout(240):  # the server deletes a run in the background, sometimes only after a minute
        for run_id in earlier:
            while await describe_or_none(client.get_workflow_handle(status.workflow_id, run_id=run_id)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def list_without_earlier_runs(service: EnvironmentService, environment_id: str) -> tuple[Attempt, ...]:
    """List the attempts as if Temporal had deleted all earlier runs, because a real deletion takes half a minute."""

    async def read_run(run_id: str) -> EnvironmentStatus | None:
        return None

    return await attempts_service.list_attempts(service.client, await service.read_status(environment_id), read_run)


def times_in_order(attempts: tuple[Attempt, ...]) -> bool:
    """Return whether every attempt ends after its start and begins after the previous attempt's end."""
    each = all(one.ended_at is not None and one.started_at <= one.ended_at for one in attempts)
    return each and all(
        one.ended_at is not None and one.ended_at <= later.started_at for one, later in pairwise(attempts)
    )


async def test_each_stop_and_each_replay_is_an_attempt(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    service = service.on_behalf_of(ANA)
    await stop_environment(service, harness, environment_id, stops=2)
    assert (await replay(service, environment_id)).phase is Phase.STOPPED
    status = await replay(service, environment_id)
    assert status.phase is Phase.READY

    attempts = await list_attempts(service, environment_id)

    # contract 148
    assert [(one.number, one.kind) for one in attempts] == [
        (1, AttemptKind.PROVISIONING),
        (2, AttemptKind.REPLAY),
        (3, AttemptKind.REPLAY),
    ]
    assert [(one.phase, one.problem_code, one.problem_phase) for one in attempts] == [
        (Phase.STOPPED, CODE, BUCKETS),
        (Phase.STOPPED, CODE, BUCKETS),
        (Phase.READY, None, None),
    ]
    assert [(one.by, one.reason) for one in attempts] == [("ana", "ticket 42")] * 3
    assert times_in_order(attempts)
    assert (attempts[-1].run_id, attempts[-1].ended_at) == (status.run_id, status.closed_at)
    assert len({one.run_id for one in attempts}) == 3


async def test_timeline_and_start_survive_a_reset(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await stop_environment(service, harness, environment_id)
    stopped = await service.read_status(environment_id)

    ready = await replay(service, environment_id)

    assert ready.run_id != stopped.run_id
    assert (ready.started_at, ready.created_at) == (stopped.started_at, stopped.created_at)
    assert [entry.phase for entry in ready.timeline[:5]] == [
        *(Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER, Phase.CREATING_STORAGE),
        *(Phase.STOPPED, Phase.CREATING_STORAGE),
    ]
    assert ready.timeline[:3] == stopped.timeline[:3]
    assert [entry.entered_at for entry in ready.timeline] == sorted(entry.entered_at for entry in ready.timeline)
    first, second = await list_attempts(service, environment_id)
    assert ready.timeline[3].entered_at == first.ended_at
    assert ready.timeline[4].entered_at >= second.started_at
    assert (ready.problem, ready.phase) == (None, Phase.READY)


async def test_reset_run_is_resuming_until_a_worker_reports(temporal: WorkflowEnvironment, environment_id: str) -> None:
    activities = FakeActivities()
    async with run_harness(temporal, activities, environment_id) as harness:
        service = EnvironmentService(harness.client, environment_id)
        await stop_environment(service, harness, environment_id)
    stopped = await service.read_status(environment_id)
    assert not stopped.resuming

    await service.replay(environment_id)  # no worker is running

    resuming = await service.read_status(environment_id)
    assert (resuming.resuming, resuming.phase.is_final) == (True, False)
    assert [one.phase for one in resuming.timeline] == [one.phase for one in stopped.timeline]
    view = StatusView.from_status(resuming)
    assert (view.headline, view.steps[-1].state, view.steps[-1].took) == ("Resuming…", StepState.CURRENT, "")
    assert [step.took for step in view.steps[:3]] == [step.took for step in StatusView.from_status(stopped).steps[:3]]
    assert "resuming" in render_environment(resuming).plain
    async with run_harness(temporal, activities, environment_id):
        ready = await wait_until_ended(service, environment_id)
    assert (ready.phase, ready.resuming) == (Phase.READY, False)


async def test_replays_are_known_from_the_current_run_alone(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await stop_environment(service, harness, environment_id, stops=2)
    await replay(service, environment_id)
    await replay(service, environment_id)
    before = await list_attempts(service, environment_id)
    assert len(before) == 3

    assert await list_without_earlier_runs(service, environment_id) == before


async def test_attempts_survive_starting_over_and_the_deletion_of_earlier_runs(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    service = service.on_behalf_of(ANA)
    harness.activities.script["probe_s3_key"] = [DISABLED, DISABLED]
    await service.create(build_provision_request(environment_id))
    first = await wait_until_ended(service, environment_id)
    await replay(service, environment_id)
    ready = await replay(service, environment_id, s3_key_arn=OTHER_KEY)  # a replay with another key starts over
    assert (ready.phase, ready.created_at) == (Phase.READY, to_milliseconds(first.started_at))
    assert ready.started_at > first.started_at
    assert await service.delete(build_delete_request(environment_id, s3_key_arn=OTHER_KEY))
    assert (await wait_until_ended(service, environment_id)).created_at == to_milliseconds(first.started_at)
    before = await list_attempts(service, environment_id)

    await delete_earlier_runs(service, environment_id)

    attempts = await list_attempts(service, environment_id)
    assert attempts == before
    assert [(one.number, one.kind, one.phase) for one in attempts] == [
        (1, AttemptKind.PROVISIONING, Phase.STOPPED),
        (2, AttemptKind.REPLAY, Phase.STOPPED),
        (3, AttemptKind.PROVISIONING, Phase.READY),
        (4, AttemptKind.DELETION, Phase.DELETED),
    ]
    assert {one.by for one in attempts} == {"ana"}
    assert times_in_order(attempts)


async def test_environment_created_after_its_deletion_is_a_new_one_with_all_earlier_attempts(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    await service.delete(build_delete_request(environment_id))
    await wait_until_ended(service, environment_id)
    await service.create(build_provision_request(environment_id))
    ready = await wait_until_ended(service, environment_id)

    attempts = await list_attempts(service, environment_id)
    assert [one.phase for one in attempts] == [Phase.READY, Phase.DELETED, Phase.READY]
    assert ready.created_at == to_milliseconds(ready.started_at)


@pytest.mark.parametrize("deleted", [False, True], ids=["earlier run kept", "earlier run deleted"])
async def test_reset_by_another_program_is_an_attempt(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, deleted: bool
) -> None:
    await stop_environment(service, harness, environment_id)
    stopped = await service.read_status(environment_id)
    await reset(service, environment_id, "the key is enabled")
    ready = await wait_until_ended(service, environment_id)
    assert (ready.phase, ready.started_at) == (Phase.READY, stopped.started_at)

    first, second = await (list_without_earlier_runs if deleted else list_attempts)(service, environment_id)

    assert (first.phase, first.problem_code, first.by) == (Phase.STOPPED, CODE, service.client.identity)
    assert (second.kind, second.phase) == (AttemptKind.REPLAY, Phase.READY)
    assert (second.by, second.reason) == (None, "the key is enabled")  # Temporal does not record who requested a reset
    assert times_in_order((first, second))


async def test_reset_to_the_first_task_keeps_all_attempts_and_their_phases(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await stop_environment(service, harness, environment_id, stops=2)
    stopped = await replay(service, environment_id)
    await reset(service, environment_id, "from the beginning", event_id=4)
    ready = await wait_until_ended(service, environment_id)

    attempts = await list_without_earlier_runs(service, environment_id)

    assert [(one.phase, one.problem_code) for one in attempts] == [(Phase.STOPPED, CODE)] * 2 + [(Phase.READY, None)]
    assert times_in_order(attempts)
    assert ready.timeline[: len(stopped.timeline) - 1] == stopped.timeline[:-1]
    assert ready.timeline[len(stopped.timeline)].phase is Phase.VALIDATING_KEYS


async def test_reset_to_the_last_task_repeats_the_failure_and_does_not_hang(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await stop_environment(service, harness, environment_id)
    handle = service.client.get_workflow_handle(environment_workflow_id(environment_id))
    completed = [
        event.event_id
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_completed_event_attributes")
    ]

    await reset(service, environment_id, "from the last task", event_id=completed[-1])

    assert (await wait_until_ended(service, environment_id)).phase is Phase.STOPPED
    attempts = await list_attempts(service, environment_id)
    assert [(one.phase, one.problem_code) for one in attempts] == [(Phase.STOPPED, CODE)] * 2


async def test_terminated_attempt_and_start_by_another_program_are_attempts(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    handle = await harness.start_provision(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    harness.activities.script["probe_s3_key"] = [handle_never_ends()] * 99
    again = await harness.start_provision(build_provision_request(environment_id))
    await service.client.get_workflow_handle(again.id, run_id=again.result_run_id).terminate("not needed")
    harness.activities.script.clear()
    last = await harness.start_provision(build_provision_request(environment_id))
    ready = await wait_until_ended(service, environment_id)

    attempts = await list_attempts(service, environment_id)

    assert [one.run_id for one in attempts] == [one.result_run_id for one in (handle, again, last)]
    assert [one.problem_code for one in attempts] == [CODE, "byok.Ended", None]
    assert times_in_order(attempts)
    assert ready.phase is Phase.READY


def handle_never_ends() -> Callable[[], None]:
    def wait() -> None:
        raise build_aws_failure("s3", "SlowDown", "later", Phase.VALIDATING_KEYS)

    return wait


async def test_cancelled_attempt_is_recorded(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    def not_ready() -> None:
        raise ApplicationError("creating", type="rds.NotReady")

    harness.activities.script["ensure_writer"] = [not_ready] * 99
    await service.create(build_provision_request(environment_id))
    await wait_until_called(harness, "ensure_writer")
    await service.cancel(environment_id)
    await wait_until_ended(service, environment_id)
    harness.activities.script.clear()
    await replay(service, environment_id)

    first, second = await list_without_earlier_runs(service, environment_id)
    assert (first.problem_code, second.phase) == ("byok.Cancelled", Phase.READY)


async def test_running_attempt_has_no_end(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    hold = threading.Event()
    harness.activities.script["ensure_cluster"] = [lambda: hold.wait(60)]
    await service.create(build_provision_request(environment_id))
    await wait_until_called(harness, "ensure_cluster")

    (only,) = await list_attempts(service, environment_id)

    hold.set()
    assert (only.phase, only.ended_at, only.problem_code) == (Phase.CREATING_CLUSTER, None, None)
    await wait_until_ended(service, environment_id)


async def test_memo_of_a_start_stays_small_and_keeps_the_first_and_last_attempts(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    for key in [OTHER_KEY, S3_KEY] * 6:  # a replay with another key starts over
        harness.activities.script["probe_s3_key"] = [DISABLED]
        if key == OTHER_KEY and not harness.activities.calls:
            await service.create(build_provision_request(environment_id))
            await wait_until_ended(service, environment_id)
        else:
            await replay(service, environment_id, s3_key_arn=key)
    described = await service.client.get_workflow_handle(environment_workflow_id(environment_id)).describe()
    (started,) = [
        event.workflow_execution_started_event_attributes
        async for event in service.client.get_workflow_handle(described.id).fetch_history_events(page_size=1)
        if event.HasField("workflow_execution_started_event_attributes")
    ]
    assert started.memo.ByteSize() <= 2048
    all_twelve = await list_attempts(service, environment_id)
    assert [one.number for one in all_twelve] == list(range(1, 13))

    numbers = [one.number for one in await list_without_earlier_runs(service, environment_id)]
    assert (numbers[0], numbers[-1], numbers[-2]) == (1, 12, 11)
    assert len(numbers) > 4


async def test_foreign_stop_signal_is_ignored(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    hold = threading.Event()
    harness.activities.script["ensure_cluster"] = [lambda: hold.wait(60)]
    await service.create(build_provision_request(environment_id))
    handle = service.client.get_workflow_handle(environment_workflow_id(environment_id))
    await handle.signal(STOP_SIGNAL, "nonsense")
    hold.set()

    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    assert len(await list_attempts(service, environment_id)) == 1


async def test_environments_are_listed_by_creation_whatever_happened_to_them_since(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    names = [f"{environment_id}-{number}" for number in range(4)]
    for name in names:  # only the first environment stops
        await service.create(build_provision_request(name))
        await wait_until_ended(service, name)
    await replay(service, names[0])
    await service.delete(build_delete_request(names[1]))
    await wait_until_ended(service, names[1])
    newest_first = names[::-1]

    async def read_pages(size: int, phase: Phase | None = None) -> list[str]:
        found, after = await service.list_environments_page(prefix=environment_id, size=size, phase=phase)
        listed = [one.environment_id for one in found]
        while after is not None:
            found, after = await service.list_environments_page(
                prefix=environment_id, size=size, phase=phase, after=after
            )
            assert found
            listed += [one.environment_id for one in found]
        return listed

    async with asyncio.timeout(20):  # visibility is eventually consistent
        while sorted(await read_pages(10, Phase.READY)) != sorted({*names} - {names[1]}):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    for size in (1, 2, 3, 4, 10):
        assert await read_pages(size) == newest_first
    assert await read_pages(2, Phase.READY) == [name for name in newest_first if name != names[1]]
    everything = [one.environment_id for one in await service.list_environments(10_000)]
    assert [name for name in everything if name in names] == newest_first
    assert len(await service.list_environments(1)) == 1
    for one in (await service.list_environments_page(prefix=environment_id))[0]:
        assert one.created_at == (await service.read_status(one.environment_id)).created_at


async def test_timeline_of_many_replays_stays_short_and_keeps_its_beginning(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    replays = 14
    await stop_environment(service, harness, environment_id, stops=replays)
    stopped = await service.read_status(environment_id)
    for _ in range(replays):
        ready = await replay(service, environment_id)

    assert ready.phase is Phase.READY
    assert ready.timeline[0] == stopped.timeline[0]
    assert [entry.phase for entry in ready.timeline[1:25]] == [Phase.CREATING_STORAGE, Phase.STOPPED] * 12
    assert (ready.timeline[25].phase, ready.timeline[-1].phase) == (Phase.CREATING_STORAGE, Phase.READY)
    assert Phase.STOPPED not in {entry.phase for entry in ready.timeline[25:]}
    assert len(await list_attempts(service, environment_id)) == replays + 1


async def test_environment_stops_with_its_problem_even_if_the_stop_cannot_be_recorded(
    temporal: WorkflowEnvironment, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    @activity.defn(name="record_stop")
    async def refuse(_: AttemptActivities, stop: StoppedAttempt) -> None:
        raise ApplicationError(f"{stop.run_id} cannot be signalled", non_retryable=True)

    monkeypatch.setattr(AttemptActivities, "record_stop", refuse)
    async with run_harness(temporal, FakeActivities(), f"queue-{environment_id}") as harness:
        service = EnvironmentService(harness.client, harness.task_queue)
        await stop_environment(service, harness, environment_id)
        stopped = await service.read_status(environment_id)
        assert stopped.problem is not None
        assert stopped.problem.code == CODE
        assert (await replay(service, environment_id)).phase is Phase.READY
        first, _ = await list_attempts(service, environment_id)
    assert (first.problem_code, first.ended_at) == (CODE, stopped.closed_at)  # read from the earlier run itself


async def test_run_for_another_organisation_is_no_attempt_of_the_environment(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    """The record stores which organisation owns the environment id, so a run of another organisation stops."""
    environment_id = f"globex-{environment_id}"
    await stop_environment(service, harness, environment_id)
    own = await service.read_status(environment_id)
    harness.activities.accounts = {parse_key_arn(S3_KEY).account: "globex"}
    theirs = await harness.start_provision(build_provision_request(environment_id, organisation="globex"))
    with pytest.raises(WorkflowFailureError) as stopped:
        await theirs.result()

    assert isinstance(stopped.value.cause, ApplicationError)
    assert stopped.value.cause.type == ID_IN_USE_CODE
    assert [one.run_id for one in await list_attempts(service, environment_id)] == [own.run_id]


async def test_new_owner_of_an_id_does_not_carry_earlier_attempts(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await stop_environment(service, harness, environment_id)

    assert await build_attempts_memo(service.client, environment_id, None, used_bytes=0) != {}
    assert await build_attempts_memo(service.client, environment_id, "globex", used_bytes=0) == {}
