"""Test which workflows count towards a quota, and when a quota has capacity again."""

import asyncio
import threading
from datetime import timedelta

import pytest
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import WorkflowFailureError

from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.phases import Phase
from byok.domain.quotas import Quota
from byok.service.errors import QuotaExceededError
from byok.service.quotas import require_key_check_quota
from tests.quotas.conftest import Tenant
from tests.workflows.fake_activities import build_aws_failure
from tests.workflows.watching import wait_until_ended

DISABLED = ("s3", "KMS.DisabledException", "The key is disabled.", Phase.VALIDATING_KEYS)


async def start_by_hand(tenant: Tenant, name: str) -> None:
    """Start a workflow directly in Temporal, and wait until visibility shows that the quota stopped the workflow."""
    request = tenant.build_request(name)
    workflow_id = environment_workflow_id(request.environment_id)
    with pytest.raises(WorkflowFailureError):
        await tenant.harness.client.execute_workflow(
            PROVISION_ENVIRONMENT_WORKFLOW, request, id=workflow_id, task_queue=tenant.harness.task_queue
        )
    await tenant.wait_until_visibly_ended(workflow_id)


async def test_deletion_frees_an_environment(tenant: Tenant) -> None:
    await tenant.use_up(Quota.ENVIRONMENTS)
    first = f"{tenant.name}-first"

    await tenant.service.delete(await tenant.service.build_delete_request(first))
    await wait_until_ended(tenant.service, first)

    await tenant.wait_until_free(Quota.ENVIRONMENTS)
    await tenant.create("next")


async def test_deletion_is_never_refused(tenant: Tenant) -> None:
    await tenant.use_up(Quota.ENVIRONMENTS)
    tenant.limit(environments=0, in_flight=0, key_checks_per_hour=0)
    first = f"{tenant.name}-first"

    await tenant.service.delete(await tenant.service.build_delete_request(first))

    assert (await wait_until_ended(tenant.service, first)).phase is Phase.DELETED


async def test_environment_counts_once_however_often_it_ran(tenant: Tenant) -> None:
    tenant.limit(environments=2)
    for _ in range(2):
        tenant.harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED)]
        await tenant.create("first", Phase.STOPPED)

    await tenant.create("second")

    found = await tenant.wait_until_exceeded(Quota.ENVIRONMENTS)
    assert (found.used, found.limit) == (2, 2)


async def test_existing_environment_is_found_and_replayed_at_the_limit(tenant: Tenant) -> None:
    tenant.limit(environments=1)
    tenant.harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED)]
    first = await tenant.create("first", Phase.STOPPED)
    await tenant.wait_until_exceeded(Quota.ENVIRONMENTS)

    await tenant.service.replay(first)

    assert (await wait_until_ended(tenant.service, first)).phase is Phase.READY
    assert not (await tenant.service.create(tenant.build_request("first"))).started


async def test_repeated_request_finds_its_environment_in_flight(tenant: Tenant) -> None:
    await tenant.use_up(Quota.IN_FLIGHT)

    assert not (await tenant.service.create(tenant.build_request("first"))).started


async def test_environment_is_in_flight_until_its_workflow_ends(tenant: Tenant) -> None:
    tenant.limit(in_flight=2)
    await tenant.create("ended")
    await tenant.leave_running("running")
    await tenant.leave_running("paused")
    await tenant.harness.client.workflow_service.pause_workflow_execution(
        PauseWorkflowExecutionRequest(
            namespace=tenant.harness.client.namespace,
            workflow_id=environment_workflow_id(f"{tenant.name}-paused"),
            identity="a test",
            reason="a test",
            request_id=tenant.name,
        )
    )

    found = await tenant.wait_until_exceeded(Quota.IN_FLIGHT)

    assert (found.used, found.limit) == (2, 2)


