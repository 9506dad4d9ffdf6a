"""Whatever is done with environments in whatever order, nothing is lost, nothing doubled, and all that is told is true.

hypothesis chooses what happens to two environments, key by key and call by call, on real processes. An example of a
number has the same steps in every run; what they meet depends on how far the environments have come by then.
"""

import asyncio
import concurrent.futures
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from byok.domain.arns import WhichKey
from tests.faults.checker import Verdict
from tests.faults.conftest import FULL
from tests.faults.lives import Breaking, Life
from tests.faults.report import failures
from tests.faults.rig import HASTY, Rig

EXAMPLES, STEPS = (range(25), 15) if FULL else (range(2), 8)
"""The numbers of the examples, and how many steps each has: all of them by `make faults`, else a sample."""

STEP_SECONDS: Final = 300.0

WHAT: Final = "generated: anything done with two environments, in any order"

LOSSES: Final = (
    *(("rds", "CreateDBCluster"), ("rds", "CreateDBInstance"), ("rds", "DeleteDBInstance"), ("rds", "DeleteDBCluster")),
    *(("s3", "CreateBucket"), ("s3", "PutBucketEncryption"), ("s3", "PutObject"), ("s3", "DeleteBucket")),
)

# The first is kept where it stops, and has most of what happens; the second is rolled back.
ON_FAILURE: Final = ("keep", "rollback")
environments = st.sampled_from([0, 0, 0, 1])
keys = st.sampled_from(WhichKey)
some_calls = st.integers(0, 12) | st.integers(0, 60)


