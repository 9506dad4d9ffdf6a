"""(h) The cost of a sweep over all environments, and the time until a sweep or an AWS event reports a lost key.

(i) For comparison, the cost of the same checks if each environment has its own workflow with a timer. (j) The time that
byok takes to list environments.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from bench.machine import BenchStack, run_bench_stack
from bench.measures.lost_keys import measure_events, measure_polling
from bench.measures.sweeps import SweepUsage, measure_sweep
from bench.measures.timers import TimersUsage, measure_timers
from bench.seeding import OriginalEnvironment
from byok.service.environments import EnvironmentService

_LIST_ROUNDS: Final = 3
_PAGE_SIZE: Final = 50


@dataclass(frozen=True)
class HealthSizes:
    """The sizes of the measurements.

    Attributes:
        sweep: The number of environments of the large sweep.
        compared: The number of environments in the comparison between a sweep and workflows with timers.
        warm_up: The number of environments that byok creates to warm up the worker. All other environments are copies.
        interval: The time between two sweeps in seconds.
        lost_keys: The number of keys to disable.
    """

    sweep: int = 10_000
    compared: int = 1_000
    warm_up: int = 100
    interval: float = 240
    lost_keys: int = 5


QUICK_SIZES: Final = HealthSizes(sweep=200, compared=50, warm_up=10, interval=15, lost_keys=1)
"""Sizes for a trial run, which shows only that the measurement works. The figures of a trial run are not meaningful."""


class HealthFigures(BaseModel):
    """What it costs to check the health of environments.

    Attributes:
        sweeps: The resource usage of each sweep. The sweeps differ in the number of environments.
        timers: The resource usage of workflows with timers.
        lost_keys: Seconds from disabling a key until the status of its environment is KEY_LOST.
        events: Seconds from disabling a key until its environment is KEY_LOST, if an AWS event reports the disabled
            key.
        first_pages: Seconds to list the first 50 environments of the large sweep.
        whole_lists: Seconds to list all environments of the large sweep.
    """

    sweeps: list[SweepUsage] = []
    timers: TimersUsage | None = None
    lost_keys: list[float] = []
    events: list[float] = []
    first_pages: list[float] = []
    whole_lists: list[float] = []


async def measure(folder: Path, sizes: HealthSizes) -> HealthFigures:
    """Take all measurements: sweeps, lists, workflows with timers, and the time to find a lost key."""
    found = HealthFigures()
    async with _run_stack(folder / f"sweep-{sizes.sweep}", sizes) as (one, original):
        service = await one.connect_service()
        found.sweeps.append(await measure_sweep(one, service, original, sizes.sweep, sizes.interval))
        await _measure_lists(found, service, sizes.sweep)
    async with _run_stack(folder / f"sweep-{sizes.compared}", sizes) as (one, original):
        service = await one.connect_service()
        found.sweeps.append(await measure_sweep(one, service, original, sizes.compared, sizes.interval))
    async with _run_stack(folder / "timers", sizes) as (one, original):
        found.timers = await measure_timers(one, original, sizes.compared, sizes.interval)
    async with _run_stack(folder / "events", sizes) as (one, original):
        found.events = await measure_events(one, original, sizes.lost_keys)
    async with _run_stack(folder / "lost-keys", sizes) as (one, original):
        found.lost_keys = await measure_polling(one, original, sizes.lost_keys)
    return found


async def _measure_lists(found: HealthFigures, service: EnvironmentService, size: int) -> None:
    """List the first page and all environments, several times.

    Raises:
        RuntimeError: byok does not list all environments.
    """
    for _ in range(_LIST_ROUNDS):
        began = time.perf_counter()
        await service.list_environments_page(size=_PAGE_SIZE)
        found.first_pages.append(time.perf_counter() - began)
        began = time.perf_counter()
        listed = await service.list_environments(size)
        found.whole_lists.append(time.perf_counter() - began)
        if len(listed) != size:
            raise RuntimeError(f"byok listed {len(listed)} of {size} environments")


@asynccontextmanager
async def _run_stack(folder: Path, sizes: HealthSizes) -> AsyncIterator[tuple[BenchStack, OriginalEnvironment]]:
    """Run a stack, let its worker create some environments, and yield the stack and one environment to copy."""
    async with run_bench_stack(folder, database_seconds=0, poll_seconds=0.5) as one:
        await one.start_worker()
        number = sizes.warm_up - 1  # the client also creates one environment as a warm-up
        made = await one.run_client("-m", "bench.client", "--environments", str(number), "--concurrency", "50")
        yield one, await OriginalEnvironment.verify(one, made.names[0])