async def test_replay_is_refused_while_too_many_are_in_flight(tenant: Tenant) -> None:
    tenant.limit(in_flight=1)
    tenant.harness.activities.script["probe_s3_key"] = [build_aws_failure(*DISABLED)]
    stopped = await tenant.create("stopped", Phase.STOPPED)
    await tenant.leave_running("running")
    await tenant.wait_until_exceeded(Quota.IN_FLIGHT)

    with pytest.raises(QuotaExceededError) as refused:
        await tenant.service.replay(stopped)

    assert "Nothing was started. Try again when one of the environments is ready" in str(refused.value)


async def test_environment_that_a_quota_stopped_does_not_count_and_can_be_replayed(tenant: Tenant) -> None:
    await tenant.use_up(Quota.ENVIRONMENTS)
    await start_by_hand(tenant, "refused")
    tenant.limit(environments=2)
    assert await tenant.find_exceeded(Quota.ENVIRONMENTS) is None

    await tenant.service.replay(f"{tenant.name}-refused")

    assert (await wait_until_ended(tenant.service, f"{tenant.name}-refused")).phase is Phase.READY


async def test_only_earlier_workflows_use_up_the_quota_of_a_workflow(tenant: Tenant) -> None:
    """If two workflows start together under a quota of one, byok stops only the later workflow."""
    await tenant.use_up(Quota.IN_FLIGHT)
    (run,) = [
        one async for one in tenant.harness.client.list_workflows(f"WorkflowId = 'environment/{tenant.name}-first'")
    ]
    counter, other = tenant.counter, f"{tenant.name}-other"

    assert await counter.find_exceeded_by_environment(tenant.name, other, before=run.start_time) is None
    later = run.start_time + timedelta(microseconds=1)
    assert await counter.find_exceeded_by_environment(tenant.name, other, before=later) is not None


async def test_checks_count_for_each_key_and_for_an_hour(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    found = await tenant.use_up(Quota.KEY_CHECKS)
    s3_key, rds_key = tenant.build_check().key_pair.arns
    counter = tenant.counter

    assert (found.key_arn, found.used) == (s3_key, 1)
    assert found.retry_after is not None
    assert timedelta(minutes=59) < found.retry_after <= timedelta(hours=1)
    assert await counter.find_exceeded_by_key_check(tenant.name, [rds_key]) is not None
    assert await counter.find_exceeded_by_key_check(tenant.name, [rds_key[:-1] + "3"]) is None
    assert await counter.find_exceeded_by_key_check("another", [s3_key]) is None
    monkeypatch.setattr("byok.temporal_quotas.KEY_CHECK_WINDOW", timedelta(0))
    assert await counter.find_exceeded_by_key_check(tenant.name, [s3_key]) is None


async def test_identical_check_may_join_the_one_in_progress_at_the_limit(tenant: Tenant) -> None:
    tenant.limit(key_checks_per_hour=1)
    hold = threading.Event()
    tenant.harness.activities.script["probe_s3_key"] = [lambda: hold.wait(60)]
    first = asyncio.create_task(tenant.service.check_keys(tenant.build_check()))
    await tenant.wait_until_exceeded(Quota.KEY_CHECKS)

    await require_key_check_quota(tenant.counter, tenant.build_check())
    hold.set()
    await first
    await tenant.wait_until_none_is_open()

    with pytest.raises(QuotaExceededError):
        await require_key_check_quota(tenant.counter, tenant.build_check())


async def test_refused_check_does_not_count(tenant: Tenant) -> None:
    await tenant.use_up(Quota.KEY_CHECKS)
    workflow_id = f"keys/{tenant.name}"
    with pytest.raises(WorkflowFailureError):
        await tenant.harness.client.execute_workflow(
            "CheckKeys", tenant.build_check(), id=workflow_id, task_queue=tenant.harness.task_queue
        )
    await tenant.wait_until_visibly_ended(workflow_id)
    found = await tenant.wait_until_exceeded(Quota.KEY_CHECKS)

    assert found.used == 1


async def test_search_attribute_does_not_contain_the_arn(tenant: Tenant) -> None:
    await tenant.use_up(Quota.KEY_CHECKS)
    (run,) = [one async for one in tenant.harness.client.list_workflows(f"Organisation = '{tenant.name}'")]

    assert "arn:" not in str(run.typed_search_attributes)
