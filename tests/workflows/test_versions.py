"""Workers of several builds: a run completes on the build on which it began, but a replay can move to another build."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio import activity
from temporalio.api.enums.v1 import RoutingConfigUpdateState
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkerDeploymentVersion
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment

from byok.contracts import environment_workflow_id, record_workflow_id
from byok.domain.phases import Phase
from byok.service import environment_reader, pending, pollers
from byok.service.environments import EnvironmentService
from byok.service.errors import NoWorkerError
from byok.settings import Settings
from tests.workflows.fake_activities import (
    S3_KEY,
    FakeActivities,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness, run_harness
from worker import build_worker_deployment_config

DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)


@dataclass
class WorkerBuilds:
    """A worker deployment with a separate task queue, and the workers of the deployment's builds."""

    temporal: WorkflowEnvironment
    name: str = field(default_factory=lambda: f"byok-{uuid.uuid4().hex[:8]}")
    stages: dict[str | None, WorkflowHarness] = field(default_factory=dict)
    _running: dict[str | None, AsyncExitStack] = field(default_factory=dict)

    @property
    def service(self) -> EnvironmentService:
        return EnvironmentService(self.temporal.client, self.name)

    async def start_worker(self, build: str | None, *, current: bool = True) -> WorkflowHarness:
        """Start a worker of a build; without a build, start an unversioned worker."""
        config = (
            build_worker_deployment_config(Settings(worker_deployment=self.name, worker_build_id=build))
            if build
            else None
        )
        running = self._running[build] = AsyncExitStack()
        self.stages[build] = await running.enter_async_context(
            run_harness(self.temporal, FakeActivities(), self.name, config, sandbox=True)
        )
        await asyncio.wait_for(self._polls(build), 20)
        if current:
            await self.make_current(build)
        return self.stages[build]

    async def _polls(self, build: str | None) -> None:
        version = WorkerDeploymentVersion(self.name, build) if build else None
        while version not in [worker.version for worker in await self.service.list_workers()]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def stop_worker(self, build: str | None) -> None:
        await self._running.pop(build).aclose()

    async def stop_all_workers(self) -> None:
        for build in list(self._running):
            await self.stop_worker(build)

    async def make_current(self, build: str | None) -> None:
        """Make a build the current version, as `temporal worker deployment set-current-version` does."""
        client = self.temporal.client
        asked = SetWorkerDeploymentCurrentVersionRequest(
            namespace=client.namespace, deployment_name=self.name, build_id=build or "", identity="a test"
        )

        async def accepted() -> None:
            while True:
                try:
                    await client.workflow_service.set_worker_deployment_current_version(asked)
                except RPCError:  # no worker of this build has polled yet
                    await asyncio.sleep(0.05)
                else:
                    return

        async def in_force() -> None:
            version = WorkerDeploymentVersion(self.name, build) if build else None
            while (await self.service.read_routing()).current != version or not await propagated():  # noqa: ASYNC110
                await asyncio.sleep(0.05)

        async def propagated() -> bool:
            described = await client.workflow_service.describe_worker_deployment(
                DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=self.name)
            )
            state = described.worker_deployment_info.routing_config_update_state
            return state == RoutingConfigUpdateState.ROUTING_CONFIG_UPDATE_STATE_COMPLETED

        await asyncio.wait_for(accepted(), 20)
        await asyncio.wait_for(in_force(), 20)

    async def get_build_id(self, environment_id: str) -> str:
        """Return the build id of the environment's latest run."""
        return await self._read_build_id(environment_workflow_id(environment_id))

    async def _read_build_id(self, workflow_id: str) -> str:
        described = await self.temporal.client.get_workflow_handle(workflow_id).describe()
        return described.raw_description.workflow_execution_info.versioning_info.deployment_version.build_id

    async def moves_to(self, build: str, running: WorkflowHandle[Any, Any]) -> None:
        """Wait until a running workflow has moved to a build.

        A workflow can move at each of its workflow tasks. The worker's sticky queue learns of a new current version
        only some time after `read_routing` shows the version, so one task is not always enough. A signal that the
        workflow does not handle adds a task and changes nothing else.
        """
        while await self._read_build_id(running.id) != build:
            await running.signal("a task more")
            await asyncio.sleep(0.05)

    async def provision_until_stopped(self, environment_id: str, build: str) -> None:
        """Provision an environment on a build until the provisioning stops at the first bucket."""
        self.stages[build].activities.script["ensure_bucket"] = [DISABLED]
        with pytest.raises(WorkflowFailureError):
            await (await self.stages[build].start_provision(build_provision_request(environment_id))).result()

    async def ends_ready(self, environment_id: str) -> bool:
        async def ended() -> Phase:
            return [seen.phase async for seen in self.service.watch_status(environment_id)][-1]

        return await asyncio.wait_for(ended(), 30) is Phase.READY


