"""Rollback and cancellation of provisioning: the resources that are removed, and the resources that are kept."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError, CancelledError

from byok.domain.models import RemovalResult
from byok.domain.phases import Phase
from tests.workflows.fake_activities import build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.test_provision_environment import BUCKETS, DISABLED, wait_for_failure


async def test_rollback_removes_writer_cluster_and_buckets_in_order(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*DISABLED, Phase.CREATING_STORAGE)]

    failure = await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, on_failure="rollback"))
    )

    assert failure.type == "s3.KMS.DisabledException"
    removals = [call for call in harness.activities.calls if call.startswith("remove_")]
    assert removals == ["remove_writer", "remove_cluster", *["remove_bucket"] * BUCKETS]
    progress = await harness.read_progress(environment_id)
    assert [entry.phase for entry in progress.timeline][-2:] == [Phase.ROLLING_BACK, Phase.STOPPED]
    assert progress.left_behind == ()


async def test_rollback_continues_after_a_failed_removal_and_lists_leftovers(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*DISABLED, Phase.CREATING_STORAGE)]
    harness.activities.script["remove_cluster"] = [ApplicationError("no", type="rds.AccessDenied", non_retryable=True)]

    await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, on_failure="rollback"))
    )

    progress = await harness.read_progress(environment_id)
    assert len(progress.left_behind) == 1
    assert progress.left_behind[0].startswith(f"byok-{environment_id}: ")
    assert harness.activities.calls.count("remove_bucket") == BUCKETS


async def test_nothing_is_rolled_back_if_nothing_was_created(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED, Phase.VALIDATING_KEYS)]

    await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, on_failure="rollback"))
    )

    assert not [name for name in harness.activities.calls if name.startswith("remove_")]


async def test_cancelled_environment_completes_its_write_and_reports_it(
    harness: WorkflowHarness, environment_id: str
) -> None:
    begun, finish = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        assert finish.wait(60)

    harness.activities.script["ensure_cluster"] = [write]
    handle = await harness.start_provision(build_provision_request(environment_id))
    assert await asyncio.to_thread(begun.wait, 10)

    await handle.cancel()
    finish.set()

    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, CancelledError)
    assert (await handle.describe()).status is WorkflowExecutionStatus.CANCELED
    progress = await harness.read_progress(environment_id)
    assert progress.phase is Phase.STOPPED
    assert progress.first_problem is not None
    assert progress.first_problem.code == "byok.Cancelled"
    assert progress.resources.cluster is not None
    assert "ensure_bucket" not in harness.activities.calls


async def test_cancelled_environment_is_rolled_back_on_request(harness: WorkflowHarness, environment_id: str) -> None:
    begun = threading.Event()
    harness.activities.script["ensure_writer"] = [_then(begun, ApplicationError("creating", type="rds.NotReady"))] * 99
    handle = await harness.start_provision(build_provision_request(environment_id, on_failure="rollback"))
    assert await asyncio.to_thread(begun.wait, 10)

    await handle.cancel()

    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert "remove_cluster" in harness.activities.calls
    assert (await harness.read_progress(environment_id)).resources.cluster is None


async def test_kept_bucket_is_listed(harness: WorkflowHarness, environment_id: str) -> None:
    harness.activities.script["collect_evidence"] = [build_aws_failure(*DISABLED, Phase.VERIFYING)]
    kept = RemovalResult(resource="b", removed=False, why_kept="it holds objects that are not ours")
    harness.activities.removals["remove_bucket"] = kept

    await wait_for_failure(
        await harness.start_provision(build_provision_request(environment_id, on_failure="rollback"))
    )

    progress = await harness.read_progress(environment_id)
    assert [item.split(": ")[1] for item in progress.left_behind] == ["it holds objects that are not ours"] * BUCKETS


def _then(fact: threading.Event, error: Exception) -> Callable[[], None]:
    def step() -> None:
        fact.set()
        raise error

    return step
