"""What a program that makes environments prints: how long each took, and what the program itself took."""

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from pydantic import BaseModel


class RunResult(BaseModel):
    """A run of many environments.

    Attributes:
        wall_seconds: From the first to the last.
        cpu_seconds: Of the program.
        each_seconds: Of each environment.
        names: Of each environment.
    """

    wall_seconds: float
    cpu_seconds: float
    each_seconds: list[float]
    names: list[str] = []

    @property
    def per_second(self) -> float:
        """Environments a second."""
        return len(self.each_seconds) / self.wall_seconds

    @property
    def cpu_seconds_each(self) -> float:
        """Seconds of the processor for each environment."""
        return self.cpu_seconds / len(self.each_seconds)


@dataclass
class RunTimer:
    """Measures a run, from its making on."""

    def __post_init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def finish(self, each_seconds: Sequence[float], names: Sequence[str] = ()) -> RunResult:
        """The run that has ended now."""
        return RunResult(
            wall_seconds=time.perf_counter() - self._wall,
            cpu_seconds=time.process_time() - self._cpu,
            each_seconds=list(each_seconds),
            names=list(names),
        )


async def measure_seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began
