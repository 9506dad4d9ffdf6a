"""(b) Many environments: how many a second, and what each costs the client, the worker and Temporal.

Beside the floor in as many threads, and the plain Temporal application, in two ways: with new clients for each step, as
the tutorial writes it, and with clients that are made once. Workers keep to one core, but for the tutorial's; the
floor runs on any, and on one as well.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from bench.machine import OURS, PLAIN, Machine, machine

KINDS: Final = (
    "byok",
    "byok, on any core",
    "plain Temporal",
    "plain Temporal, clients made once",
    "floor",
    "floor, two branches",
    "floor, on one core",
)
_ANY_CORE: Final = {"BYOK_WORKER_CORE": ""}


class Throughput(BaseModel):
    """One turn of one kind.

    Attributes:
        kind: Of `KINDS`.
        environments: How many were made.
        concurrency: How many at a time.
        per_second: Environments a second.
        client_cpu: Seconds of the processor for each environment; of the floor, all of it.
        worker_cpu: Likewise.
        temporal_cpu: Likewise.
        worker_memory: MiB at the end.
        temporal_memory: Likewise.
        calls: AWS calls of each environment.
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
    def cpu(self) -> float:
        """All of it."""
        return self.client_cpu + self.worker_cpu + self.temporal_cpu


async def measure(folder: Path, sizes: list[tuple[int, int]], rounds: int) -> list[Throughput]:
    """Let all take turns.

    Args:
        folder: For state and logs.
        sizes: How many environments, and how many at a time.
        rounds: How many turns each has.
    """
    found = []
    for number in range(rounds):
        for environments, concurrency in sizes:
            async with machine(folder / f"many-{number}-{environments}-{concurrency}", poll_seconds=0.05) as one:
                found += await _turn(one, environments, concurrency, everybody=concurrency <= 50)
    return found


async def _turn(one: Machine, environments: int, concurrency: int, *, everybody: bool) -> list[Throughput]:
    size = ("--environments", str(environments), "--concurrency", str(concurrency))
    found = [await _with_worker(one, KINDS[0], OURS, "bench.client", size)]
    if everybody:
        found.append(await _with_worker(one, KINDS[1], OURS, "bench.client", size, _ANY_CORE))
        found.append(await _with_worker(one, KINDS[2], PLAIN, "bench.plain", size))
        found.append(await _with_worker(one, KINDS[3], (*PLAIN, "--clients-once"), "bench.plain", size))
    for kind, way in ((KINDS[4], ()), (KINDS[5], ("--branches",)), (KINDS[6], ("--one-core",))):
        one.aws("DELETE", "calls")
        made = await one.run("-m", "bench.floor", *size, *way)
        found.append(
            Throughput(
                kind=kind,
                environments=environments,
                concurrency=concurrency,
                per_second=made.per_second,
                client_cpu=made.cpu_each,
                calls=sum(one.calls().values()) / (environments + 1),
            )
        )
    return found


async def _with_worker(
    one: Machine,
    kind: str,
    worker: tuple[str, ...],
    program: str,
    size: tuple[str, str, str, str],
    settings: Mapping[str, str] | None = None,
) -> Throughput:
    environments, concurrency = int(size[1]), int(size[3])
    await one.start_worker(worker, settings=settings)
    await one.run("-m", program, "--environments", "3", "--concurrency", "3")
    one.aws("DELETE", "calls")
    before = one.usage()
    made = await one.run("-m", program, *size)
    after = one.usage()
    calls = sum(one.calls().values())
    await one.stop("worker")
    number = environments + 1  # the one that warms up is worked on, too
    return Throughput(
        kind=kind,
        environments=environments,
        concurrency=concurrency,
        per_second=made.per_second,
        client_cpu=made.cpu_each,
        worker_cpu=(after["worker"].cpu - before["worker"].cpu) / number,
        temporal_cpu=(after["temporal"].cpu - before["temporal"].cpu) / number,
        worker_memory=after["worker"].memory,
        temporal_memory=after["temporal"].memory,
        calls=calls / number,
    )
