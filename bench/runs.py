"""The output of a program that creates environments: the wall time of each environment, and the program's CPU time."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel


class RunResult(BaseModel):
    """The result of a run that creates many environments.

    Attributes:
        wall_seconds: Wall time of the whole run.
        cpu_seconds: CPU time of the program.
        each_seconds: Wall time of each environment.
        names: Name of each environment.
    """

    wall_seconds: float
    cpu_seconds: float
    each_seconds: list[float]
    names: list[str] = []

    @property
    def per_second(self) -> float:
        """Environments per second."""
        return len(self.each_seconds) / self.wall_seconds

    @property
    def cpu_seconds_each(self) -> float:
        """CPU seconds per environment."""
        return self.cpu_seconds / len(self.each_seconds)


@dataclass
class RunTimer:
    """Measures a run, which starts when the timer is created."""

    def __post_init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def finish(self, each_seconds: Sequence[float], names: Sequence[str] = ()) -> RunResult:
        """End the run, and return its result."""
        return RunResult(
            wall_seconds=time.perf_counter() - self._wall,
            cpu_seconds=time.process_time() - self._cpu,
            each_seconds=list(each_seconds),
            names=list(names),
        )
