"""(c) The memory and CPU that one worker uses while environments wait for Aurora, and the rate of its RDS calls."""

import asyncio
import time
from pathlib import Path
from typing import Final

from pydantic import BaseModel
from temporalio.api.enums.v1 import PendingActivityState

from bench.machine import BenchStack, run_bench_stack
from bench.request_generator import RequestGenerator
from byok.contracts import PHASE_ATTRIBUTE, environment_workflow_id
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService

_NEVER: Final = 86_400.0
_STARTING_AT_ONCE: Final = 50
_SAMPLE_SIZE: Final = 250
_SAMPLE_SECONDS: Final = 30.0
"""The period during which the samples are taken. Samples from a single moment could all fall between two polls."""


class WaitingUsage(BaseModel):
    """The resource usage while a given number of environments wait for Aurora.

    Attributes:
        environments: Number of waiting environments.
        start_seconds: Time from the first request until all environments were waiting.
        idle_memory: Memory in MiB of an idle worker that has created a hundred environments, fifty at a time.
        memory: Memory of the worker in MiB while all environments wait.
        temporal_memory: Memory of Temporal in MiB while all environments wait.
        worker_cpu: CPU usage of the worker, as a percentage of one core.
        temporal_cpu: CPU usage of Temporal, as a percentage of one core.
        attempts_running: Number of sampled environments that held one of the worker's activity slots when they were
            sampled.
        looked_at: Number of sampled environments.
        cluster_calls: DescribeDBClusters calls per second.
        instance_calls: DescribeDBInstances calls per second.
        seconds: Duration of the measurement.
    """

    environments: int
    start_seconds: float
    idle_memory: float
    memory: float
    temporal_memory: float
    worker_cpu: float
    temporal_cpu: float
    attempts_running: int
    looked_at: int
    cluster_calls: float
    instance_calls: float
    seconds: float


async def measure(folder: Path, sizes: list[int], seconds: float) -> list[WaitingUsage]:
    """Measure the worker with each number of waiting environments.

    Args:
        folder: The folder for state and logs.
        sizes: The numbers of environments.
        seconds: Duration of each measurement, which must be at least one poll interval.
    """
    found = []
    for size in sizes:
        path = folder / f"waiting-{size}"
        async with run_bench_stack(path, database_seconds=0, poll_seconds=60) as warm:
            # First create environments whose databases are available immediately, so that the worker loads all the
            # code that it needs, in all of its threads.
            await warm.start_worker()
            await warm.run_client("-m", "bench.client", "--environments", "100", "--concurrency", "50")
            idle = warm.measure_usage()["worker"].memory
        async with run_bench_stack(
            folder / f"waiting-{size}-for-ever", database_seconds=_NEVER, poll_seconds=60
        ) as one:
            await one.start_worker()
            found.append(await _watch(one, size, seconds, idle))
    return found


async def _watch(one: BenchStack, size: int, seconds: float, idle: float) -> WaitingUsage:
    service, asking = await one.connect_service(), RequestGenerator()
    requests = [asking.next_request("waiting") for _ in range(size)]
    began = time.perf_counter()
    turn = asyncio.Semaphore(_STARTING_AT_ONCE)

    async def create(index: int) -> None:
        async with turn:
            await service.create(requests[index])

    await asyncio.gather(*(create(index) for index in range(size)))
    while await _waiting(service) < size:
        await asyncio.sleep(0.5)
    started = time.perf_counter() - began
    await asyncio.sleep(15)  # let the last environments finish their work
    one.call_stand_in("DELETE", "calls")
    before, at = one.measure_usage(), time.perf_counter()
    await asyncio.sleep(seconds)
    after, passed = one.measure_usage(), time.perf_counter() - at
    calls = one.count_calls()
    names = [request.environment_id for request in requests[:: max(1, size // _SAMPLE_SIZE)]]
    running = []
    for name in names:
        await asyncio.sleep(_SAMPLE_SECONDS / len(names))
        running.append(await _runs(service, name))

    def percent(name: str) -> float:
        return 100 * (after[name].cpu - before[name].cpu) / passed

    return WaitingUsage(
        environments=size,
        start_seconds=started,
        idle_memory=idle,
        memory=after["worker"].memory,
        temporal_memory=after["temporal"].memory,
        worker_cpu=percent("worker"),
        temporal_cpu=percent("temporal"),
        attempts_running=sum(running),
        looked_at=len(names),
        cluster_calls=calls.get("rds:DescribeDBClusters", 0) / passed,
        instance_calls=calls.get("rds:DescribeDBInstances", 0) / passed,
        seconds=passed,
    )


async def _waiting(service: EnvironmentService) -> int:
    return (await service.client.count_workflows(f"{PHASE_ATTRIBUTE.name} = '{Phase.AWAITING_DATABASE}'")).count


async def _runs(service: EnvironmentService, name: str) -> int:
    described = await service.client.get_workflow_handle(environment_workflow_id(name)).describe()
    started = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
    return sum(item.state == started for item in described.raw_description.pending_activities)
