"""The deletion of an environment requires confirmation, removes resources in order, and proves that none are left."""

import asyncio
import threading

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from byok.domain.models import ClusterSnapshot, OwnedResources, RemovalResult
from byok.domain.phases import Phase
from tests.workflows.fake_activities import (
    PLATFORM,
    RDS_KEY,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
    parse_problems,
)
from tests.workflows.temporal_env import WorkflowHarness

CLUSTER, WRITER, BUCKET, FORMER = "byok-acme", "byok-acme-writer", "byok-acme-files-1", "byok-acme-former-2"
EVERYTHING = OwnedResources(instances=(WRITER,), clusters=(CLUSTER,), buckets=(BUCKET, FORMER))
SNAPSHOT = ClusterSnapshot(
    identifier="final", arn="arn:aws:rds:…:cluster-snapshot:final", status="available", key_arn=RDS_KEY
)


async def test_resources_are_removed_in_order_and_listed_in_the_result(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING, OwnedResources(final_snapshot=SNAPSHOT)]

    result = await (await harness.start_delete(build_delete_request(environment_id))).result()

    calls = harness.activities.calls
    assert calls[0] == "plan_deletion"
    assert [call for call in calls if call.startswith("remove")] == [
        *("remove_writer", "remove_cluster", "remove_bucket", "remove_bucket"),
    ]
    assert result.removed == (WRITER, CLUSTER, BUCKET, FORMER)
    assert result.final_snapshot == SNAPSHOT
    progress = await harness.read_progress(environment_id)
    assert [entry.phase for entry in progress.timeline] == [Phase.DELETING, Phase.DELETED]
    assert progress.deletion == result


async def test_final_snapshot_is_the_default_and_has_a_unique_name(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING]
    await (await harness.start_delete(build_delete_request(environment_id))).result()
    (named,) = {task.final_snapshot for task in harness.activities.inputs["remove_cluster"]}
    assert named.startswith(f"{environment_id}-final-2")

    harness.activities.listed = [EVERYTHING]
    await (await harness.start_delete(build_delete_request(environment_id, final_snapshot=False))).result()
    assert harness.activities.inputs["remove_cluster"][-1].final_snapshot is None


