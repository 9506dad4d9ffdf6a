"""Measures the resource usage of the worker and Temporal, and the AWS calls, during one sweep over all environments."""

import asyncio
import math
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, WorkflowHandle

from activities.heartbeat import HEARTBEAT_INTERVAL
from bench.machine import BenchStack, ProcessUsage
from bench.measures.costs import count_billable_actions
from bench.request_generator import REGION
from bench.seeding import OriginalEnvironment
from byok.contracts import ENVIRONMENT_RECORD_WORKFLOW, PHASE_ATTRIBUTE, health_schedule_id
from byok.domain.models import SweepOutcome
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.temporal_health import ensure_health_schedules

SCHEDULE_ACTIONS: Final = 2
"""The billable actions of one execution of a schedule, in addition to the start of the workflow (docs.temporal.io,
"Temporal Cloud Actions").
"""

_SECONDS_A_MONTH: Final = 30 * 24 * 3600
_LEAD: Final = 0.3
"""The time from the start of the measurement until the sweep is due, in seconds."""

_MAX_SETTLE_SECONDS: Final = 600.0
_SETTLED_CPU: Final = 5.0
"""Temporal counts as idle if its CPU usage is at most this percentage of one core."""


class SweepUsage(BaseModel):
    """The resource usage during one interval, in which one sweep ran.

    Attributes:
        environments: The number of READY environments.
        interval: The time between two sweeps in seconds.
        seed_seconds: How long it took to copy the environments and start their records.
        settle_seconds: How long Temporal was busy after the records had started.
        idle_memory: Memory in MiB of an idle worker that has created some environments, fifty at a time.
        idle_worker_cpu: CPU usage of the worker without a sweep, as a percentage of one core.
        idle_temporal_cpu: CPU usage of Temporal without a sweep, as a percentage of one core.
        seconds: Duration of the measurement.
        sweep_seconds: Duration of the sweep.
        proved: The number of environments for which the sweep got a conclusive answer from AWS.
        changed: The number of environments whose records got a new health state from the sweep.
        memory: Peak memory of the worker in MiB.
        temporal_memory: Peak memory of Temporal in MiB.
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
        """The billable actions in the histories of all sweeps in 30 days, in millions."""
        return self._extrapolate(self.actions)

    @property
    def all_actions_a_month(self) -> float:
        """The billable actions in 30 days in millions, including heartbeats and the schedule's own actions."""
        return self._extrapolate(self.actions + self.heartbeats + SCHEDULE_ACTIONS)

    def _extrapolate(self, actions: int) -> float:
        return actions * _SECONDS_A_MONTH / self.interval / 1e6


async def measure_sweep(
    one: BenchStack, service: EnvironmentService, original: OriginalEnvironment, size: int, interval: float
) -> SweepUsage:
    """Add READY environments up to a total of `size`, and measure one interval, in which one sweep runs."""
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


def count_heartbeats(events: Iterable[HistoryEvent]) -> int:
    """Estimate the number of heartbeats from the duration of each activity's last attempt.

    A heartbeat adds no event to the history. byok sends a heartbeat every three seconds.
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
    """Return the number of calls to a service in the stand-in's log, and the largest number in one second."""

    def count(calls: dict[str, int]) -> int:
        return sum(number for name, number in calls.items() if name.startswith(f"{service}:"))

    return count(log["calls"]), max((count(second) for second in log["per_second"]), default=0)


async def _count_ready(service: EnvironmentService) -> int:
    query = (
        f"WorkflowType = '{ENVIRONMENT_RECORD_WORKFLOW}' AND ExecutionStatus = 'Running' "
        f"AND {PHASE_ATTRIBUTE.name} = '{Phase.READY}'"
    )
    return (await service.client.count_workflows(query)).count


async def _settle(one: BenchStack) -> tuple[float, dict[str, float]]:
    """Wait until Temporal has processed the start of all records.

    Returns:
        The waiting time in seconds, and the CPU usage of each process over the last ten seconds as a percentage of one
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
    """Wait until just before the next sweep is due, and return the due time.

    A schedule with an interval fires at times that are multiples of the interval since the epoch (Temporal API,
    IntervalSpec).
    """
    start = math.ceil((time.time() + 2 * _LEAD) / interval) * interval
    await asyncio.sleep(start - _LEAD - time.time())
    return start


async def _sample_memory(one: BenchStack, until: float) -> dict[str, float]:
    """Sample the memory of each process every second until a given time, and return each process's maximum in MiB."""
    largest: dict[str, float] = {}
    while (left := until - time.time()) > 0:
        for name, usage in one.measure_usage().items():
            largest[name] = max(usage.memory, largest.get(name, 0))
        await asyncio.sleep(min(1.0, left))
    return largest


async def _find_sweep(client: Client, since: datetime) -> WorkflowHandle[Any, SweepOutcome]:
    """Return the first sweep that the schedule started at or after `since`."""
    described = await client.get_schedule_handle(health_schedule_id(REGION)).describe()
    for started in described.info.recent_actions:
        if started.started_at >= since and isinstance(started.action, ScheduleActionExecutionStartWorkflow):
            return client.get_workflow_handle(started.action.workflow_id, result_type=SweepOutcome)
    raise RuntimeError("the schedule has not started a sweep")
