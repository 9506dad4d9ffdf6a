"""Run scenarios with real processes, and disrupt the processes."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from byok.service.status import EnvironmentStatus
from tests.e2e.conftest import StackHarness
from tests.faults.checker import Verdict
from tests.faults.cuttable_proxy import CuttableProxy
from tests.faults.scenarios import CallSite, Scenario, ScenarioRun

RUN_ALL_CASES: Final = os.environ.get("BYOK_TEST_FAULTS") == "full"
"""Whether to run all cases instead of a sample."""

MAX_CONCURRENT_CASES: Final = 40
"""The number of scenarios that run concurrently. Each scenario may have a held call, which occupies one of the worker's
fifty threads."""

LONG_READ_TIMEOUT_SECONDS: Final = "110"
"""The worker's read timeout for AWS calls, in seconds, for cases that hold calls. Every held call is released before
this timeout expires."""
SHORT_READ_TIMEOUT_SECONDS: Final = "30" if RUN_ALL_CASES else "4"
"""The worker's read timeout, in seconds, for cases that do not hold calls. This timeout must expire if a call gets no
response, but not if the call is merely slow. Calls are slow when many clients list a Region's resources at the same
time."""


class DisruptionKind(StrEnum):
    """The faults that can affect a call."""

    KILL_BEFORE = "worker killed before the call"
    KILL_UNANSWERED = "worker killed after the call, before the response"
    KILL_UNHEARD = "worker killed after the response, before Temporal gets the result"
    LOSE_ANSWER = "response lost"
    THROTTLE = "throttled"
    ERROR_500 = "error 500"
    TIME_OUT = "no response in time"

    @property
    def kills_worker(self) -> bool:
        """Whether this fault kills the worker."""
        return self in (DisruptionKind.KILL_BEFORE, DisruptionKind.KILL_UNANSWERED, DisruptionKind.KILL_UNHEARD)


_FAULTS: Final[dict[DisruptionKind, dict[str, Any]]] = {
    DisruptionKind.KILL_BEFORE: {"kind": "hold_call"},
    DisruptionKind.KILL_UNANSWERED: {"kind": "hold_answer"},
    DisruptionKind.KILL_UNHEARD: {"kind": "hold_answer"},
    DisruptionKind.LOSE_ANSWER: {"kind": "lose_answer"},
    DisruptionKind.THROTTLE: {"kind": "throttle", "times": 2},
    DisruptionKind.ERROR_500: {"kind": "error500", "times": 2},
    DisruptionKind.TIME_OUT: {"kind": "timeout", "seconds": float(SHORT_READ_TIMEOUT_SECONDS) + 2},
}


_TOGETHER: Final = (
    {DisruptionKind.KILL_BEFORE, DisruptionKind.KILL_UNANSWERED},
    {DisruptionKind.KILL_UNHEARD},
    {kind for kind in DisruptionKind if not kind.kills_worker},
)


@dataclass(frozen=True)
class FaultCase:
    """One fault that affects one call in one scenario."""

    scenario: Scenario
    call_site: CallSite
    kind: DisruptionKind

    def __str__(self) -> str:
        return f"{self.scenario}: {self.kind} at {self.call_site}"


CaseResult = tuple[str, str, Verdict]
"""The kind of a case, a description of the case, and the verdict."""


@dataclass
class FaultHarness:
    """A stack whose worker connects to Temporal through a proxy that can cut connections.

    Attributes:
        results: The results of all cases so far, including the results of other harnesses.
    """

    machine: StackHarness
    line: CuttableProxy
    results: list[CaseResult] = field(default_factory=list)

    async def list_call_sites(self, course: Scenario) -> list[CallSite]:
        """Run a scenario without faults, and list the write calls in this run.

        Raises:
            AssertionError: The scenario fails even without faults.
        """
        run = await ScenarioRun.prepare(self.machine, course)
        await run.start()
        verdict = await run.check_outcome(await run.wait_until_ended())
        assert verdict.survived, verdict
        found = run.list_call_sites()
        if course is Scenario.ROLL_BACK:  # calls before the rollback belong to provisioning
            found = [place for place in found if place.operation.startswith(("Delete", "Modify"))]
        return found

    async def run_cases(self, cases: Sequence[FaultCase]) -> None:
        """Run the cases in batches, one batch after another, and record the outcomes.

        The cases in a batch run concurrently.

        There are three groups of cases: cases that kill the worker before it gets the responses, cases that kill the
        worker after the responses, and cases that do not kill the worker. All cases in a batch belong to the same
        group. A batch kills the worker at most once.
        """
        for kinds in _TOGETHER:
            chosen = [case for case in cases if case.kind in kinds]
            for first in range(0, len(chosen), MAX_CONCURRENT_CASES):
                await self._batch(chosen[first : first + MAX_CONCURRENT_CASES])

    async def _batch(self, cases: Sequence[FaultCase]) -> None:
        kills = cases[0].kind.kills_worker
        await self.set_read_timeout(LONG_READ_TIMEOUT_SECONDS if kills else SHORT_READ_TIMEOUT_SECONDS)
        runs = await asyncio.gather(*(ScenarioRun.prepare(self.machine, case.scenario) for case in cases))
        for case, run in zip(cases, runs, strict=True):
            run.call_control("POST", "faults", **case.call_site.build_fault(run, **_FAULTS[case.kind]))
        await asyncio.gather(*(run.start() for run in runs))
        if kills:
            await self.wait_until(lambda: len(self.list_held_calls()) == len(runs))
            await self.kill_worker(unheard=cases[0].kind is DisruptionKind.KILL_UNHEARD)
        await self.await_and_record_results(
            [(str(case.kind), str(case), run) for case, run in zip(cases, runs, strict=True)]
        )

    async def kill_worker(self, *, unheard: bool = False) -> None:
        """Kill the worker, release all held calls, and start another worker.

        Args:
            unheard: If true, the worker gets the responses to the held calls before it is killed, but cannot report the
                results to Temporal.
        """
        stack, control = self.machine.stack, self.machine.aws.call_control
        if unheard:
            self.line.cut()
            control("DELETE", "held")
            await self.wait_until(lambda: not self.list_held_calls())
        await stack.children["worker"].kill()
        control("DELETE", "held")
        self.line.restore()
        await stack.start_worker()

    async def await_and_record_results(self, runs: Sequence[tuple[str, str, ScenarioRun]]) -> None:
        """Wait until the scenarios have ended, and record the defects found in each."""
        statuses = await asyncio.gather(*(self._end_of(run) for _, _, run in runs))
        for (what, where, run), status in zip(runs, statuses, strict=True):
            if isinstance(status, EnvironmentStatus):
                verdict = await run.check_outcome(status)
            else:
                verdict = Verdict(lost=[f"the scenario did not end: {status}"])
            self.results.append((f"{run.course}: {what}", where, verdict))
        self.machine.aws.call_control("DELETE", "faults")
        self.machine.aws.call_control("DELETE", "calls")

    async def _end_of(self, run: ScenarioRun) -> EnvironmentStatus | str:
        try:
            return await run.wait_until_ended()
        except TimeoutError:
            return str(await run.machine.service.read_status(run.request.environment_id))

    async def set_read_timeout(self, seconds: str) -> None:
        """Make the worker use this read timeout, in seconds, for calls to AWS."""
        settings = self.machine.stack.settings
        if settings["BYOK_AWS_READ_TIMEOUT_SECONDS"] != seconds:
            settings["BYOK_AWS_READ_TIMEOUT_SECONDS"] = seconds
            await self.machine.stack.restart_worker()

    def list_held_calls(self) -> list[dict[str, Any]]:
        """List the calls that the local AWS emulator currently holds."""
        found: list[dict[str, Any]] = self.machine.aws.call_control("GET", "held")["held"]
        return found

    async def wait_until(self, fact: Callable[[], bool], seconds: float = 60) -> None:
        """Wait until a condition is true.

        Raises:
            AssertionError: The condition is still false after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not await asyncio.to_thread(fact):
            waiting = self.machine.aws.call_control("GET", "faults")["faults"] if time.monotonic() > deadline else []
            assert time.monotonic() < deadline, f"timed out; held: {self.list_held_calls()}, pending faults: {waiting}"
            await asyncio.sleep(0.1)

    async def disrupt_all(
        self, what: str, places: Sequence[CallSite], happening: Callable[[], Awaitable[object]]
    ) -> None:
        """Provision an environment for each call site, trigger a disruption, and record the outcomes.

        The disruption is triggered once the responses at all call sites are held.
        """
        await self.set_read_timeout(LONG_READ_TIMEOUT_SECONDS)
        runs = await asyncio.gather(*(ScenarioRun.prepare(self.machine, Scenario.PROVISION) for _ in places))
        for place, run in zip(places, runs, strict=True):
            run.call_control("POST", "faults", **place.build_fault(run, kind="hold_answer"))
        await asyncio.gather(*(run.start() for run in runs))
        await self.wait_until(lambda: len(self.list_held_calls()) == len(runs))
        await happening()
        await self.await_and_record_results(
            [(what, f"{what}, at {place}", run) for place, run in zip(places, runs, strict=True)]
        )
