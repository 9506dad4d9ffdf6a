"""Tenant names through `EnvironmentService`: requests, concurrent requests, and the resulting status."""

import asyncio
import threading
from typing import Any

import pytest

from byok.contracts import tenant_workflow_id
from byok.domain.models import ReconcileTenantRequest
from byok.domain.phases import Phase
from byok.service import environment_reader as door
from byok.service import histories, tenant_names
from byok.service.environments import EnvironmentService
from byok.service.errors import DifferentNamingInProgressError, EnvironmentConflictError, NamingStoppedError
from byok.service.pending import PendingStep
from byok.service.status import EnvironmentStatus, EnvironmentSummary
from tests.workflows.fake_activities import ROLE, build_aws_failure, build_provision_request, build_tenant_request
from tests.workflows.temporal_env import WorkflowHarness

NOT_THE_ROLE = ("sts", "AccessDenied", "User: … is not authorized to perform: sts:AssumeRole on resource: …")
DENIED = ("kms", "AccessDeniedException", "User: … is not authorized to perform: kms:CreateAlias on resource: …")


class HeldStep:
    """A scripted step that blocks a fake activity until the test releases the step."""

    def __init__(self) -> None:
        self.begun, self._go = threading.Event(), threading.Event()

    def __call__(self) -> None:
        self.begun.set()
        self._go.wait(60)

    async def wait_until_begun(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20)

    def release(self) -> None:
        self._go.set()


async def create_and_wait(
    service: EnvironmentService, environment_id: str, **request_changes: Any
) -> EnvironmentStatus:
    """Create an environment, wait until its workflow ends, and return the final status."""
    await service.create(build_provision_request(environment_id, **request_changes))

    async def last() -> EnvironmentStatus:
        return [status async for status in service.watch_status(environment_id)][-1]

    return await asyncio.wait_for(last(), 30)


async def wait_until_listed(service: EnvironmentService, environment_id: str, phase: Phase) -> EnvironmentSummary:
    """Wait until the list shows the environment in this phase, and return the list entry."""

    async def found() -> EnvironmentSummary:
        while True:
            for item in await service.list_environments(1000):
                if (item.environment_id, item.phase) == (environment_id, phase):
                    return item

    return await asyncio.wait_for(found(), 20)


async def put_tenant_name_on_keys(
    service: EnvironmentService, environment_id: str, tenant: str, **more: Any
) -> ReconcileTenantRequest:
    """Put a tenant name on an environment's keys, and return the complete request that was sent."""
    asked = await service.build_reconcile_tenant_request(environment_id, tenant, **more)
    await service.reconcile_tenant(asked)
    return asked


async def test_status_shows_a_later_tenant_name(service: EnvironmentService, environment_id: str) -> None:
    before = await create_and_wait(service, environment_id)
    assert before.tenant is None
    await put_tenant_name_on_keys(service, environment_id, "acme", role_arn=ROLE)

    status = await service.read_status(environment_id)

    assert status.tenant is not None  # contract 100
    assert (status.tenant.tenant, len(status.tenant.keys), status.tenant_problems) == ("acme", 2, ())
    assert status.timeline == before.timeline


async def test_later_name_wins_over_the_provisioned_name(service: EnvironmentService, environment_id: str) -> None:
    await create_and_wait(service, environment_id, tenant="acme", tenant_role_arn=ROLE)
    await put_tenant_name_on_keys(service, environment_id, "globex")

    status = await service.read_status(environment_id)

    assert status.tenant is not None
    assert status.tenant.tenant == "globex"


