"""(c) Environments that wait for Aurora: what they take of one worker, and how often RDS is asked."""

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
"""Seconds, so that what is found is of all moments: environments are looked at in groups, every three seconds."""


class WaitingUsage(BaseModel):
    """What so many environments that wait take.

    Attributes:
        environments: How many.
        start_seconds: Until all of them were waiting.
        idle_memory: MiB of a worker that has made a hundred environments, fifty at a time, and has nothing to do.
        memory: MiB of the worker, with all of them waiting.
        temporal_memory: MiB of Temporal.
        worker_cpu: Per cent of a core.
        temporal_cpu: Likewise.
        attempts_running: Of those that were looked at, how many held a slot of the worker at that moment.
        looked_at: How many were looked at.
        cluster_calls: DescribeDBClusters a second.
        instance_calls: DescribeDBInstances a second.
        seconds: For how long it was watched.
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
    """Watch each number for a while.

    Args:
        folder: For state and logs.
        sizes: How many environments.
        seconds: How long each number is watched, a whole round of looks at least.
    """
    found = []
    for size in sizes:
        path = folder / f"waiting-{size}"
        async with run_bench_stack(path, database_seconds=0, poll_seconds=60) as warm:
            # Databases are there at once: what a worker has loaded once all of its threads have been at work.
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
    await asyncio.sleep(15)  # the last ones settle
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
