"""The workflows on platform-managed keys: no key check, no tenant step, the same stop and deletion (contract 132)."""

import pytest
from temporalio.client import WorkflowFailureError

from byok.domain.phases import Encryption, Phase
from tests.requested_keys import ON_PLATFORM_KEYS, build_platform_failure
from tests.workflows.fake_activities import (
    build_delete_request,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness


async def test_environment_becomes_ready_without_a_check_of_keys(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_provision(build_provision_request(environment_id, tenant="acme", **ON_PLATFORM_KEYS))

    evidence = await handle.result()

    assert evidence.encryption is Encryption.PLATFORM_MANAGED
    assert not {"probe_s3_key", "probe_key_claims", "reconcile_key"} & set(harness.activities.calls)
    progress = await harness.read_progress(environment_id)
    assert progress.request.encryption is Encryption.PLATFORM_MANAGED  # the memo shows it
    assert (progress.phase, progress.tenant_name, progress.tenant) == (Phase.READY, "acme", None)
    entered = [entry.phase for entry in progress.timeline]
    assert Phase.RECONCILING_TENANT not in entered


@pytest.mark.parametrize("on_failure", ["keep", "rollback"])
async def test_fault_of_a_platform_key_stops_without_examining_keys(
    harness: WorkflowHarness, environment_id: str, on_failure: str
) -> None:
    harness.activities.script["ensure_bucket"] = [build_platform_failure(Phase.CREATING_STORAGE)]
    handle = await harness.start_provision(
        build_provision_request(environment_id, on_failure=on_failure, **ON_PLATFORM_KEYS)
    )
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    progress = await harness.read_progress(environment_id)
    assert progress.phase is Phase.STOPPED
    assert [problem.key for problem in progress.problems] == [None]
    assert "await_aurora_proof" not in harness.activities.calls
    assert ("remove_cluster" in harness.activities.calls) == (on_failure == "rollback")


async def test_deletion_runs_as_for_customer_keys(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_delete(build_delete_request(environment_id, **ON_PLATFORM_KEYS))
    assert (await handle.result()).removed == ()
    progress = await harness.read_progress(environment_id)
    assert (progress.phase, progress.request.encryption) == (Phase.DELETED, Encryption.PLATFORM_MANAGED)
    (planned,) = harness.activities.inputs["remove_cluster"]
    assert planned.environment.customer_keys == ()


async def test_input_that_mixes_both_kinds_fails_at_once(harness: WorkflowHarness, environment_id: str) -> None:
    keys = build_provision_request(environment_id).model_dump(mode="json")
    handle = await harness.client.start_workflow(
        "ProvisionEnvironment",
        {**keys, "encryption": "platform-managed"},
        id=f"environment/{environment_id}",
        task_queue=harness.task_queue,
    )
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert "s3_key_arn: must be left out with `encryption: platform-managed`" in str(failure.value.cause)
    assert harness.activities.calls == []
