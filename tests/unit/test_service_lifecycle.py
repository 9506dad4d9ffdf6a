"""Replay, cancel and delete environments through `EnvironmentService`.

The tests use a real Temporal server and scripted activities.
"""

import asyncio
import threading

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from byok.contracts import environment_workflow_id
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.errors import (
    EnvironmentBusyError,
    EnvironmentNotReadyError,
    KeyCannotChangeError,
    NotReplayableError,
    NotRunningError,
)
from byok.service.pending import describe_pending_step
from byok.service.status import EnvironmentStatus
from tests.workflows.fake_activities import (
    RDS_KEY,
    S3_KEY,
    Step,
    build_aws_failure,
    build_delete_request,
    build_owned_resources,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_called, wait_until_ended

OTHER_KEY = S3_KEY.replace("11111111-1", "33333333-3")
DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)


async def provision_and_wait(service: EnvironmentService, environment_id: str, **changes: object) -> EnvironmentStatus:
    await service.create(build_provision_request(environment_id, **changes))
    return await wait_until_ended(service, environment_id)


async def list_activity_names(service: EnvironmentService, environment_id: str) -> list[str]:
    """List the activities in the history of the latest run, including those that a reset has copied."""
    handle = service.client.get_workflow_handle(environment_workflow_id(environment_id))
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


@pytest.mark.parametrize(
    "failed", ["probe_s3_key", "ensure_cluster", "ensure_bucket", "ensure_writer", "await_writer", "collect_evidence"]
)
async def test_replay_continues_from_the_failed_step_and_repeats_none_before_it(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, failed: str
) -> None:
    harness.activities.script[failed] = [DISABLED]
    stopped = await provision_and_wait(service, environment_id)
    assert stopped.phase is Phase.STOPPED
    before = len(harness.activities.calls)

    replayed = await service.replay(environment_id)
    ready = await wait_until_ended(service, environment_id)

    assert (replayed.step, ready.phase, ready.run_id) == (failed, Phase.READY, replayed.run_id)
    again = harness.activities.calls[before:]
    assert again[0] == failed or failed in again[:2]  # a parallel activity can run first
    sequential = ("probe_s3_key", "ensure_cluster")
    done = sequential[: sequential.index(failed)] if failed in sequential else sequential
    assert not set(done) & set(again)
    assert (await list_activity_names(service, environment_id)).count("probe_s3_key") == 1  # a reset copies the history


