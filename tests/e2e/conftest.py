"""Fixtures that start real processes: Temporal with a database file, the local AWS emulator, a worker and the CLI."""

import asyncio
import json
import os
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser

import byok.local.temporal_server
from byok.domain.arns import KeyPurpose
from byok.domain.models import ProvisionRequest
from byok.local.ports import HOST, Ports
from byok.local.stack import DevStack
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from tests.key_faults import create_valid_key
from tests.localaws.server import REGION, AwsHarness
from tests.wizard.chromium import launch_chromium
from tests.workflows.temporal_env import QUICK_REMOVAL

BIN = Path(sys.executable).parent
SETTINGS = {
    "BYOK_DATABASE_POLL_SECONDS": "0.2",
    "BYOK_AWS_READ_TIMEOUT_SECONDS": "60",
    "BYOK_HEALTH_CHECK_SECONDS": "0",  # no sweeps, because their AWS calls would disturb the tests
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the end-to-end tests, so that a run can select or skip them."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@dataclass(frozen=True)
class CommandResult:
    """A command's exit code and output."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The content of standard output, which must be JSON."""
        content: dict[str, Any] = json.loads(self.out)
        return content


@dataclass(frozen=True)
class StackHarness:
    """A running stack, and the operations that a user can run on the stack."""

    stack: DevStack
    service: EnvironmentService
    aws: AwsHarness

    async def run_program(self, program: str, *arguments: str) -> CommandResult:
        """Run a program from the virtual environment, with the stack's environment variables and settings."""
        process = await asyncio.create_subprocess_exec(
            str(BIN / program),
            *arguments,
            env={**os.environ, **self.stack.environment, **self.stack.settings, "NO_COLOR": "1", "COLUMNS": "200"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(), 120)
        return CommandResult(process.returncode or 0, out.decode(), err.decode())

    def build_request(self, **changes: Any) -> ProvisionRequest:
        """Build a request for a new environment with two valid keys. The given fields override the defaults."""
        values = {"environment_id": f"e-{uuid.uuid4().hex[:10]}", "region": REGION, "key_grace_seconds": 0}
        keys = {"s3_key_arn": KeyPurpose.S3, "rds_key_arn": KeyPurpose.RDS}
        values |= {
            name: create_valid_key(self.aws, which) for name, which in keys.items() if name not in changes
        } | changes
        return ProvisionRequest.model_validate(values)

    async def wait_until_ended(self, environment_id: str, seconds: float = 60) -> EnvironmentStatus:
        """Wait until an environment's workflow has ended, and return the last status."""

        async def last() -> EnvironmentStatus:
            async for status in self.service.watch_status(environment_id):
                final = status
            return final

        return await asyncio.wait_for(last(), seconds)

    async def provision(self, request: ProvisionRequest) -> EnvironmentStatus:
        """Provision an environment, and return its final status."""
        await self.service.create(request)
        return await self.wait_until_ended(request.environment_id)

    def list_environment_clusters(self, environment_id: str) -> list[dict[str, Any]]:
        """List the clusters with the environment's tag."""
        return [
            cluster
            for page in self.aws.operator_client("rds").get_paginator("describe_db_clusters").paginate()
            for cluster in page["DBClusters"]
            if {"Key": "byok:environment-id", "Value": environment_id} in cluster.get("TagList", [])
        ]

    def list_environment_writers(self, environment_id: str) -> list[str]:
        """List the instances of the environment's cluster."""
        return [
            instance["DBInstanceIdentifier"]
            for page in self.aws.operator_client("rds").get_paginator("describe_db_instances").paginate()
            for instance in page["DBInstances"]
            if instance["DBClusterIdentifier"] == f"byok-{environment_id}"
        ]

    def list_environment_snapshots(self, environment_id: str) -> list[dict[str, Any]]:
        """List the snapshots of all clusters that the environment has ever had."""
        return [
            snapshot
            for page in self.aws.operator_client("rds").get_paginator("describe_db_cluster_snapshots").paginate()
            for snapshot in page["DBClusterSnapshots"]
            if snapshot["DBClusterIdentifier"] == f"byok-{environment_id}"
        ]

    def list_environment_buckets(self, environment_id: str) -> list[str]:
        """List the buckets whose names contain the environment's name."""
        buckets = self.aws.operator_client("s3").list_buckets()["Buckets"]
        return [bucket["Name"] for bucket in buckets if f"-{environment_id}-" in bucket["Name"]]


@pytest.fixture(scope="session", autouse=True)
def quick_removal_of_workflows() -> Iterator[None]:
    """Configure the stacks' Temporal servers to delete workflows almost immediately, like the tests' own server."""
    options = [("--dynamic-config-value", value) for value in QUICK_REMOVAL]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(byok.local.temporal_server, "_TUNING", (*byok.local.temporal_server._TUNING, *options))
        yield


@pytest_asyncio.fixture(scope="session")
async def web(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StackHarness]:
    """A separate stack that also runs the server for the HTTP API and the wizard."""
    settings = {**SETTINGS, "BYOK_API__REQUESTS_PER_MINUTE": "100000"}
    data = tmp_path_factory.mktemp("web")
    async with DevStack(data, Ports.pick_free(), web=True, database_seconds=0.5, settings=settings) as stack:
        yield StackHarness(stack, await stack.connect_service(), AwsHarness(f"http://{HOST}:{stack.ports.aws}"))


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A Chromium browser that is installed on this machine."""
    async with launch_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(scope="session")
async def machine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[StackHarness]:
    """A stack that all end-to-end tests in a process share. Each test creates its own environments and keys."""
    data = tmp_path_factory.mktemp("stack")
    async with DevStack(data, Ports.pick_free(), database_seconds=0.3, settings=SETTINGS) as stack:
        yield StackHarness(stack, await stack.connect_service(), AwsHarness(f"http://{HOST}:{stack.ports.aws}"))