async def test_bucket_no_longer_in_the_blueprint_is_removed(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.listed = [EVERYTHING]
    await (await harness.start_delete(build_delete_request(environment_id))).result()
    assert [task.bucket.name for task in harness.activities.inputs["remove_bucket"]] == [BUCKET, FORMER]


async def test_environment_without_resources_is_deleted(harness: WorkflowHarness, environment_id: str) -> None:
    result = await (await harness.start_delete(build_delete_request(environment_id))).result()
    assert (result.removed, result.final_snapshot) == ((), None)


async def test_bucket_with_foreign_data_is_kept_and_reported(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.listed = [EVERYTHING, OwnedResources(buckets=(BUCKET, FORMER))]
    why = "it holds objects that provisioning did not write: theirs"
    harness.activities.removals["remove_bucket"] = RemovalResult(resource=BUCKET, removed=False, why_kept=why)

    with pytest.raises(WorkflowFailureError) as caught:
        await (await harness.start_delete(build_delete_request(environment_id))).result()

    assert isinstance(caught.value.cause, ApplicationError)
    (problem,) = parse_problems(caught.value.cause)
    assert problem.code == "byok.LeftBehind"
    assert f"{BUCKET}: {why}" in problem.message
    progress = await harness.read_progress(environment_id)
    assert (progress.phase, progress.left_behind) == (Phase.STOPPED, (f"{BUCKET}: {why}", f"{FORMER}: {why}"))


async def test_failed_removal_does_not_stop_the_others_and_is_reported(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING, OwnedResources(clusters=(f"byok-{environment_id}",))]
    denied = build_aws_failure("rds", "AccessDenied", "not authorized to perform: rds:DeleteDBCluster", Phase.DELETING)
    harness.activities.script["remove_cluster"] = [denied]

    with pytest.raises(WorkflowFailureError) as caught:
        await (await harness.start_delete(build_delete_request(environment_id))).result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert [problem.code for problem in parse_problems(caught.value.cause)] == ["rds.AccessDenied"]
    assert harness.activities.calls.count("remove_bucket") == 2
    (left,) = (await harness.read_progress(environment_id)).left_behind
    assert left.startswith(f"byok-{environment_id}: rds.AccessDenied")


async def test_resource_that_aws_still_lists_is_reported(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.listed = [EVERYTHING, OwnedResources(instances=("a-reader",))]

    with pytest.raises(WorkflowFailureError) as caught:
        await (await harness.start_delete(build_delete_request(environment_id))).result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert "a-reader: AWS still lists it" in parse_problems(caught.value.cause)[0].message


async def test_cancelled_deletion_reports_remaining_resources(harness: WorkflowHarness, environment_id: str) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        raise ApplicationError("deleting", type="rds.NotReady")

    harness.activities.listed = [EVERYTHING, OwnedResources(clusters=(CLUSTER,), buckets=(BUCKET,))]
    harness.activities.script["remove_cluster"] = [wait] * 99
    handle = await harness.start_delete(build_delete_request(environment_id))
    await asyncio.to_thread(begun.wait, 10)

    await handle.cancel()

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    progress = await harness.read_progress(environment_id)
    assert progress.first_problem is not None
    assert (progress.phase, progress.first_problem.code) == (Phase.STOPPED, "byok.Cancelled")
    assert progress.left_behind == (f"{CLUSTER}: not removed yet", f"{BUCKET}: not removed yet")
    assert "remove_bucket" not in harness.activities.calls


async def test_deletion_cancelled_at_its_start_reports_remaining_resources(
    harness: WorkflowHarness, environment_id: str
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        begun.set()
        go_on.wait(10)

    harness.activities.listed = [EVERYTHING]
    harness.activities.script["plan_deletion"] = [slowly]
    handle = await harness.start_delete(build_delete_request(environment_id))
    await asyncio.to_thread(begun.wait, 10)

    await handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    go_on.set()
    progress = await harness.read_progress(environment_id)
    assert progress.first_problem is not None
    assert (progress.phase, progress.first_problem.code) == (Phase.STOPPED, "byok.Cancelled")
    assert progress.left_behind == tuple(f"{name}: not removed yet" for name in EVERYTHING.names)
    assert not any(call.startswith("remove") for call in harness.activities.calls)


@pytest.mark.parametrize("confirm", ["", "acme-2"])
async def test_unconfirmed_deletion_is_refused(harness: WorkflowHarness, environment_id: str, confirm: str) -> None:
    asked = build_delete_request(environment_id).model_dump() | {"confirm": confirm}
    handle = await harness.client.start_workflow(
        "DeleteEnvironment", asked, id=f"environment/{environment_id}", task_queue=harness.task_queue
    )

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert "confirm: " in caught.value.cause.message
    assert "must repeat the environment id" in caught.value.cause.message
    assert harness.activities.calls == []


async def test_deletion_under_another_workflow_id_is_refused(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.client.start_workflow(
        "DeleteEnvironment",
        build_delete_request(environment_id),
        id=f"delete/{environment_id}",
        task_queue=harness.task_queue,
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert harness.activities.calls == []


async def test_cancellation_does_not_interrupt_a_rollback(harness: WorkflowHarness, environment_id: str) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        begun.set()
        go_on.wait(10)

    disabled = build_aws_failure("s3", "KMS.DisabledException", "… is disabled.", Phase.CREATING_STORAGE)
    harness.activities.script |= {"ensure_bucket": [disabled], "remove_cluster": [slowly]}
    handle = await harness.start_provision(build_provision_request(environment_id, on_failure="rollback"))
    await asyncio.to_thread(begun.wait, 10)
    await handle.cancel()
    go_on.set()

    with pytest.raises(WorkflowFailureError):
        await handle.result()

    progress = await harness.read_progress(environment_id)
    assert (progress.phase, progress.left_behind) == (Phase.STOPPED, ())
    assert harness.activities.calls.count("remove_bucket") == len(PLATFORM.blueprint.buckets)


MINUTE = 60
BOUNDS = {
    "plan_deletion": (10, 15 * MINUTE, 0),  # this activity makes no AWS calls, so it ends at once
    "list_databases": (3 * MINUTE, 15 * MINUTE, 8),
    "list_buckets": (3 * MINUTE, 15 * MINUTE, 8),
    "remove_writer": (3 * MINUTE, 60 * MINUTE, 8),
    "remove_cluster": (3 * MINUTE, 60 * MINUTE, 8),
    "remove_bucket": (3 * MINUTE, 60 * MINUTE, 8),
}
"""Each activity's timeouts, in seconds: for one attempt, for all attempts, and for a heartbeat."""


async def test_every_activity_has_timeouts_heartbeats_and_retries(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING]
    handle = await harness.start_delete(build_delete_request(environment_id))
    await handle.result()

    steps = [
        event.activity_task_scheduled_event_attributes
        for event in (await handle.fetch_history()).events
        if event.HasField("activity_task_scheduled_event_attributes")
    ]
    # Replay tests would not notice changed timeouts or retry policies, because histories replay despite such changes.
    assert {step.activity_type.name for step in steps} == BOUNDS.keys()
    for step in steps:
        name, retry = step.activity_type.name, step.retry_policy
        bounds = (step.start_to_close_timeout, step.schedule_to_close_timeout, step.heartbeat_timeout)
        assert tuple(bound.seconds for bound in bounds) == BOUNDS[name], name
        assert (retry.initial_interval.ToMilliseconds(), retry.backoff_coefficient) == (500, 2), name
        assert (retry.maximum_interval.seconds, retry.maximum_attempts) == (5, 0), name
        assert "s3.KMS.DisabledException" in retry.non_retryable_error_types, name
