"""Measures the cost of health checks if each environment has its own workflow with a timer (`bench.timers`)."""

import asyncio
import time
from typing import Final

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.machine import BenchStack
from bench.seeding import OriginalEnvironment, run_concurrently
from bench.timers import TASK_QUEUE, CheckByTimer, TimerRequest
from byok.domain.models import EnvironmentPlan

_TIMERS_COMMAND: Final = ("-m", "bench.timers")


class TimersUsage(BaseModel):
    """The resource usage during one interval, in which each workflow checked its environment once.

    Attributes:
        environments: The number of environments.
        seconds: Duration of the measurement, which is one interval.
        start_seconds: How long it took to start all workflows.
        checked: The number of environments that were checked.
        memory: Memory of the worker in MiB at the end.
        temporal_memory: Memory of Temporal in MiB at the end.
        worker_cpu: CPU seconds of the worker.
        temporal_cpu: CPU seconds of Temporal.
        rds_calls: The number of RDS calls.
    """

    environments: int
    seconds: float
    start_seconds: float
    checked: int
    memory: float
    temporal_memory: float
    worker_cpu: float
    temporal_cpu: float
    rds_calls: int


async def measure_timers(one: BenchStack, original: OriginalEnvironment, size: int, interval: float) -> TimersUsage:
    """Replace byok's worker with a worker of `bench.timers`, start a workflow for each environment, and measure."""
    await one.stop("worker")
    plans = await original.copy_resources(one, size)
    await one.start_worker(_TIMERS_COMMAND)
    client = await Client.connect(one.environment["TEMPORAL_ADDRESS"], data_converter=pydantic_data_converter)

    async def start(plan: EnvironmentPlan) -> None:
        request = TimerRequest.from_plan(plan, interval)
        await client.start_workflow(
            CheckByTimer.run, request, id=f"timer/{request.environment_id}", task_queue=TASK_QUEUE
        )

    began = time.perf_counter()
    await run_concurrently(start, plans)
    start_seconds = time.perf_counter() - began
    # All timers fire at nearly the same time, which must be in the middle of the measurement.
    await asyncio.sleep(max(0.0, interval / 2 - start_seconds))
    one.call_stand_in("DELETE", "calls")
    before, at = one.measure_usage(), time.perf_counter()
    await asyncio.sleep(interval)
    after, passed = one.measure_usage(), time.perf_counter() - at
    calls = one.count_calls()
    return TimersUsage(
        environments=size,
        seconds=passed,
        start_seconds=start_seconds,
        checked=calls.get("s3:GetObject", 0),
        memory=after["worker"].memory,
        temporal_memory=after["temporal"].memory,
        worker_cpu=after["worker"].cpu - before["worker"].cpu,
        temporal_cpu=after["temporal"].cpu - before["temporal"].cpu,
        rds_calls=calls.get("rds:DescribeDBClusters", 0),
    )
