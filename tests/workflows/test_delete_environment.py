"""The deletion of an environment requires confirmation, removes resources in order, and proves that none are left."""

import asyncio
import threading

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from byok.domain.holding import MAX_HOLD
from byok.domain.models import (
    BucketWithForeignObjects,
    ClusterSnapshot,
    DeleteRequest,
    OwnedResource,
    Problem,
    RemovalResult,
)
from byok.domain.phases import Phase
from tests.remedy_text import text_of
from tests.workflows.fake_activities import (
    PLATFORM,
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_delete_request,
    build_owned_resources,
    build_provision_request,
    parse_problems,
)
from tests.workflows.temporal_env import WorkflowHarness

CLUSTER, WRITER, BUCKET, FORMER = "byok-acme", "byok-acme-writer", "byok-acme-files-1", "byok-acme-former-2"
EVERYTHING = build_owned_resources(instances=(WRITER,), clusters=(CLUSTER,), buckets=(BUCKET, FORMER))
SNAPSHOT = ClusterSnapshot(
    identifier="final", arn="arn:aws:rds:…:cluster-snapshot:final", status="available", key_arn=RDS_KEY
)


async def test_resources_are_removed_in_order_and_listed_in_the_result(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING, build_owned_resources(final_snapshot=SNAPSHOT)]

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
    harness.activities.listed = [EVERYTHING, build_owned_resources(buckets=(BUCKET, FORMER))]
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
    harness.activities.listed = [EVERYTHING, build_owned_resources(clusters=(f"byok-{environment_id}",))]
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
    harness.activities.listed = [EVERYTHING, build_owned_resources(instances=("a-reader",))]

    with pytest.raises(WorkflowFailureError) as caught:
        await (await harness.start_delete(build_delete_request(environment_id))).result()

    assert isinstance(caught.value.cause, ApplicationError)
    assert "a-reader: AWS still lists it" in parse_problems(caught.value.cause)[0].message


async def test_cancelled_deletion_reports_remaining_resources(harness: WorkflowHarness, environment_id: str) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        raise ApplicationError("deleting", type="rds.NotReady")

    harness.activities.listed = [EVERYTHING, build_owned_resources(clusters=(CLUSTER,), buckets=(BUCKET,))]
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


async def test_cancellation_after_the_last_removal_does_not_stop_the_deletion(
    harness: WorkflowHarness, environment_id: str
) -> None:
    listing, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        listing.set()
        go_on.wait(60)

    harness.activities.listed = [EVERYTHING, build_owned_resources()]
    harness.activities.script["find_resources"] = [lambda: None, slowly]
    handle = await harness.start_delete(build_delete_request(environment_id))
    await asyncio.to_thread(listing.wait, 10)

    await handle.cancel()
    go_on.set()

    assert (await handle.result()).removed == EVERYTHING.names
    assert (await harness.read_progress(environment_id)).phase is Phase.DELETED


