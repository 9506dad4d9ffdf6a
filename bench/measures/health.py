"""(h) Sweeps: what it costs to check all environments, and how soon a lost key is reported.

(i) The same with a workflow with a timer for each environment, for comparison. (j) How long lists of environments take.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.heartbeat import HEARTBEAT_INTERVAL
from bench.machine import BenchStack, ProcessUsage, run_bench_stack
from bench.measures.costs import count_billable_actions
from bench.request_generator import REGION
from bench.seeding import OriginalEnvironment, run_concurrently
from bench.timers import TASK_QUEUE, CheckByTimer, TimerRequest
from byok.contracts import ENVIRONMENT_RECORD_WORKFLOW, PHASE_ATTRIBUTE, health_schedule_id
from byok.domain.models import EnvironmentPlan, HealthState, SweepOutcome
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.temporal_health import ensure_health_schedules, read_sweep

LOST_KEY_INTERVAL: Final = 10.0
"""The interval of the sweeps that find a disabled key, in seconds."""

SCHEDULE_ACTIONS: Final = 2
"""The billable actions of one execution of a schedule, besides the start of its workflow (docs.temporal.io, "Temporal
Cloud Actions")."""

_TIMERS_COMMAND: Final = ("-m", "bench.timers")
_SECONDS_A_MONTH: Final = 30 * 24 * 3600
_LEAD: Final = 0.3
"""How long before the start of a sweep the measurement begins, in seconds."""

_LOST_KEY_ENVIRONMENTS: Final = 20
_LIST_ROUNDS: Final = 3
_PAGE_SIZE: Final = 50
_MAX_SETTLE_SECONDS: Final = 600.0
_SETTLED_CPU: Final = 5.0
"""The CPU usage of a Temporal server that has processed a mass start, as a percentage of one core."""


@dataclass(frozen=True)
class HealthSizes:
    """How much to measure.

    Attributes:
        sweep: The number of environments of the large sweep.
        compared: The number of environments with which a sweep is compared to workflows with timers.
        warm_up: How many environments byok creates itself, to warm up the worker.
        interval: The time between two sweeps in seconds.
        lost_keys: The number of keys to disable.
    """

    sweep: int = 10_000
    compared: int = 1_000
    warm_up: int = 100
    interval: float = 240
    lost_keys: int = 5


QUICK_SIZES: Final = HealthSizes(sweep=200, compared=50, warm_up=10, interval=15, lost_keys=1)
"""Sizes that only show that the measurement works."""


class SweepUsage(BaseModel):
    """The resource usage during one interval, in which one sweep ran.

    Attributes:
        environments: The number of READY environments.
        interval: The time between two sweeps in seconds.
        seed_seconds: How long it took to start the records of the environments.
        settle_seconds: How long Temporal was busy afterwards.
        idle_memory: Memory in MiB of an idle worker that has created some environments, fifty at a time.
        idle_worker_cpu: CPU usage of the worker without a sweep, as a percentage of one core.
        idle_temporal_cpu: CPU usage of Temporal without a sweep, as a percentage of one core.
        seconds: Duration of the measurement.
        sweep_seconds: Duration of the sweep.
        proved: The number of environments about which AWS answered.
        changed: The number of environments that the sweep reported to their records.
        memory: The largest memory of the worker in MiB.
        temporal_memory: The largest memory of Temporal in MiB.
        worker_cpu: CPU seconds of the worker.
        temporal_cpu: CPU seconds of Temporal.
        s3_calls: The number of S3 calls.
        s3_calls_in_a_second: The largest number of S3 calls in one second.
        rds_calls: The number of RDS calls.
        events: The number of events in the sweep's history.
        actions: The number of billable actions in the sweep's history.
        heartbeats: The number of heartbeats of the sweep's activities, which are also billable.
    """

    environments: int
    interval: float
    seed_seconds: float
    settle_seconds: float
    idle_memory: float
    idle_worker_cpu: float
    idle_temporal_cpu: float
    seconds: float
    sweep_seconds: float
    proved: int
    changed: int
    memory: float
    temporal_memory: float
    worker_cpu: float
    temporal_cpu: float
    s3_calls: int
    s3_calls_in_a_second: int
    rds_calls: int
    events: int
    actions: int
    heartbeats: int

    @property
    def actions_a_month(self) -> float:
        """The billable actions in the histories of the sweeps of 30 days, in millions."""
        return self._extrapolate(self.actions)

    @property
    def all_actions_a_month(self) -> float:
        """The billable actions of 30 days in millions, including those that no history shows."""
        return self._extrapolate(self.actions + self.heartbeats + SCHEDULE_ACTIONS)

    def _extrapolate(self, actions: int) -> float:
        return actions * _SECONDS_A_MONTH / self.interval / 1e6


class TimersUsage(BaseModel):
    """The resource usage during one interval, in which each environment's own workflow checked it.

    Attributes:
        environments: The number of environments.
        seconds: Duration of the measurement, which is the interval.
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


class HealthFigures(BaseModel):
    """What it costs to check the health of environments.

    Attributes:
        sweeps: The usage of a sweep, by the number of environments.
        timers: The usage of workflows with timers.
        lost_keys: Seconds from disabling a key until the status of its environment is KEY_LOST.
        first_pages: Seconds to list the first 50 environments of the large sweep.
        whole_lists: Seconds to list all environments of the large sweep.
    """

    sweeps: list[SweepUsage] = []
    timers: TimersUsage | None = None
    lost_keys: list[float] = []
    first_pages: list[float] = []
    whole_lists: list[float] = []


async def measure(folder: Path, sizes: HealthSizes) -> HealthFigures:
    """Measure a large sweep and the lists, a sweep and the timers side by side, and the time to find a lost key."""
    found = HealthFigures()
    async with _run_stack(folder / f"sweep-{sizes.sweep}", sizes) as (one, original):
        service = await one.connect_service()
        found.sweeps.append(await _measure_sweep(one, service, original, sizes.sweep, sizes.interval))
        for _ in range(_LIST_ROUNDS):
            began = time.perf_counter()
            await service.list_environments_page(size=_PAGE_SIZE)
            found.first_pages.append(time.perf_counter() - began)
            began = time.perf_counter()
            listed = await service.list_environments(sizes.sweep)
            found.whole_lists.append(time.perf_counter() - began)
            if len(listed) != sizes.sweep:
                raise RuntimeError(f"byok listed {len(listed)} of {sizes.sweep} environments")
    async with _run_stack(folder / f"sweep-{sizes.compared}", sizes) as (one, original):
        service = await one.connect_service()
        found.sweeps.append(await _measure_sweep(one, service, original, sizes.compared, sizes.interval))
    async with _run_stack(folder / "timers", sizes) as (one, original):
        found.timers = await _measure_timers(one, original, sizes.compared, sizes.interval)
    async with _run_stack(folder / "lost-keys", sizes) as (one, original):
        found.lost_keys = await _measure_lost_keys(one, original, sizes.lost_keys)
    return found


def count_heartbeats(events: Iterable[HistoryEvent]) -> int:
    """Estimate the number of heartbeats of a workflow's activities from the durations of their last attempts.

    Temporal keeps no event for a heartbeat. byok sends one every three seconds.
    """
    started: dict[int, datetime] = {}
    heartbeats = 0
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            started[event.event_id] = event.event_time.ToDatetime(UTC)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            began = started[event.activity_task_completed_event_attributes.started_event_id]
            heartbeats += (event.event_time.ToDatetime(UTC) - began) // HEARTBEAT_INTERVAL
    return heartbeats


def count_service_calls(log: dict[str, Any], service: str) -> tuple[int, int]:
    """Return the number of calls of a service in the stand-in's log, and the largest number in one second."""

    def count(calls: dict[str, int]) -> int:
        return sum(number for name, number in calls.items() if name.startswith(f"{service}:"))

    return count(log["calls"]), max((count(second) for second in log["per_second"]), default=0)


@asynccontextmanager
async def _run_stack(folder: Path, sizes: HealthSizes) -> AsyncIterator[tuple[BenchStack, OriginalEnvironment]]:
    """Run a stack with a worker that has created some environments, and yield one of them to copy."""
    async with run_bench_stack(folder, database_seconds=0, poll_seconds=0.5) as one:
        await one.start_worker()
        number = sizes.warm_up - 1  # the client creates one more
        made = await one.run_client("-m", "bench.client", "--environments", str(number), "--concurrency", "50")
        yield one, await OriginalEnvironment.verify(one, made.names[0])


async def _measure_sweep(
    one: BenchStack, service: EnvironmentService, original: OriginalEnvironment, size: int, interval: float
) -> SweepUsage:
    """Add READY environments until there are `size`, and measure the interval in which the first sweep checks them."""
    idle = one.measure_usage()["worker"]
    began = time.perf_counter()
    plans = await original.copy_resources(one, size - await _count_ready(service))
    await original.start_records(one, plans)
    while await _count_ready(service) < size:
        await asyncio.sleep(0.5)
    seeded = time.perf_counter() - began
    settle_seconds, idle_cpu = await _settle(one)

    start = await _reach_next_sweep(interval)
    await ensure_health_schedules(service.client, service.task_queue, [REGION], timedelta(seconds=interval))
    one.call_stand_in("DELETE", "calls")
    before, at = one.measure_usage(), time.perf_counter()
    memory = await _sample_memory(one, start + interval - _LEAD)
    after, passed = one.measure_usage(), time.perf_counter() - at
    log, schedule = one.call_stand_in("GET", "calls"), service.client.get_schedule_handle(health_schedule_id(REGION))
    one.count_calls()  # raises an error if the stand-in does not model a call
    await schedule.pause()

    sweep = await _find_sweep(service.client, datetime.fromtimestamp(start - _LEAD, UTC))
    outcome = await sweep.result()
    described, events = await sweep.describe(), (await sweep.fetch_history()).events
    if described.close_time is None:
        raise RuntimeError("a sweep with a result has not ended")
    s3_calls, s3_calls_in_a_second = count_service_calls(log, "s3")
    rds_calls, _ = count_service_calls(log, "rds")
    return SweepUsage(
        environments=size,
        interval=interval,
        seed_seconds=seeded,
        settle_seconds=settle_seconds,
        idle_memory=idle.memory,
        idle_worker_cpu=idle_cpu["worker"],
        idle_temporal_cpu=idle_cpu["temporal"],
        seconds=passed,
        sweep_seconds=(described.close_time - described.start_time).total_seconds(),
        proved=outcome.checked,
        changed=outcome.changed,
        memory=memory["worker"],
        temporal_memory=memory["temporal"],
        worker_cpu=after["worker"].cpu - before["worker"].cpu,
        temporal_cpu=after["temporal"].cpu - before["temporal"].cpu,
        s3_calls=s3_calls,
        s3_calls_in_a_second=s3_calls_in_a_second,
        rds_calls=rds_calls,
        events=len(events),
        actions=count_billable_actions(events),
        heartbeats=count_heartbeats(events),
    )


async def _measure_timers(one: BenchStack, original: OriginalEnvironment, size: int, interval: float) -> TimersUsage:
    """Replace byok's worker, start a workflow for each environment, and measure one interval."""
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


async def _measure_lost_keys(one: BenchStack, original: OriginalEnvironment, rounds: int) -> list[float]:
    """Disable one key after the other, at different moments between two sweeps."""
    service, found = await one.connect_service(), []
    plans = await original.copy_resources(one, max(rounds, _LOST_KEY_ENVIRONMENTS))
    await original.start_records(one, plans)
    interval = timedelta(seconds=LOST_KEY_INTERVAL)
    await ensure_health_schedules(service.client, service.task_queue, [REGION], interval)
    while await read_sweep(service.client, REGION) is None:
        await asyncio.sleep(0.5)
    for number in range(rounds):
        environment = plans[number].environment
        await asyncio.sleep(LOST_KEY_INTERVAL * number / rounds)
        one.call_stand_in("POST", "disable", key=environment.s3_key_arn)
        began = time.perf_counter()
        while True:
            health = (await service.read_status(environment.environment_id)).health
            if health is not None and health.state is HealthState.KEY_LOST:
                break
            await asyncio.sleep(0.1)
        found.append(time.perf_counter() - began)
    return found


async def _count_ready(service: EnvironmentService) -> int:
    query = (
        f"WorkflowType = '{ENVIRONMENT_RECORD_WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND {PHASE_ATTRIBUTE.name} = '{Phase.READY}'"
    )
    return (await service.client.count_workflows(query)).count


async def _settle(one: BenchStack) -> tuple[float, dict[str, float]]:
    """Wait until Temporal has processed a mass start.

    Returns:
        How long it took in seconds, and the CPU usage of each process over the last ten seconds as a percentage of one
        core.
    """
    began = time.perf_counter()
    while True:
        before, at = one.measure_usage(), time.perf_counter()
        await asyncio.sleep(10)
        usage = _compute_cpu(before, one.measure_usage(), time.perf_counter() - at)
        passed = time.perf_counter() - began
        if usage["temporal"] <= _SETTLED_CPU or passed > _MAX_SETTLE_SECONDS:
            return passed, usage


def _compute_cpu(before: dict[str, ProcessUsage], after: dict[str, ProcessUsage], seconds: float) -> dict[str, float]:
    return {name: 100 * (after[name].cpu - before[name].cpu) / seconds for name in before}


async def _reach_next_sweep(interval: float) -> float:
    """Wait until just before Temporal would start the next sweep, and return the time of that start.

    An interval of a schedule begins at a multiple of the interval since the epoch (Temporal API, IntervalSpec).
    """
    start = math.ceil((time.time() + 2 * _LEAD) / interval) * interval
    await asyncio.sleep(start - _LEAD - time.time())
    return start


async def _sample_memory(one: BenchStack, until: float) -> dict[str, float]:
    """Return the largest memory of each process in MiB, sampled every second until a time."""
    largest: dict[str, float] = {}
    while (left := until - time.time()) > 0:
        for name, usage in one.measure_usage().items():
            largest[name] = max(usage.memory, largest.get(name, 0))
        await asyncio.sleep(min(1.0, left))
    return largest


async def _find_sweep(client: Client, since: datetime) -> WorkflowHandle[Any, SweepOutcome]:
    """Return the first sweep that the schedule started after a time."""
    described = await client.get_schedule_handle(health_schedule_id(REGION)).describe()
    for started in described.info.recent_actions:
        if started.started_at >= since and isinstance(started.action, ScheduleActionExecutionStartWorkflow):
            return client.get_workflow_handle(started.action.workflow_id, result_type=SweepOutcome)
    raise RuntimeError("the schedule has not started a sweep")