class Interleaving(RuleBasedStateMachine):
    """Two environments, a worker, and anything that may be done with them.

    The steps run in a thread, what they do in the event loop of the rig. Which steps may come depends on those before
    and never on how far an environment is, which is not the same in every run. What is found wrong ends an example
    without an exception: hypothesis would try the same steps again, and they would meet something else.
    """

    rig: ClassVar[Rig]
    loop: ClassVar[asyncio.AbstractEventLoop]

    def __init__(self) -> None:
        super().__init__()
        self._verdict, self._steps, self._lives = Verdict(), list[str](), list[Life]()
        self._worker = True

    @initialize(anything=st.integers(0, 1000), calls=some_calls)
    def begins(self, anything: int, calls: int) -> None:
        # hypothesis tries the simplest of all examples first: in that one nothing happens at all.
        if anything == 0:
            return
        machine = self.rig.machine
        machine.aws.control("DELETE", "calls")
        for on_failure in ON_FAILURE:
            self._lives.append(Life(machine, machine.request(on_failure=on_failure), self._verdict))
        self.create(1, 0)
        self.create(0, calls)

    @rule(environment=environments, calls=some_calls)
    def create(self, environment: int, calls: int) -> None:
        self._do(f"create {environment}", environment, Life.create)
        self.go_on(environment, calls)

    @rule(environment=environments, calls=some_calls)
    def replay(self, environment: int, calls: int) -> None:
        self._do(f"replay {environment}", environment, Life.replay)
        self.go_on(environment, calls)

    @rule(environment=environments)
    def cancel(self, environment: int) -> None:
        self._do(f"cancel {environment}", environment, Life.cancel)

    @rule(environment=environments, final_snapshot=st.booleans(), calls=some_calls)
    def delete(self, environment: int, final_snapshot: bool, calls: int) -> None:
        what = f"delete {environment} {'with' if final_snapshot else 'without'} a snapshot"
        self._do(what, environment, partial(Life.delete, final_snapshot=final_snapshot))
        self.go_on(environment, calls)

    @rule(environment=environments, which=keys, how=st.sampled_from(Breaking))
    def break_key(self, environment: int, which: WhichKey, how: Breaking) -> None:
        what = f"{which.key_name} of {environment}: {how}"
        self._do(what, environment, partial(Life.break_key, which=which, how=how))

    @precondition(lambda self: any(life.broken for life in self._lives))
    @rule()
    def repair_keys(self) -> None:
        for environment, life in enumerate(self._lives):
            for which in sorted(life.broken):
                what = f"{which.key_name} of {environment}: repaired"
                self._do(what, environment, partial(Life.repair_key, which=which))

    @rule(environment=environments, call=st.sampled_from(LOSSES))
    def lose_answer(self, environment: int, call: tuple[str, str]) -> None:
        what = f"the answer to the next {call[1]} for {environment} will be lost"
        self._do(what, environment, partial(Life.lose_answer, service=call[0], operation=call[1]))

    @rule(environment=environments, calls=some_calls)
    def go_on(self, environment: int, calls: int) -> None:
        if self._worker and calls:
            self._do(f"{environment} goes on for {calls} calls", environment, partial(Life.go_on, calls=calls))

    @precondition(lambda self: self._worker)
    @rule()
    def kill_worker(self) -> None:
        self._worker = False
        self._step("worker killed", self._worker_dies)

    @precondition(lambda self: not self._worker)
    @rule()
    def start_worker(self) -> None:
        self._worker = True
        self._step("worker started", self._worker_runs)

    @rule(environment=environments)
    def rest(self, environment: int) -> None:
        self._worker = True
        self._do(f"{environment} comes to rest", environment, Life.rest)

    @rule(environment=environments)
    def put_right(self, environment: int) -> None:
        self._worker = True
        self._do(f"{environment} is put right", environment, Life.put_right)

    @invariant()
    def nothing_is_wrong(self) -> None:
        for life in self._lives:
            self._in_loop(life.look())

    def teardown(self) -> None:
        """Put everything right, and note what became of it."""
        for environment in range(len(self._lives)):
            self.put_right(environment)
        self._in_loop(self._worker_runs())
        self.rig.machine.aws.control("DELETE", "faults")
        if self._steps:
            where = ", ".join(f"{number} is {life.name}" for number, life in enumerate(self._lives))
            self.rig.results.append((WHAT, f"{'; '.join(self._steps)} ({where})", self._verdict))

    def _do(self, what: str, environment: int, do: Callable[[Life], Awaitable[object]]) -> None:
        if self._lives:
            self._step(what, partial(do, self._lives[environment]))

    def _step(self, what: str, do: Callable[[], Awaitable[object]]) -> None:
        """Do something, unless something was wrong before."""
        if not self._lives or not self._verdict.survived:
            return
        self._steps.append(what)
        try:
            self._in_loop(self._with_the_worker(do))
        except Exception as error:  # it is told with the steps that led to it
            self._verdict.lost.append(f"{type(error).__name__}: {error}")

    async def _with_the_worker(self, do: Callable[[], Awaitable[object]]) -> None:
        if self._worker:
            await self._worker_runs()
        await do()

    async def _worker_dies(self) -> None:
        await self.rig.machine.stack.children["worker"].kill()

    async def _worker_runs(self) -> None:
        stack = self.rig.machine.stack
        if not stack.children["worker"].running:
            await stack.start_worker()

    def _in_loop(self, work: Coroutine[Any, Any, object]) -> None:
        future: concurrent.futures.Future[object] = asyncio.run_coroutine_threadsafe(work, self.loop)
        future.result(STEP_SECONDS)


@pytest.mark.parametrize("number", EXAMPLES)
async def test_whatever_is_done_in_whatever_order_nothing_is_lost_doubled_or_told_wrongly(
    rig: Rig, number: int
) -> None:
    class Example(Interleaving):
        pass

    Example.rig, Example.loop = rig, asyncio.get_running_loop()
    before = len(rig.results)
    await rig.with_patience(HASTY)
    chosen = settings(
        derandomize=True,
        database=None,
        deadline=None,
        max_examples=2,  # the one in which nothing happens, and the one of this number
        stateful_step_count=STEPS,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )

    await asyncio.to_thread(run, seed(number)(Example), settings=chosen)

    assert failures(rig.results[before:]) == []
    assert len(rig.results) > before
