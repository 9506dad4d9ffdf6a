"""(b) Many environments: how many per second, and what each costs the client, the worker and Temporal.

The comparison includes the floor with as many threads, and the plain Temporal application in two variants: with new
clients for each activity, as in the tutorial, and with clients that are created once. Workers run on one core, except
the tutorial's. The floor runs on any core, and also on one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from bench.machine import PLAIN_COMMAND, WORKER_COMMAND, BenchStack, run_bench_stack


@dataclass(frozen=True)
class Variant:
    """A way to create environments.

    Attributes:
        name: Its name in the tables.
        command: The program that creates them, without the number.
        worker: The worker it needs, if any.
        one_core: Whether its worker, or the program itself if it has no worker, runs on one core.
        up_to: Maximum concurrency to measure: the slow variants would take long.
    """

    name: str
    command: tuple[str, ...]
    worker: tuple[str, ...] = ()
    one_core: bool = False
    up_to: int = 200


_CLIENT: Final = ("-m", "bench.client")
_FLOOR: Final = ("-m", "bench.floor")
VARIANTS: Final = (
    Variant("byok", _CLIENT, WORKER_COMMAND, one_core=True),
    Variant("byok, on any core", _CLIENT, WORKER_COMMAND, up_to=50),
    Variant("plain Temporal", PLAIN_COMMAND, PLAIN_COMMAND, up_to=50),
    Variant(
        "plain Temporal, clients made once", PLAIN_COMMAND, (*PLAIN_COMMAND, "--clients-once"), one_core=True, up_to=50
    ),
    Variant("floor", _FLOOR),
    Variant("floor, two branches", (*_FLOOR, "--branches"), up_to=50),
    Variant("floor, on one core", _FLOOR, one_core=True),
)


class Throughput(BaseModel):
    """One round of one variant.

    Attributes:
        kind: One of `VARIANTS`.
        environments: Number of environments created.
        concurrency: How many at a time.
        per_second: Environments per second.
        client_cpu: CPU seconds of the client per environment; for the floor, all CPU seconds.
        worker_cpu: CPU seconds of the worker per environment.
        temporal_cpu: CPU seconds of Temporal per environment.
        worker_memory: MiB of the worker at the end.
        temporal_memory: MiB of Temporal at the end.
        calls: AWS calls per environment.
    """

    kind: str
    environments: int
    concurrency: int
    per_second: float
    client_cpu: float
    worker_cpu: float = 0
    temporal_cpu: float = 0
    worker_memory: float = 0
    temporal_memory: float = 0
    calls: float

    @property
    def total_cpu_seconds(self) -> float:
        """CPU seconds of client, worker and Temporal."""
        return self.client_cpu + self.worker_cpu + self.temporal_cpu


async def measure(folder: Path, sizes: list[tuple[int, int]], rounds: int) -> list[Throughput]:
    """Run all variants in turn.

    Args:
        folder: For state and logs.
        sizes: Pairs of the number of environments and the concurrency.
        rounds: Number of rounds of each variant.
    """
    found = []
    for number in range(rounds):
        for environments, concurrency in sizes:
            async with run_bench_stack(
                folder / f"many-{number}-{environments}-{concurrency}", poll_seconds=0.05
            ) as one:
                found += [
                    await _turn(one, kind, environments, concurrency) for kind in VARIANTS if concurrency <= kind.up_to
                ]
    return found


async def _turn(one: BenchStack, kind: Variant, environments: int, concurrency: int) -> Throughput:
    if kind.worker:
        await one.start_worker(kind.worker, one_core=kind.one_core)
        await one.run_client(*kind.command, "--environments", "3", "--concurrency", "3")
    one.call_stand_in("DELETE", "calls")
    before = one.measure_usage()
    asked = ("--environments", str(environments), "--concurrency", str(concurrency))
    made = await one.run_client(*kind.command, *asked, one_core=kind.one_core and not kind.worker)
    after = one.measure_usage()
    number = environments + 1  # includes the one that warms up
    found = Throughput(
        kind=kind.name,
        environments=environments,
        concurrency=concurrency,
        per_second=made.per_second,
        client_cpu=made.cpu_seconds_each,
        calls=sum(one.count_calls().values()) / number,
    )
    if not kind.worker:
        return found
    await one.stop("worker")
    return found.model_copy(
        update={
            "worker_cpu": (after["worker"].cpu - before["worker"].cpu) / number,
            "temporal_cpu": (after["temporal"].cpu - before["temporal"].cpu) / number,
            "worker_memory": after["worker"].memory,
            "temporal_memory": after["temporal"].memory,
        }
    )
