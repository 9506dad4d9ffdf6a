"""Measures the CPU time and memory of this process's descendants through /proc, and ends them by process id."""

import contextlib
import ctypes
import os
import resource
import signal
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PR_SET_CHILD_SUBREAPER: Final = 36


@dataclass(frozen=True)
class Process:
    """A process as described in `/proc/<pid>/stat`.

    Attributes:
        cpu_seconds: CPU time of the process, and of the children that it has waited for.
    """

    pid: int
    parent: int
    zombie: bool
    cpu_seconds: float

    @classmethod
    def parse(cls, stat: str) -> Self:
        """Parse the contents of a `stat` file. The process's name is in parentheses and may contain any character."""
        before, _, after = stat.rpartition(")")
        fields = after.split()
        return cls(
            pid=int(before.split()[0]),
            parent=int(fields[1]),
            zombie=fields[0] == "Z",
            cpu_seconds=sum(map(int, fields[11:15])) / _TICKS,
        )


def adopt_orphans() -> None:
    """Become the parent of orphaned descendants, so that all of a peer's processes can be found."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def list_descendants(top: int, without: Collection[int] = ()) -> list[Process]:
    """Return all descendants of a process, except the processes in `without` and their descendants."""
    children: dict[int, list[Process]] = {}
    for one in _all():
        children.setdefault(one.parent, []).append(one)
    found, ahead = [], [top]
    while ahead:
        for child in children.get(ahead.pop(), ()):
            if child.pid not in without:
                found.append(child)
                ahead.append(child.pid)
    return found


def measure_cpu_seconds(without: Collection[int]) -> float:
    """Return the CPU seconds that all descendants have used so far, including descendants that have exited."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + sum(one.cpu_seconds for one in list_descendants(os.getpid(), without))


def measure_memory_mib(without: Collection[int]) -> float:
    """Return the memory that all descendants use. Memory that several processes share counts only once (PSS)."""
    return sum(_proportional_kib(one.pid) for one in list_descendants(os.getpid(), without)) / 1024


def end_descendants(without: Collection[int], grace_seconds: float = 5) -> None:
    """End all descendants by process id: first with SIGTERM, then, after the grace period, with SIGKILL."""
    for number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 30)):
        deadline = time.monotonic() + patience
        told: set[int] = set()
        while running := [one.pid for one in list_descendants(os.getpid(), without) if not one.zombie]:
            for pid in set(running) - told:
                _signal(pid, number)
            told.update(running)
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
    for one in list_descendants(os.getpid(), without):
        if one.zombie and one.parent == os.getpid():
            os.waitpid(one.pid, os.WNOHANG)


def _all() -> Iterator[Process]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield Process.parse((entry / "stat").read_text(errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue  # the process has ended in the meantime


def _proportional_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0  # the process has ended in the meantime
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