async def test_failed_attempt_is_reported_next_to_the_current_name(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await create_and_wait(service, environment_id)
    await put_tenant_name_on_keys(service, environment_id, "acme", role_arn=ROLE)
    harness.activities.script["reconcile_key"] = [build_aws_failure(*NOT_THE_ROLE, Phase.RECONCILING_TENANT)]
    other = f"{ROLE}-another"
    with pytest.raises(NamingStoppedError):
        await put_tenant_name_on_keys(service, environment_id, "globex", role_arn=other)

    async def told() -> EnvironmentStatus:
        while True:  # Temporal lists the earlier run only after its visibility store is up to date
            status = await service.read_status(environment_id)
            if status.tenant is not None:
                return status

    status = await asyncio.wait_for(told(), 20)
    assert status.phase is Phase.READY
    assert status.tenant is not None
    assert status.tenant.tenant == "acme"
    assert [problem.code for problem in status.tenant_problems] == ["sts.AccessDenied"]
    assert status.tenant_role_arn == ROLE, "a refused role is not used again"


async def test_environment_stopped_only_at_its_name_is_ready_after_it_is_named(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["reconcile_key"] = [build_aws_failure(*NOT_THE_ROLE, Phase.RECONCILING_TENANT)]
    stopped = await create_and_wait(service, environment_id, tenant="acme", tenant_role_arn=ROLE)
    assert stopped.phase is Phase.STOPPED
    await wait_until_listed(service, environment_id, Phase.STOPPED)
    await put_tenant_name_on_keys(service, environment_id, "acme")

    status = await service.read_status(environment_id)

    assert (status.phase, status.problem, status.problems) == (Phase.READY, None, ())
    assert [entry.phase for entry in status.timeline[-2:]] == [Phase.STOPPED, Phase.READY]
    assert (await wait_until_listed(service, environment_id, Phase.READY)).problem_code is None
    # Repeating the request does not restart a ready environment.
    again = await service.create(build_provision_request(environment_id, tenant="acme", tenant_role_arn=ROLE))
    assert (again.started, again.run_id) == (False, stopped.run_id)
    with pytest.raises(EnvironmentConflictError, match="on failure"):
        await service.create(
            build_provision_request(environment_id, tenant="acme", tenant_role_arn=ROLE, on_failure="rollback")
        )


@pytest.mark.parametrize("step", ["probe_s3_key", "collect_evidence"])
async def test_environment_stopped_elsewhere_is_not_ready_after_it_is_named(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, step: str
) -> None:
    harness.activities.script[step] = [build_aws_failure("s3", "AccessDenied", "no s3:GetObject", Phase.VERIFYING)]
    await create_and_wait(service, environment_id, tenant="acme", tenant_role_arn=ROLE)
    await service.reconcile_tenant(
        build_tenant_request(environment_id)
    )  # built without `EnvironmentService`, which would refuse the request

    assert (await service.read_status(environment_id)).phase is Phase.STOPPED


async def test_last_successful_role_is_used_again(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    role = f"{ROLE}-later"
    await create_and_wait(service, environment_id, tenant="acme", tenant_role_arn=ROLE)
    assert (await service.build_reconcile_tenant_request(environment_id, "acme")).tenant_role_arn == ROLE
    await put_tenant_name_on_keys(service, environment_id, "acme", role_arn=role)
    assert (await service.build_reconcile_tenant_request(environment_id, "acme")).tenant_role_arn == role

    # Request only the commands. Later requests still use the earlier request's role.
    commands = await put_tenant_name_on_keys(service, environment_id, "acme", commands_only=True)
    assert commands.commands_only
    status = await service.read_status(environment_id)
    assert status.tenant is not None
    assert status.tenant.commands
    assert (await service.build_reconcile_tenant_request(environment_id, "acme")).tenant_role_arn == role

    # Even if KMS refuses a call, later requests use the new role, because byok was able to assume it.
    harness.activities.script["reconcile_key"] = [build_aws_failure(*DENIED, Phase.RECONCILING_TENANT)] * 2
    third = f"{ROLE}-third"
    with pytest.raises(NamingStoppedError):
        await put_tenant_name_on_keys(service, environment_id, "acme", role_arn=third)
    assert (await service.build_reconcile_tenant_request(environment_id, "acme")).tenant_role_arn == third


async def test_grace_period_comes_from_the_request(service: EnvironmentService, environment_id: str) -> None:
    await create_and_wait(service, environment_id)
    usual = await service.build_reconcile_tenant_request(environment_id, "acme")
    none = await service.build_reconcile_tenant_request(environment_id, "acme", key_grace_seconds=0)
    assert (usual.key_grace_seconds, none.key_grace_seconds) == (30, 0)


async def test_concurrent_identical_request_waits_for_the_running_one(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold, found = HeldStep(), asyncio.Event()

    async def request_of(*arguments: Any) -> Any:
        found.set()
        return await histories.read_workflow_request(*arguments)

    monkeypatch.setattr(tenant_names, "read_workflow_request", request_of)
    harness.activities.script["reconcile_key"] = [hold]
    first = asyncio.create_task(service.reconcile_tenant(build_tenant_request(environment_id)))
    await hold.wait_until_begun()
    second = asyncio.create_task(service.reconcile_tenant(build_tenant_request(environment_id)))
    await asyncio.wait_for(found.wait(), 20)
    hold.release()

    assert await first == await second
    assert harness.activities.calls.count("reconcile_key") == 2


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tenant": "globex"}, "tenant is acme, not globex"),
        ({"repoint": True}, "repoint is off, not on"),
        ({"tenant_role_arn": None}, f"tenant role is {ROLE}, not unset"),
        ({"key_grace_seconds": 7}, "key grace seconds is 30, not 7"),
    ],
)
async def test_concurrent_different_request_conflicts(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, changes: dict[str, Any], words: str
) -> None:
    hold = HeldStep()
    harness.activities.script["reconcile_key"] = [hold]
    first = asyncio.create_task(service.reconcile_tenant(build_tenant_request(environment_id)))
    await hold.wait_until_begun()

    with pytest.raises(DifferentNamingInProgressError) as caught:
        await service.reconcile_tenant(build_tenant_request(environment_id, **changes))

    assert words in str(caught.value)
    hold.release()
    assert (await first).tenant == "acme"


@pytest.mark.parametrize(("way", "code"), [("cancel", "byok.Cancelled"), ("terminate", "byok.Ended")])
async def test_tenant_workflow_ended_in_temporal_is_stopped_with_a_problem(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, way: str, code: str
) -> None:
    await create_and_wait(service, environment_id)
    hold = HeldStep()
    harness.activities.script["reconcile_key"] = [hold]
    asked = asyncio.create_task(put_tenant_name_on_keys(service, environment_id, "acme", role_arn=ROLE))
    await hold.wait_until_begun()
    handle = harness.client.get_workflow_handle(tenant_workflow_id(environment_id))
    await getattr(handle, way)()
    hold.release()

    with pytest.raises(NamingStoppedError) as caught:
        await asked

    assert [problem.code for problem in caught.value.problems] == [code]
    assert (await service.read_status(environment_id)).tenant_problems == caught.value.problems


async def test_pending_activity_is_reported_while_waiting(
    service: EnvironmentService, harness: WorkflowHarness, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "POLL_INTERVAL", door.POLL_INTERVAL / 100)
    hold, told = HeldStep(), list[PendingStep]()

    def waits_for(item: PendingStep) -> None:
        told.append(item)
        if item.activity == "reconcile_key":
            hold.release()

    harness.activities.script["reconcile_key"] = [hold]
    await service.reconcile_tenant(build_tenant_request(environment_id), waits_for)

    assert told[-1].activity == "reconcile_key"


async def test_conflict_with_another_role_names_the_role(service: EnvironmentService, environment_id: str) -> None:
    await create_and_wait(service, environment_id, tenant="acme", tenant_role_arn=ROLE)
    with pytest.raises(EnvironmentConflictError) as caught:
        await service.create(build_provision_request(environment_id, tenant="acme"))
    assert f"tenant role is {ROLE}, not unset." in str(caught.value)
    assert "{" not in str(caught.value)
