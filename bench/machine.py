"""The processes that run during a measurement, and their resource usage.

The processes are Temporal, the stand-in for AWS, and a worker.
"""

import asyncio
import contextlib
import json
import os
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import yaml
from temporalio.client import Client

from bench.request_generator import PLATFORM_ROLE_ARN, REGION
from bench.runs import RunResult
from byok.blueprints import DEFAULT_PATH
from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from byok.local.temporal_server import build_server_command
from byok.service.environments import EnvironmentService
from byok.temporal import make_plugin

ROOT: Final = Path(__file__).resolve().parents[1]
WORKER_COMMAND: Final = (str(ROOT / "worker.py"),)
PLAIN_COMMAND: Final = ("-m", "bench.plain")

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 10.0


@contextlib.contextmanager
def pin_to_one_core() -> Iterator[None]:
    """Pin every process that starts in this context to one core, as `taskset` does. Works only on Linux."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@dataclass(frozen=True)
class ProcessUsage:
    """The resource usage of a process and all its descendants.

    Attributes:
        cpu: CPU seconds that the processes have used since they started.
        memory: Resident memory in MiB.
    """

    cpu: float
    memory: float

    @classmethod
    def of_process(cls, pid: int) -> "ProcessUsage":
        """Return the resource usage of a running process."""
        cpu = memory = 0.0
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                cpu += times.user + times.system
                memory += process.memory_info().rss / 2**20
        return cls(cpu, memory)


@dataclass
class BenchStack:
    """The processes that run during a measurement.

    Attributes:
        folder: The folder for state and logs.
        environment: Environment variables that configure a program to use Temporal and the stand-in.
    """

    folder: Path
    ports: Ports
    environment: dict[str, str]
    children: dict[str, ChildProcess] = field(default_factory=dict)

    async def start_program(self, name: str, *command: str) -> ChildProcess:
        """Start one of the project's programs with this stack's environment variables."""
        environment = {**children_env_vars(self.environment, {}), "PYTHONPATH": str(ROOT)}
        child = await ChildProcess.start(name, [sys.executable, *command], self.folder / f"{name}.log", environment)
        self.children[name] = child
        return child

    async def start_worker(
        self, command: Sequence[str] = WORKER_COMMAND, name: str = "worker", *, one_core: bool = True
    ) -> ChildProcess:
        """Start a worker, by default pinned to one core, and wait until the Temporal server lists the worker."""
        with pin_to_one_core() if one_core else contextlib.nullcontext():
            worker = await self.start_program(name, *command)
        service = await self.connect_service()

        async def polls() -> bool:
            return any(found.identity.startswith(f"{worker.pid}@") for found in await service.list_workers())

        await worker.wait_until_ready(polls, 90)
        return worker

    async def run_client(self, *command: str, one_core: bool = False) -> RunResult:
        """Run a program that creates environments, by default on any core. See the function `run_client`."""
        with pin_to_one_core() if one_core else contextlib.nullcontext():
            return await run_client(self.environment, *command)

    async def connect_service(self) -> EnvironmentService:
        """Return an `EnvironmentService` that is connected to the Temporal server of this stack."""
        return EnvironmentService(await Client.connect(f"{HOST}:{self.ports.temporal}", plugins=[make_plugin()]))

    def call_stand_in(self, method: str, what: str, **content: Any) -> dict[str, Any]:
        """Call the stand-in's control endpoint."""
        request = urllib.request.Request(
            f"{self.environment['AWS_ENDPOINT_URL']}/_stand_in/{what}",
            method=method,
            data=json.dumps(content).encode() if content else None,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def count_calls(self) -> dict[str, int]:
        """Return the number of AWS calls since the last reset, by operation.

        Raises:
            RuntimeError: A program called an operation that the stand-in does not model.
        """
        shown = self.call_stand_in("GET", "calls")
        if shown["not_modelled"]:
            raise RuntimeError(f"the stand-in does not model these calls: {shown['not_modelled']}")
        return dict(shown["calls"])

    def measure_usage(self) -> dict[str, ProcessUsage]:
        """Return the resource usage of each running process."""
        return {name: ProcessUsage.of_process(child.pid) for name, child in self.children.items() if child.is_running}

    async def stop(self, *names: str) -> None:
        """Stop the processes with the given names, or all processes if no name is given."""
        for name in names or tuple(self.children):
            await self.children.pop(name).stop(_STOP_SECONDS, asyncio.Event())


@contextlib.asynccontextmanager
async def run_bench_stack(
    folder: Path, *, database_seconds: float = 0, buckets: int = 2, poll_seconds: float = 0.5
) -> AsyncIterator[BenchStack]:
    """Run Temporal and the stand-in, without a worker.

    Args:
        folder: The folder for state and logs, which must not exist yet.
        database_seconds: How long it takes to create a cluster or an instance.
        buckets: Number of buckets per environment.
        poll_seconds: Interval between two status polls of a database.
    """
    folder.mkdir(parents=True)  # noqa: ASYNC240 - nothing else runs yet
    ports = Ports.pick_free()
    blueprint = write_blueprint(folder, buckets)
    found = BenchStack(
        folder,
        ports,
        {
            "TEMPORAL_ADDRESS": f"{HOST}:{ports.temporal}",
            "AWS_ENDPOINT_URL": f"http://{HOST}:{ports.aws}",
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "for-the-benchmark",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "BYOK_PLATFORM_ROLE_ARN": PLATFORM_ROLE_ARN,
            "BYOK_BLUEPRINT": str(blueprint),
            "BYOK_DATABASE_POLL_SECONDS": str(poll_seconds),
            # A sweep during a measurement would distort the figures. `measures.health` starts its own sweeps.
            "BYOK_HEALTH_CHECK_SECONDS": "0",
            "BYOK_LOG_LEVEL": "WARNING",
        },
    )
    try:
        seconds = ("--database-seconds", str(database_seconds))
        aws = await found.start_program("aws", "-m", "bench.stand_in", "--port", str(ports.aws), *seconds)
        temporal = await ChildProcess.start(
            "temporal",
            build_server_command(ports, folder / "temporal.db"),
            folder / "temporal.log",
            children_env_vars(found.environment, {}),
        )
        found.children["temporal"] = temporal

        async def aws_answers() -> bool:
            return bool(await asyncio.to_thread(found.call_stand_in, "GET", "health"))

        async def temporal_answers() -> bool:
            return await (await found.connect_service()).client.service_client.check_health()

        await aws.wait_until_ready(aws_answers, _START_SECONDS)
        await temporal.wait_until_ready(temporal_answers, _START_SECONDS)
        yield found
    finally:
        await found.stop()


def write_blueprint(folder: Path, buckets: int) -> Path:
    """Write a copy of the default blueprint with `buckets` buckets.

    Each bucket that is not in the default blueprint contains one object.
    """
    content: dict[str, Any] = yaml.safe_load(DEFAULT_PATH.read_text())
    ours = [bucket for bucket in content["buckets"] if bucket.get("objects")][:buckets]
    more = [
        {"purpose": f"more{number}", "objects": [{"key": "services/first.json", "content": "{}"}]}
        for number in range(buckets - len(ours))
    ]
    file = folder / f"{buckets}-buckets.yaml"
    file.write_text(yaml.safe_dump({**content, "buckets": [*ours, *more]}))
    return file


async def run_client(environment: Mapping[str, str], *command: str) -> RunResult:
    """Run a program that creates environments, and wait until the program exits.

    Args:
        environment: Environment variables that configure the program to use Temporal and AWS.
        command: The arguments to Python, without the interpreter.

    Raises:
        RuntimeError: The program failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *command),
        env={**children_env_vars(environment, {}), "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}")
    return RunResult.model_validate_json(out)
