"""The workflows with platform-managed keys (contract 132).

There is no key check and no tenant step, but the stops and the deletion are the same as with customer-managed keys.
"""

import pytest
from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from byok.domain.encryption import ENCRYPTION_CANNOT_CHANGE_CODE
from byok.domain.models import DeleteRequest, OwnedResource, OwnedResources, Problem
from byok.domain.phases import Encryption, Phase
from tests.requested_keys import ON_PLATFORM_KEYS, build_platform_failure
from tests.workflows.fake_activities import (
    PLATFORM,
    RDS_KEY,
    REGION,
    S3_KEY,
    build_delete_request,
    build_provision_request,
    parse_problems,
)
from tests.workflows.temporal_env import WorkflowHarness


async def test_environment_becomes_ready_without_a_check_of_keys(harness: WorkflowHarness, environment_id: str) -> None:
    handle = await harness.start_provision(build_provision_request(environment_id, tenant="acme", **ON_PLATFORM_KEYS))

    evidence = await handle.result()

    assert evidence.encryption is Encryption.PLATFORM_MANAGED
    assert not {"probe_s3_key", "probe_key_claims", "reconcile_key"} & set(harness.activities.calls)
    progress = await harness.read_progress(environment_id)
    assert progress.request.encryption is Encryption.PLATFORM_MANAGED  # the memo shows the encryption
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
    assert not {"await_aurora_proof", "release_unused_claims"} & set(harness.activities.calls)
    assert ("remove_cluster" in harness.activities.calls) == (on_failure == "rollback")


def build_owned(key_arns: tuple[str, str], region: str = REGION) -> OwnedResources:
    """Build the list of an environment's resources that use the given S3 key and Aurora key."""
    s3_key, rds_key = key_arns
    return OwnedResources(
        clusters=(OwnedResource(name="byok-acme", region=region, key_arn=rds_key),),
        buckets=(OwnedResource(name="byok-acme-files", region=region, key_arn=s3_key),),
    )


ON_AWS_MANAGED_KEYS = (
    "alias/aws/s3",
    f"arn:aws:kms:{REGION}:{PLATFORM.account}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
)
ON_CUSTOMER_KEYS = (S3_KEY, RDS_KEY)


@pytest.mark.parametrize("known", [True, False])
async def test_deletion_removes_everything_and_releases_no_claim(
    harness: WorkflowHarness, environment_id: str, known: bool
) -> None:
    harness.activities.listed = [build_owned(ON_AWS_MANAGED_KEYS)]
    values = ON_PLATFORM_KEYS if known else {"s3_key_arn": None, "rds_key_arn": None}

    result = await (await harness.start_delete(build_delete_request(environment_id, **values))).result()

    assert result.removed == ("byok-acme", "byok-acme-files")
    assert "release_all_claims" not in harness.activities.calls  # contract 132
    (planned,) = harness.activities.inputs["remove_bucket"]
    assert planned.environment.encryption is Encryption.PLATFORM_MANAGED  # contract 137: as reported by AWS
    progress = await harness.read_progress(environment_id)
    assert progress.request.encryption is Encryption.PLATFORM_MANAGED
    assert (progress.request.s3_key_arn, progress.request.rds_key_arn) == (None, None)


async def stop_deletion(harness: WorkflowHarness, request: DeleteRequest) -> Problem:
    """Start a deletion that stops before it removes anything, and return the problem that stops it."""
    with pytest.raises(WorkflowFailureError) as caught:
        await (await harness.start_delete(request)).result()
    assert isinstance(caught.value.cause, ApplicationError)
    assert not any(call.startswith(("remove", "release")) for call in harness.activities.calls)
    (problem,) = parse_problems(caught.value.cause)
    return problem


@pytest.mark.parametrize("keys", [ON_AWS_MANAGED_KEYS, ON_CUSTOMER_KEYS], ids=["platform", "customer"])
async def test_deletion_of_resources_in_another_region_is_refused(
    harness: WorkflowHarness, environment_id: str, keys: tuple[str, str]
) -> None:
    harness.activities.listed = [build_owned(keys, "us-east-1")]
    problem = await stop_deletion(harness, build_delete_request(environment_id, **ON_PLATFORM_KEYS))
    assert problem.code == "byok.RegionDiffers"  # contract 137


@pytest.mark.parametrize("field", ["s3_key_arn", "rds_key_arn"])
@pytest.mark.parametrize("kept", ["clusters", "buckets"])
async def test_deletion_that_names_a_customer_key_is_refused_on_platform_keys(
    harness: WorkflowHarness, environment_id: str, field: str, kept: str
) -> None:
    owned = build_owned(ON_AWS_MANAGED_KEYS)
    harness.activities.listed = [OwnedResources.model_validate({kept: getattr(owned, kept)})]
    request = build_delete_request(environment_id, **{"s3_key_arn": None, "rds_key_arn": None, field: S3_KEY})
    problem = await stop_deletion(harness, request)
    assert problem.code == ENCRYPTION_CANNOT_CHANGE_CODE  # contract 9, 137
    assert f"Environment {environment_id} uses platform-managed keys" in problem.message


async def test_deletion_that_says_platform_managed_is_refused_on_customer_keys(
    harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.listed = [build_owned(ON_CUSTOMER_KEYS)]
    problem = await stop_deletion(harness, build_delete_request(environment_id, **ON_PLATFORM_KEYS))
    assert problem.code == ENCRYPTION_CANNOT_CHANGE_CODE  # contract 9, 137
    assert f"byok-acme is encrypted with {RDS_KEY}" in problem.message


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