async def test_replay_of_a_late_bucket_repeats_no_earlier_one(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [lambda: None, DISABLED]  # the second call is for the second bucket
    await provision_and_wait(service, environment_id)
    before = len(harness.activities.inputs["ensure_bucket"])

    await service.replay(environment_id)
    ready = await wait_until_ended(service, environment_id)

    assert ready.phase is Phase.READY
    made = [task.bucket.purpose for task in harness.activities.inputs["ensure_bucket"]]
    assert made[before:] == ["quality", "exports"]
    assert [bucket.purpose for bucket in ready.resources.buckets] == ["catalog", "quality", "exports"]


async def test_simultaneous_replays_start_one_run(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [DISABLED]
    stopped = await provision_and_wait(service, environment_id)

    answers = await asyncio.gather(*(service.replay(environment_id) for _ in range(3)), return_exceptions=True)

    (refused, another) = (one for one in answers if isinstance(one, NotReplayableError))
    assert str(refused) == str(another)
    assert "another request has just resumed" in str(refused)
    ready = await wait_until_ended(service, environment_id)
    assert [one.phase for one in await service.list_attempts(ready)] == [Phase.STOPPED, Phase.READY]
    (replayed,) = (one for one in answers if not isinstance(one, BaseException))
    assert ready.run_id == replayed.run_id != stopped.run_id


async def test_replay_that_stops_again_can_be_replayed_again(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [DISABLED, DISABLED]
    await provision_and_wait(service, environment_id)
    for phase in (Phase.STOPPED, Phase.READY):
        assert (await service.replay(environment_id)).step == "ensure_cluster"
        assert (await wait_until_ended(service, environment_id)).phase is phase
    assert harness.activities.calls.count("probe_s3_key") == 1


async def test_rolled_back_environment_starts_over(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [DISABLED]
    await provision_and_wait(service, environment_id, on_failure="rollback")

    replayed = await service.replay(environment_id)

    assert replayed.step is None
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    assert harness.activities.calls.count("ensure_cluster") == 2


@pytest.mark.parametrize("code", ["byok.VerificationFailed", "byok.Vanished", "rds.deleting"])
async def test_environment_with_wrong_resources_starts_over(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, code: str
) -> None:
    problem = build_aws_failure("s3", "NoSuchBucket", "gone", Phase.VERIFYING).details[0]
    wrong = ApplicationError("gone", problem.model_copy(update={"code": code}), type=code, non_retryable=True)
    harness.activities.script["collect_evidence"] = [wrong]
    await provision_and_wait(service, environment_id)

    assert (await service.replay(environment_id)).step is None
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    assert harness.activities.calls.count("ensure_bucket") == 6


async def test_replay_with_another_key_starts_over(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [DISABLED]
    await provision_and_wait(service, environment_id)

    replayed = await service.replay(environment_id, s3_key_arn=OTHER_KEY)
    ready = await wait_until_ended(service, environment_id)

    assert replayed.step is None
    assert (ready.phase, ready.s3_key_arn, ready.rds_key_arn) == (Phase.READY, OTHER_KEY, RDS_KEY)


async def test_replay_with_the_same_keys_resumes(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [DISABLED]
    await provision_and_wait(service, environment_id)

    assert (await service.replay(environment_id, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY)).step == "ensure_cluster"
    await wait_until_ended(service, environment_id)


@pytest.mark.parametrize(
    ("failed", "keys", "words"),
    [
        ("await_writer", {"rds_key_arn": OTHER_KEY}, r"The cluster byok-\S+ is encrypted with \S+222"),
        ("collect_evidence", {"s3_key_arn": OTHER_KEY}, r"The bucket byok-\S+-catalog-\S+ is encrypted"),
    ],
)
async def test_key_in_use_cannot_be_changed(
    service: EnvironmentService,
    harness: WorkflowHarness,
    environment_id: str,
    failed: str,
    keys: dict[str, str],
    words: str,
) -> None:
    harness.activities.script[failed] = [DISABLED]
    await provision_and_wait(service, environment_id)

    with pytest.raises(KeyCannotChangeError, match=words):
        await service.replay(environment_id, **keys)


async def test_refused_replay_says_why(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    hold = threading.Event()
    harness.activities.script["ensure_cluster"] = [lambda: hold.wait(60)]
    await service.create(build_provision_request(environment_id))
    with pytest.raises(NotReplayableError, match="is running"):
        await service.replay(environment_id)
    hold.set()
    await wait_until_ended(service, environment_id)
    with pytest.raises(NotReplayableError, match="is ready"):
        await service.replay(environment_id)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rds_key_arn": "alias/db"}, r"rejected again with arn\..*RDS key ARN"),
        ({"tenant": "a b"}, "with `byok create`"),
    ],
)
async def test_request_that_would_be_refused_again_is_not_replayed(
    service: EnvironmentService, environment_id: str, changes: dict[str, str], words: str
) -> None:
    await provision_and_wait(service, environment_id, **changes)

    with pytest.raises(NotReplayableError, match=words):
        await service.replay(environment_id)


async def test_corrected_arn_leads_to_ready(service: EnvironmentService, environment_id: str) -> None:
    await provision_and_wait(service, environment_id, rds_key_arn="alias/db")

    await service.replay(environment_id, rds_key_arn=RDS_KEY)

    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


def never_ready_step() -> Step:
    def wait() -> None:
        raise ApplicationError("creating", type="rds.NotReady")

    return wait


@pytest.mark.parametrize(("on_failure", "removed"), [("keep", False), ("rollback", True)])
async def test_cancelled_environment_reports_its_resources(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, on_failure: str, removed: bool
) -> None:
    harness.activities.script["ensure_writer"] = [never_ready_step()] * 99
    await service.create(build_provision_request(environment_id, on_failure=on_failure))
    await asyncio.wait_for(wait_until_called(harness, "ensure_writer"), 20)

    await service.cancel(environment_id)
    status = await wait_until_ended(service, environment_id)

    assert status.problem is not None
    assert (status.phase, status.problem.code) == (Phase.STOPPED, "byok.Cancelled")
    assert ("remove_cluster" in harness.activities.calls) is removed
    assert (status.resources.cluster is None) is removed
    assert status.left_behind == ()
    with pytest.raises(NotRunningError, match="Nothing to cancel"):
        await service.cancel(environment_id)
    harness.activities.script.clear()
    await service.replay(environment_id)
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_deleted_environment_can_be_created_again(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await provision_and_wait(service, environment_id)
    harness.activities.listed = [build_owned_resources(clusters=(f"byok-{environment_id}",))]
    asked = await service.build_delete_request(environment_id, final_snapshot=False)

    assert await service.delete(asked)
    deleted = await wait_until_ended(service, environment_id)

    assert deleted.phase is Phase.DELETED
    assert deleted.deletion is not None
    assert deleted.deletion.removed == (f"byok-{environment_id}",)
    assert (deleted.s3_key_arn, deleted.region) == (S3_KEY, asked.region)
    with pytest.raises(NotReplayableError, match="is deleted"):
        await service.replay(environment_id)
    with pytest.raises(EnvironmentNotReadyError, match="already deleted"):
        await service.build_delete_request(environment_id)
    assert (await service.create(build_provision_request(environment_id))).started
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_running_deletion_excludes_other_operations(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await provision_and_wait(service, environment_id)
    hold = threading.Event()
    harness.activities.script["find_resources"] = [lambda: hold.wait(60)]
    await service.delete(build_delete_request(environment_id))

    assert not await service.delete(build_delete_request(environment_id))
    with pytest.raises(EnvironmentBusyError, match="being deleted"):
        await service.create(build_provision_request(environment_id))
    with pytest.raises(NotReplayableError, match="DELETING"):
        await service.replay(environment_id)
    hold.set()
    assert (await wait_until_ended(service, environment_id)).phase is Phase.DELETED


async def test_deletion_without_a_worker_is_reported_as_deleting(
    temporal: WorkflowEnvironment, environment_id: str
) -> None:
    service = EnvironmentService(temporal.client, f"unpolled-{environment_id}")
    await service.delete(build_delete_request(environment_id))
    assert (await service.read_status(environment_id)).phase is Phase.DELETING


async def test_running_provisioning_cannot_be_deleted(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    hold = threading.Event()
    harness.activities.script["ensure_cluster"] = [lambda: hold.wait(60)]
    await service.create(build_provision_request(environment_id))

    with pytest.raises(EnvironmentBusyError, match="`byok cancel"):
        await service.delete(build_delete_request(environment_id))

    hold.set()
    await wait_until_ended(service, environment_id)


async def test_stopped_deletion_is_continued_by_delete_and_not_by_replay(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await provision_and_wait(service, environment_id)
    harness.activities.listed = [build_owned_resources(), build_owned_resources(buckets=("theirs",))]
    await service.delete(build_delete_request(environment_id))
    stopped = await wait_until_ended(service, environment_id)
    assert (stopped.phase, stopped.left_behind) == (Phase.STOPPED, ("theirs: AWS still lists it",))

    with pytest.raises(NotReplayableError, match="byok delete"):
        await service.replay(environment_id)
    assert await service.delete(await service.build_delete_request(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.DELETED


async def test_deleted_environments_are_listed_as_deleted(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await provision_and_wait(service, environment_id)
    await service.delete(build_delete_request(environment_id))
    await wait_until_ended(service, environment_id)

    async def listed() -> Phase | None:
        found = {one.environment_id: one.phase for one in await service.list_environments(10_000)}
        return found.get(environment_id)

    async def seen() -> None:
        while await listed() is not Phase.DELETED:  # noqa: ASYNC110 - the server sends no signal
            await asyncio.sleep(0.05)

    await asyncio.wait_for(seen(), 20)


async def test_worker_that_cannot_make_progress_is_reported_with_the_cause(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    # A result that cannot be decoded is an internal error, and the workflow waits until a worker with a fix is
    # deployed.
    harness.activities.garbled = True
    await service.create(build_provision_request(environment_id))

    status = await wait_until(service, environment_id, lambda status: any(item.last_failure for item in status.pending))

    (stuck,) = status.pending
    assert (stuck.activity, stuck.unclaimed) == (None, False)
    assert "CheckedKey" in str(stuck.last_failure)
    assert describe_pending_step(stuck).startswith("the worker cannot make progress, attempt ")
    await service.client.get_workflow_handle(status.workflow_id).terminate()
