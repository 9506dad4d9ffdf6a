"""Whatever the order of operations, no resources are lost or duplicated, and byok reports the correct status.

Hypothesis chooses actions on two environments, their keys and their calls, and real processes execute the actions. The
example with a given number has the same steps in every run, but a step's effect depends on how far the environments
have progressed.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from byok.domain.arns import KeyPurpose
from tests.faults.checker import Verdict
from tests.faults.harness import RUN_ALL_CASES, SHORT_READ_TIMEOUT_SECONDS, FaultHarness
from tests.faults.model import CheckedEnvironment, KeyBreakage
from tests.faults.report import list_failures

EXAMPLES, STEPS = (range(25), 15) if RUN_ALL_CASES else (range(2), 8)
"""The numbers of the examples, and the number of steps in each example. `make faults` runs more examples and more
steps."""

STEP_TIMEOUT_SECONDS: Final = 300.0
DATABASE_SECONDS: Final = 0.5
"""How many seconds the local AWS emulator takes to create a database. Each example changes this value and later
restores it.
"""

CASE_NAME: Final = "generated: random operations on two environments, in random order"

LOSABLE_CALLS: Final = (
    *(("rds", "CreateDBCluster"), ("rds", "CreateDBInstance"), ("rds", "DeleteDBInstance"), ("rds", "DeleteDBCluster")),
    *(("s3", "CreateBucket"), ("s3", "PutBucketEncryption"), ("s3", "PutObject"), ("s3", "DeleteBucket")),
)

ON_FAILURE_VALUES: Final = ("keep", "rollback")
"""If the first environment stops, its resources are kept. If the second environment stops, it is rolled back.

