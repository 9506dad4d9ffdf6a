"""Run workers of several builds in parallel, on a separate stack.

The stack is separate because worker versioning affects all tests that share a Temporal server.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from byok.local.programs import PROGRAMS_ROOT
from byok.local.stack import DevStack
from tests.e2e.conftest import SETTINGS, StackHarness
from tests.localaws.server import AwsHarness


@dataclass
class WorkerFleet:
    """The worker processes of several builds."""

    machine: StackHarness
    workers: dict[str, ChildProcess] = field(default_factory=dict)

    async def start_worker(self, build: str) -> None:
        stack = self.machine.stack
        settings = {**SETTINGS, "BYOK_WORKER_DEPLOYMENT": "byok", "BYOK_WORKER_BUILD_ID": build}
        worker = self.workers[build] = await ChildProcess.start(
            f"worker-{build}",
            (sys.executable, str(PROGRAMS_ROOT / "worker.py")),
            stack.data / "logs" / f"worker-{build}.log",
            children_env_vars(stack.environment, settings),
        )

        async def polls() -> bool:
            builds = [one.version.build_id for one in await self.machine.service.list_workers() if one.version]
            return build in builds

        await worker.wait_until_ready(polls, 30)

    async def stop_worker(self, build: str) -> None:
        await self.workers.pop(build).stop(30, self.machine.stack.hurry)

    async def make_current(self, build: str) -> None:
        told = await self.machine.run_program(
            *("temporal", "worker", "deployment", "set-current-version", "--yes"),
            *("--deployment-name", "byok", "--build-id", build),
        )
        assert told.code == 0, told

    async def get_environment_build_id(self, environment_id: str) -> str:
        told = await self.machine.run_program(
            *("temporal", "workflow", "describe", "--output", "json"),
            *("--workflow-id", f"environment/{environment_id}"),
        )
        version: dict[str, str] = told.json["workflowExecutionInfo"]["versioningInfo"]["deploymentVersion"]
        return version["buildId"]


@pytest_asyncio.fixture
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[WorkerFleet]:
    data = tmp_path_factory.mktemp("versions")
    async with DevStack(data, Ports.pick_free(), worker=False, database_seconds=0.3, settings=SETTINGS) as stack:
        found = WorkerFleet(
            StackHarness(stack, await stack.connect_service(), AwsHarness(f"http://{HOST}:{stack.ports.aws}"))
        )
        try:
            yield found
        finally:
            await asyncio.gather(*(worker.kill() for worker in found.workers.values()))