@pytest_asyncio.fixture
async def builds(temporal: WorkflowEnvironment) -> AsyncIterator[WorkerBuilds]:
    found = WorkerBuilds(temporal)
    yield found
    await found.stop_all_workers()


def hold_activity(harness: WorkflowHarness, step: str) -> tuple[threading.Event, Callable[[], None]]:
    """Block an activity; return an event that is set when it begins, and a function that unblocks it."""
    begun, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        go_on.wait(60)

    harness.activities.script[step] = [hold]
    return begun, go_on.set


async def test_record_of_an_environment_moves_to_the_current_build(builds: WorkerBuilds) -> None:
    one = await builds.start_worker("1")
    await (await one.start_provision(build_provision_request("versions-recorded"))).result()
    await builds.start_worker("2")
    await builds.stop_worker("1")

    await builds.stages["2"].start_delete(build_delete_request("versions-recorded"))

    record = builds.temporal.client.get_workflow_handle(record_workflow_id("versions-recorded"))
    await asyncio.wait_for(record.result(), 30)


async def test_run_completes_on_its_build_while_another_build_takes_new_runs(builds: WorkerBuilds) -> None:
    one = await builds.start_worker("1")
    begun, go_on = hold_activity(one, "ensure_cluster")
    first = await one.start_provision(build_provision_request("versions-first"))
    assert await asyncio.to_thread(begun.wait, 20)

    two = await builds.start_worker("2")
    await (await two.start_provision(build_provision_request("versions-second"))).result()
    go_on()
    await first.result()

    assert (await builds.get_build_id("versions-first"), await builds.get_build_id("versions-second")) == ("1", "2")
    assert one.activities.calls.count("plan_environment") == two.activities.calls.count("plan_environment") == 1
    assert len(one.activities.calls) == len(two.activities.calls)


async def test_deletion_completes_on_its_build(builds: WorkerBuilds) -> None:
    one = await builds.start_worker("1")
    begun, go_on = hold_activity(one, "find_resources")
    deleting = await one.start_delete(build_delete_request("versions-deleted"))
    assert await asyncio.to_thread(begun.wait, 20)

    two = await builds.start_worker("2")
    go_on()
    await deleting.result()

    assert await builds.get_build_id("versions-deleted") == "1"
    assert two.activities.calls == []


async def test_replay_moves_to_the_current_build_after_the_old_one_is_gone(builds: WorkerBuilds) -> None:
    await builds.start_worker("1")
    await builds.provision_until_stopped("versions-moved", "1")
    two = await builds.start_worker("2")
    await builds.stop_worker("1")

    replayed = await builds.service.replay("versions-moved")

    assert await builds.ends_ready("versions-moved")
    assert (replayed.step, await builds.get_build_id("versions-moved")) == ("ensure_bucket", "2")
    assert "ensure_cluster" not in two.activities.calls  # completed activities are not repeated


