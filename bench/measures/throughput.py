"""(b) The number of environments created per second, and the CPU and memory that the processes use.

The comparison includes a bare boto3 script (the floor), with one thread per concurrent environment, and the plain
Temporal application. The plain application has two variants: one creates boto3 clients in each activity, as in the
tutorial, and the other creates its clients only once. The bare script and byok's worker are measured twice: pinned to
one core, and free to use any core. The worker of the tutorial variant may use any core, and the worker of the other
variant is pinned to one core.
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
        name: The name in the tables.
        command: The command that creates environments, without `--environments` and `--concurrency`.
        worker: The command that runs the worker, or empty if the variant needs no worker.
        one_core: Whether the worker (or the command, if the variant has no worker) runs on one core.
        up_to: The maximum concurrency at which to measure the variant. A slow variant has a lower maximum.
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
    """The figures of one variant in one round.

    Attributes:
        kind: The name of the variant.
        environments: Number of environments created.
        concurrency: Number of environments in progress at the same time.
        per_second: Environments per second.
        client_cpu: CPU seconds of the client per environment. For the floor, the client is the bare script itself.
        worker_cpu: CPU seconds of the worker per environment.
        temporal_cpu: CPU seconds of Temporal per environment.
        worker_memory: Memory of the worker at the end, in MiB.
        temporal_memory: Memory of Temporal at the end, in MiB.
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
        """CPU seconds of the client, the worker and Temporal together, per environment."""
        return self.client_cpu + self.worker_cpu + self.temporal_cpu


async def measure(folder: Path, sizes: list[tuple[int, int]], rounds: int) -> list[Throughput]:
    """In every round, measure each variant under every load up to the variant's maximum concurrency.

    Args:
        folder: The folder for state and logs.
        sizes: The loads to measure. Each load is a pair: the number of environments and the concurrency.
        rounds: Number of rounds.
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
    number = environments + 1  # including the warm-up environment
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