async def test_deletion_cancelled_at_its_start_reports_remaining_resources(
    harness: WorkflowHarness, environment_id: str
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slowly() -> None:
        begun.set()
        go_on.wait(60)

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


async def test_cancelled_deletion_needs_no_final_snapshot_to_report_what_remains(
    harness: WorkflowHarness, environment_id: str
) -> None:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        raise ApplicationError("deleting", type="rds.NotReady")

    harness.activities.listed = [EVERYTHING, EVERYTHING]
    harness.activities.script["remove_cluster"] = [wait] * 99
    handle = await harness.start_delete(build_delete_request(environment_id, final_snapshot=True))
    await asyncio.to_thread(begun.wait, 10)

    await handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    first, last = harness.activities.inputs["find_resources"]
    assert (first.final_snapshot is None, last.final_snapshot) == (False, None)


async def stop_deletion(harness: WorkflowHarness, request: DeleteRequest) -> list[Problem]:
    """Delete an environment, and return the problems that stop the deletion before it removes anything."""
    with pytest.raises(WorkflowFailureError) as caught:
        await (await harness.start_delete(request)).result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert not any(call.startswith(("remove", "release")) for call in harness.activities.calls)
    return parse_problems(caught.value.cause)


async def test_resources_in_another_region_stop_the_deletion(harness: WorkflowHarness, environment_id: str) -> None:
    far = OwnedResource(name=FORMER, region="us-east-1")
    harness.activities.listed = [EVERYTHING.model_copy(update={"buckets": (*EVERYTHING.buckets, far)})]

    (problem,) = await stop_deletion(harness, build_delete_request(environment_id))

    assert problem.code == "byok.RegionDiffers"  # contract 137
    assert f"specifies the Region {REGION}, but AWS reports" in problem.message
    assert f"us-east-1 ({FORMER})" in problem.message
    assert "Nothing was deleted" in text_of(problem.remediation)


@pytest.mark.parametrize(
    ("field", "label", "reported"), [("s3_key_arn", "S3 key ARN", S3_KEY), ("rds_key_arn", "RDS key ARN", RDS_KEY)]
)
async def test_other_keys_than_aws_reports_stop_the_deletion(
    harness: WorkflowHarness, environment_id: str, field: str, label: str, reported: str
) -> None:
    harness.activities.listed = [EVERYTHING]
    other = f"arn:aws:kms:{REGION}:444455556666:key/99999999-9999-4999-8999-999999999999"

    (problem,) = await stop_deletion(harness, build_delete_request(environment_id, **{field: other}))

    assert problem.code == "byok.KeyDiffers"  # contract 137
    assert f"specifies {other} as {label}" in problem.message
    assert problem.message.endswith(f"encrypted with {reported}.")


async def test_region_that_is_not_in_use_stops_the_deletion(harness: WorkflowHarness, environment_id: str) -> None:
    (problem,) = await stop_deletion(harness, build_delete_request(environment_id, region="us-west-2"))

    assert problem.code == "byok.RegionNotInUse"
    assert f"The Regions in use are {REGION} (BYOK_REGIONS)" in problem.message
    assert "find_resources" not in harness.activities.calls


async def test_foreign_objects_stop_the_deletion_before_the_database_is_touched(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING]
    harness.activities.foreign = (BucketWithForeignObjects(bucket=BUCKET, keys=("report.csv",)),)

    (problem,) = await stop_deletion(harness, build_delete_request(environment_id))

    assert problem.code == "byok.ForeignObjects"  # contract 137
    assert f"{BUCKET}: report.csv" in problem.message
    assert "the database still runs" in text_of(problem.remediation)
    (task,) = harness.activities.inputs["find_foreign_objects"]
    assert task.buckets == (BUCKET, FORMER), "all buckets are examined, also former ones"
    progress = await harness.read_progress(environment_id)
    assert (progress.phase, progress.left_behind) == (
        Phase.STOPPED,
        tuple(f"{name}: not removed" for name in EVERYTHING.names),
    )


async def test_region_and_keys_come_from_aws_if_the_request_names_no_keys(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [EVERYTHING]
    request = DeleteRequest(environment_id=environment_id, confirm=environment_id, region=REGION)

    await (await harness.start_delete(request)).result()

    (environment,) = harness.activities.inputs["release_all_claims"]  # contract 138
    assert (environment.s3_key_arn, environment.rds_key_arn) == (S3_KEY, RDS_KEY)
    shown = (await harness.read_progress(environment_id)).request
    assert (shown.s3_key_arn, shown.rds_key_arn) == (S3_KEY, RDS_KEY)


async def test_claims_stay_while_a_resource_is_left(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.listed = [EVERYTHING, EVERYTHING]

    with pytest.raises(WorkflowFailureError):
        await (await harness.start_delete(build_delete_request(environment_id))).result()

    assert "release_all_claims" not in harness.activities.calls  # contract 138


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
        go_on.wait(60)

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
HOLD = int(MAX_HOLD.total_seconds())
BOUNDS = {
    "plan_deletion": (10, HOLD + 15 * MINUTE, 0),  # this activity makes no AWS calls, so it ends immediately
    "find_resources": (3 * MINUTE, HOLD + 15 * MINUTE, 8),
    "find_foreign_objects": (3 * MINUTE, HOLD + 15 * MINUTE, 8),
    "release_all_claims": (3 * MINUTE, HOLD + 15 * MINUTE, 8),
    "remove_writer": (3 * MINUTE, HOLD + 60 * MINUTE, 8),
    "remove_cluster": (3 * MINUTE, HOLD + 60 * MINUTE, 8),
    "remove_bucket": (3 * MINUTE, HOLD + 60 * MINUTE, 8),
}
"""Each activity's start-to-close, schedule-to-close and heartbeat timeouts, in seconds."""


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