async def test_moved_replay_that_stops_can_be_moved_again(builds: WorkerBuilds) -> None:
    await builds.start_worker("1")
    await builds.provision_until_stopped("versions-twice", "1")
    two = await builds.start_worker("2")
    await builds.stop_worker("1")
    two.activities.script["ensure_bucket"] = [DISABLED]
    await builds.service.replay("versions-twice")
    assert not await builds.ends_ready("versions-twice")
    await builds.start_worker("3")
    await builds.stop_worker("2")

    await builds.service.replay("versions-twice")

    assert await builds.ends_ready("versions-twice")
    assert await builds.get_build_id("versions-twice") == "3"


async def test_replay_on_the_current_build_stays_on_it(builds: WorkerBuilds) -> None:
    one = await builds.start_worker("1")
    await builds.provision_until_stopped("versions-stays", "1")
    begun, go_on = hold_activity(one, "ensure_bucket")
    await builds.service.replay("versions-stays")
    assert await asyncio.to_thread(begun.wait, 20)

    two = await builds.start_worker("2")
    go_on()

    assert await builds.ends_ready("versions-stays")
    assert (await builds.get_build_id("versions-stays"), two.activities.calls) == ("1", [])


async def test_terminated_run_of_a_missing_build_starts_over(builds: WorkerBuilds) -> None:
    one = await builds.start_worker("1")
    begun, go_on = hold_activity(one, "ensure_writer")
    running = await one.start_provision(build_provision_request("versions-ended"))
    assert await asyncio.to_thread(begun.wait, 20)
    two = await builds.start_worker("2")

    await running.terminate("rolled back")
    replayed = await builds.service.replay("versions-ended")
    go_on()

    assert replayed.step is None
    assert await builds.ends_ready("versions-ended")
    assert two.activities.calls[0] == "plan_environment"


async def test_versioning_can_be_enabled_with_running_environments(builds: WorkerBuilds) -> None:
    plain = await builds.start_worker(None, current=False)
    begun, go_on = hold_activity(plain, "ensure_cluster")
    running = await plain.start_provision(build_provision_request("versions-turned-on"))
    assert await asyncio.to_thread(begun.wait, 20)

    await builds.start_worker("1")
    await asyncio.wait_for(builds.moves_to("1", running), 20)
    go_on()
    await running.result()

    assert await builds.get_build_id("versions-turned-on") == "1"


async def test_replay_after_versioning_is_disabled_runs_unversioned(builds: WorkerBuilds) -> None:
    await builds.start_worker("1")
    await builds.provision_until_stopped("versions-turned-off", "1")
    plain = await builds.start_worker(None)
    await builds.stop_worker("1")

    await builds.service.replay("versions-turned-off")

    assert await builds.ends_ready("versions-turned-off")
    assert plain.activities.calls[-1] == "collect_evidence"


async def test_waiting_for_a_build_names_the_build_and_the_command(
    builds: WorkerBuilds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment_reader, "NO_WORKER_TIMEOUT", timedelta(0))
    monkeypatch.setattr(pending, "UNCLAIMED_AFTER", timedelta(milliseconds=10))
    one = await builds.start_worker("1", current=False)

    await builds.service.create(build_provision_request("versions-waits"))
    with pytest.raises(NoWorkerError, match=f"set-current-version --deployment-name {builds.name} --build-id 1"):
        await builds.ends_ready("versions-waits")

    begun = threading.Event()

    def until_the_worker_ends() -> None:  # without this wait, a task from the worker's last poll would be lost
        begun.set()
        activity.wait_for_worker_shutdown_sync(20)

    one.activities.script["ensure_cluster"] = [until_the_worker_ends]
    await builds.make_current("1")
    assert await asyncio.to_thread(begun.wait, 20)
    await builds.start_worker("2")
    await builds.stop_worker("1")
    # The server still lists worker 1. Without this setting, byok would count worker 1 as running for another minute.
    monkeypatch.setattr(pollers, "_WORKER_SEEN_WITHIN", timedelta(0))
    with pytest.raises(NoWorkerError, match=r"is pinned to build 1 .*environment/versions-waits --versioning-override"):
        await builds.ends_ready("versions-waits")
