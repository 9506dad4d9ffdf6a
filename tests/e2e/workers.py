"""Workers of several builds side by side, on a stack of their own: versioning changes a whole Temporal."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from byok.local.env_vars import children_environment
from byok.local.ports import HOST, Ports
from byok.local.processes import Child
from byok.local.stack import ROOT, DevStack
from tests.e2e.conftest import SETTINGS, Machine
from tests.localaws.server import Aws


@dataclass
class Fleet:
    """Workers of several builds, each a process."""

    machine: Machine
    workers: dict[str, Child] = field(default_factory=dict)

    async def start(self, build: str) -> None:
        stack = self.machine.stack
        settings = {**SETTINGS, "BYOK_WORKER_DEPLOYMENT": "byok", "BYOK_WORKER_BUILD_ID": build}
        worker = self.workers[build] = await Child.start(
            f"worker-{build}",
            (sys.executable, str(ROOT / "worker.py")),
            stack.data / "logs" / f"worker-{build}.log",
            children_environment(stack.environment, settings),
        )

        async def polls() -> bool:
            builds = [one.version.build_id for one in await self.machine.service.workers() if one.version]
            return build in builds

        await worker.wait_until_ready(polls, 30)

    async def end(self, build: str) -> None:
        await self.workers.pop(build).stop(30, self.machine.stack.hurry)

    async def make_current(self, build: str) -> None:
        told = await self.machine.run(
            *("temporal", "worker", "deployment", "set-current-version", "--yes"),
            *("--deployment-name", "byok", "--build-id", build),
        )
        assert told.code == 0, told

    async def build_of(self, environment_id: str) -> str:
        told = await self.machine.run(
            *("temporal", "workflow", "describe", "--output", "json"),
            *("--workflow-id", f"environment/{environment_id}"),
        )
        version: dict[str, str] = told.json["workflowExecutionInfo"]["versioningInfo"]["deploymentVersion"]
        return version["buildId"]


@pytest_asyncio.fixture
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    data = tmp_path_factory.mktemp("versions")
    async with DevStack(data, Ports.free(), worker=False, database_seconds=0.3, settings=SETTINGS) as stack:
        found = Fleet(Machine(stack, await stack.service(), Aws(f"http://{HOST}:{stack.ports.aws}")))
        try:
            yield found
        finally:
            await asyncio.gather(*(worker.kill() for worker in found.workers.values()))