Most actions affect the first environment.
"""

ACTIONS: Final = (
    *("create", "replay", "cancel", "delete", "delete_then_cancel", "toggle_worker", "lose_answer"),
    *("break_key", "break_key", "repair_keys", "wait_for_calls", "wait_until_at_rest", "repair_and_finish"),
)
"""Hypothesis chooses one of these actions for each step. All actions share one rule, because hypothesis may disable
individual rules in an example."""


@dataclass(frozen=True)
class ActionChoice:
    """The parameters of a step. Each action uses only some of the parameters.

    Attributes:
        calls: How many calls the platform must make for the environment before the next step.
    """

    environment: int
    calls: int
    final_snapshot: bool
    which: KeyPurpose
    how: KeyBreakage
    loss: tuple[str, str]


choices = st.builds(
    ActionChoice,
    environment=st.sampled_from([0, 0, 0, 1]),
    calls=st.integers(0, 12) | st.integers(0, 60),
    final_snapshot=st.booleans(),
    which=st.sampled_from(KeyPurpose),
    how=st.sampled_from(KeyBreakage),
    loss=st.sampled_from(LOSABLE_CALLS),
)


class Interleaving(RuleBasedStateMachine):
    """All actions on two environments and a worker.

    Each step runs in a thread, but the step's action runs in the harness's event loop. An environment's progress
    differs between runs, so the choice of steps depends only on earlier steps. When a step finds a defect, the example
    ends without an exception, because hypothesis would respond to an exception by repeating the same steps, which could
    have a different effect the second time.
    """

    harness: ClassVar[FaultHarness]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        self._verdict, self._steps, self._lives = Verdict(), list[str](), list[CheckedEnvironment]()
        self._worker = True

    @initialize(anything=st.integers(0, 1000), database_seconds=st.sampled_from([0.3, 2.0]), chosen=choices)
    def create_environments(self, anything: int, database_seconds: float, chosen: ActionChoice) -> None:
        # Hypothesis starts with the simplest example, in which all values are 0. Do nothing in that example.
        if anything == 0:
            return
        machine = self.harness.machine
        machine.aws.call_control("DELETE", "calls")
        machine.aws.call_control("POST", "settings", database_seconds=database_seconds)
        for number, on_failure in enumerate(ON_FAILURE_VALUES):
            self._lives.append(CheckedEnvironment(machine, machine.build_request(on_failure=on_failure), self._verdict))
            self._step(f"create {number}", self._lives[number].request_create)
        self.wait_for_calls(chosen)

    @rule(deed=st.sampled_from(ACTIONS), chosen=choices)
    def run_action(self, deed: str, chosen: ActionChoice) -> None:
        getattr(self, deed)(chosen)

    def create(self, chosen: ActionChoice) -> None:
        self._do(f"create {chosen.environment}", chosen, CheckedEnvironment.request_create)
        self.wait_for_calls(chosen)

    def replay(self, chosen: ActionChoice) -> None:
        self._do(f"replay {chosen.environment}", chosen, CheckedEnvironment.request_replay)
        self.wait_for_calls(chosen)

    def cancel(self, chosen: ActionChoice) -> None:
        self._do(f"cancel {chosen.environment}", chosen, CheckedEnvironment.request_cancel)

    def delete(self, chosen: ActionChoice) -> None:
        what = f"delete {chosen.environment} {'with' if chosen.final_snapshot else 'without'} a snapshot"
        self._do(what, chosen, partial(CheckedEnvironment.request_delete, final_snapshot=chosen.final_snapshot))
        self.wait_for_calls(chosen)

    def delete_then_cancel(self, chosen: ActionChoice) -> None:
        self.delete(chosen)
        self.cancel(chosen)

    def break_key(self, chosen: ActionChoice) -> None:
        what = f"{chosen.which.display_name} of {chosen.environment}: {chosen.how}"
        self._do(what, chosen, partial(CheckedEnvironment.break_key, which=chosen.which, how=chosen.how))

    def repair_keys(self, _: ActionChoice) -> None:
        for number, life in enumerate(self._lives):
            for which in sorted(life.broken):
                self._step(f"{which.display_name} of {number}: repaired", partial(life.repair_key, which))

    def lose_answer(self, chosen: ActionChoice) -> None:
        service, operation = chosen.loss
        what = f"the answer to the next {operation} for {chosen.environment} will be lost"
        self._do(what, chosen, partial(CheckedEnvironment.lose_answer, service=service, operation=operation))

    def wait_for_calls(self, chosen: ActionChoice) -> None:
        if self._worker and chosen.calls:
            what = f"{chosen.environment} continues for {chosen.calls} calls"
            self._do(what, chosen, partial(CheckedEnvironment.wait_for_calls, calls=chosen.calls))

    def toggle_worker(self, _: ActionChoice) -> None:
        self._worker = not self._worker
        if self._worker:
            self._step("worker started", self._worker_runs)
        else:
            self._step("worker killed", self._worker_dies)

    def wait_until_at_rest(self, chosen: ActionChoice) -> None:
        self._worker = True
        self._do(f"{chosen.environment} runs until it is at rest", chosen, CheckedEnvironment.wait_until_at_rest)

    def repair_and_finish(self, chosen: ActionChoice) -> None:
        self._worker = True
        self._do(f"{chosen.environment} is repaired", chosen, CheckedEnvironment.repair_and_finish)

    @invariant()
    def check_environments_now(self) -> None:
        for life in self._lives:
            self._try(life.check_now)

    def teardown(self) -> None:
        """Repair all environments, and record the outcome of the example."""
        self._worker = True
        for number, life in enumerate(self._lives):
            self._step(f"{number} is repaired", life.repair_and_finish)
        self._in_loop(self._worker_runs())
        self.harness.machine.aws.call_control("DELETE", "faults")
        self.harness.machine.aws.call_control("POST", "settings", database_seconds=DATABASE_SECONDS)
        if self._steps:
            where = ", ".join(f"{number} is {life.name}" for number, life in enumerate(self._lives))
            self.harness.results.append((CASE_NAME, f"{'; '.join(self._steps)} ({where})", self._verdict))

    def _do(self, what: str, chosen: ActionChoice, do: Callable[[CheckedEnvironment], Awaitable[object]]) -> None:
        if self._lives:
            self._step(what, partial(do, self._lives[chosen.environment]))

    def _step(self, what: str, do: Callable[[], Awaitable[object]]) -> None:
        """Run a step, unless an earlier step has found a defect."""
        if not self._lives or not self._verdict.survived:
            return
        self._steps.append(what)
        self._try(partial(self._with_the_worker, do))

    def _try(self, do: Callable[[], Coroutine[Any, Any, object]]) -> None:
        """Run an action. If the action raises an error, record the error as a defect."""
        try:
            self._in_loop(do())
        except Exception as error:  # the report lists the steps that led to the error
            self._verdict.lost.append(f"{type(error).__name__}: {error}")

    async def _with_the_worker(self, do: Callable[[], Awaitable[object]]) -> None:
        if self._worker:
            await self._worker_runs()
        await do()

    async def _worker_dies(self) -> None:
        await self.harness.machine.stack.children["worker"].kill()

    async def _worker_runs(self) -> None:
        stack = self.harness.machine.stack
        if not stack.children["worker"].is_running:
            await stack.start_worker()

    def _in_loop(self, work: Coroutine[Any, Any, object]) -> None:
        future: concurrent.futures.Future[object] = asyncio.run_coroutine_threadsafe(work, self.loop)
        future.result(STEP_TIMEOUT_SECONDS)


@pytest.mark.parametrize("action", sorted(set(ACTIONS)))
def test_every_action_is_a_method_of_the_state_machine(action: str) -> None:
    assert callable(getattr(Interleaving, action))


@pytest.mark.parametrize("number", EXAMPLES)
async def test_any_operations_in_any_order_lose_and_duplicate_nothing_and_report_the_truth(
    harness: FaultHarness, number: int
) -> None:
    class Example(Interleaving):
        pass

    Example.harness, Example.loop = harness, asyncio.get_running_loop()
    before = len(harness.results)
    await harness.set_read_timeout(SHORT_READ_TIMEOUT_SECONDS)
    chosen = settings(
        derandomize=True,
        database=None,
        max_examples=2,  # hypothesis first runs the example in which all values are 0
        stateful_step_count=STEPS,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    await asyncio.to_thread(run, seed(number)(Example), settings=chosen)

    assert list_failures(harness.results[before:]) == []
    assert len(harness.results) == before + 1
