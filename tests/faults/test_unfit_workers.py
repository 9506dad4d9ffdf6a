"""No environment stops because of unfit workers or long throttling (contract 151)."""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from byok.domain.phases import Phase
from byok.local.env_vars import children_env_vars
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess
from byok.local.programs import PROGRAMS_ROOT
from byok.local.stack import DevStack
from byok.service.pollers import UnfitWorker, Workers
from byok.service.status import EnvironmentStatus
from localaws.accounts import PLATFORM_ROLE_ARN
from tests.e2e.conftest import StackHarness
from tests.faults.conftest import assert_survived
from tests.faults.harness import RUN_ALL_CASES, SHORT_READ_TIMEOUT_SECONDS, FaultHarness
from tests.faults.scenarios import Scenario, ScenarioRun
from tests.faults.skewed_clock_proxy import SkewedClockProxy
from tests.localaws.server import REGION, AwsHarness

ENVIRONMENTS = 50 if RUN_ALL_CASES else 4
SICK = "sick"
"""The role session name of the worker whose calls AWS rejects."""


@asynccontextmanager
async def running_worker(machine: StackHarness, name: str, **settings: str) -> AsyncIterator[ChildProcess]:
    """Run a second worker, with different environment variables, alongside the stack's healthy worker."""
    stack = machine.stack
    variables = children_env_vars({**stack.environment, **stack.settings}, settings)
    command = (sys.executable, str(PROGRAMS_ROOT / "worker.py"))
    worker = await ChildProcess.start(name, command, stack.data / "logs" / f"{name}.log", variables)
    try:
        yield worker
    finally:
        await worker.kill()


def no_credentials(machine: StackHarness, folder: Path) -> dict[str, str]:
    """Return the environment variables for a worker that finds no credentials."""
    config = folder / "config"
    config.write_text(f"[profile bare]\nendpoint_url = {machine.stack.aws_url}\n")
    return {
        "AWS_PROFILE": "bare",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "none"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


async def wait_for_workers(machine: StackHarness, fact: Callable[[Workers], bool]) -> Workers:
    """Wait until the workers that Temporal lists satisfy a condition, and return them."""
    async with asyncio.timeout(90):
        while not fact(found := await machine.service.list_all_workers()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    return found


async def wait_until_unfit(machine: StackHarness, worker: ChildProcess) -> UnfitWorker:
    """Wait until Temporal lists a worker as unfit."""

    def matching(found: Workers) -> list[UnfitWorker]:
        return [one for one in found.unfit if one.identity.startswith(f"{worker.pid}@")]

    return matching(await wait_for_workers(machine, lambda found: bool(matching(found))))[0]


async def prepare_runs(harness: FaultHarness) -> list[ScenarioRun]:
    """Prepare the environments of a test."""
    prepared = (ScenarioRun.prepare(harness.machine, Scenario.PROVISION) for _ in range(ENVIRONMENTS))
    return await asyncio.gather(*prepared)


async def provision(harness: FaultHarness, what: str) -> list[ScenarioRun]:
    """Provision environments, and record the outcomes."""
    runs = await asyncio.gather(
        *(ScenarioRun.prepare(harness.machine, Scenario.PROVISION) for _ in range(ENVIRONMENTS))
    )
    await asyncio.gather(*(run.start() for run in runs))
    await harness.await_and_record_results([(what, what, run) for run in runs])
    return runs


@pytest_asyncio.fixture
async def steady(harness: FaultHarness) -> FaultHarness:
    """The stack with its usual healthy worker."""
    await harness.set_read_timeout(SHORT_READ_TIMEOUT_SECONDS)
    return harness


async def test_worker_without_credentials_takes_no_work(steady: FaultHarness, tmp_path: Path) -> None:
    before = len(steady.results)
    async with running_worker(steady.machine, "no-credentials", **no_credentials(steady.machine, tmp_path)) as worker:
        unfit = await wait_until_unfit(steady.machine, worker)
        await provision(steady, "a worker without credentials beside a healthy one")
        told = await steady.machine.run_program("byok", "doctor")

    assert unfit.reason == "The worker has no usable AWS credentials: Unable to locate credentials"
    assert told.code == 1
    assert unfit.reason in told.out
    assert_survived(steady, before)


async def test_worker_with_another_principal_takes_no_work(steady: FaultHarness) -> None:
    before = len(steady.results)
    other = {"AWS_PROFILE": "operator", "BYOK_PLATFORM_ROLE_ARN": PLATFORM_ROLE_ARN}
    async with running_worker(steady.machine, "other-principal", **other) as worker:
        unfit = await wait_until_unfit(steady.machine, worker)
        await provision(steady, "a worker with another principal beside a healthy one")

    assert unfit.reason == (f"The worker runs as arn:aws:iam::111122223333:user/Operator, not as {PLATFORM_ROLE_ARN}.")
    assert_survived(steady, before)


async def test_worker_with_a_skewed_clock_takes_no_work(steady: FaultHarness) -> None:
    before = len(steady.results)
    async with SkewedClockProxy(steady.machine.stack.ports.aws, timedelta(minutes=20)) as proxy:
        endpoint = f"http://{HOST}:{proxy.port}"
        # The profile's endpoint would take precedence over AWS_ENDPOINT_URL, but not over AWS_ENDPOINT_URL_STS.
        skewed = {"AWS_ENDPOINT_URL": endpoint, "AWS_ENDPOINT_URL_STS": endpoint}
        async with running_worker(steady.machine, "skewed-clock", **skewed) as worker:
            unfit = await wait_until_unfit(steady.machine, worker)
            await provision(steady, "a worker with a skewed clock beside a healthy one")

    assert unfit.reason.endswith("s ahead of AWS's clock.")
    assert_survived(steady, before)


def write_sick_profile(harness: FaultHarness, folder: Path) -> dict[str, str]:
    """Write an AWS profile with a session that faults can target, and return the profile's environment variables."""
    config = folder / "config"
    config.write_text(
        f"[profile {SICK}]\nrole_arn = {PLATFORM_ROLE_ARN}\nrole_session_name = {SICK}\nsource_profile = operator\n"
        f"region = {REGION}\nendpoint_url = {harness.machine.stack.aws_url}\n"
    )
    return {"AWS_PROFILE": SICK, "AWS_CONFIG_FILE": str(config)}


def reject_calls(harness: FaultHarness, *services: str) -> None:
    """Make AWS reject every call to the given services from the worker with this session name."""
    for service in services:
        harness.machine.aws.call_control(
            "POST",
            "faults",
            service=service,
            operation="*",
            kind="refuse",
            times=1_000_000,
            session=SICK,
            code="ExpiredToken",
            message="The provided token has expired.",
        )


async def test_credentials_that_expire_while_a_worker_polls_stop_nothing(steady: FaultHarness, tmp_path: Path) -> None:
    """The worker whose calls AWS rejects continues to poll, because its next check is minutes away."""
    before = len(steady.results)
    profile = write_sick_profile(steady, tmp_path)
    async with running_worker(steady.machine, "expiring", **profile) as worker:
        await steady.wait_until(lambda: worker.has_printed("worker_started"))
        reject_calls(steady, "s3", "rds", "sts")
        held: set[str] = set()
        runs = await prepare_runs(steady)
        await asyncio.gather(*(run.start() for run in runs))
        calls = await asyncio.gather(*(watch(run, held) for run in runs))
        rejected = [
            call
            for call in steady.machine.aws.call_control("GET", "calls")["calls"]
            if call["caller"].endswith(f"/{SICK}") and call["outcome"] == "ExpiredToken"
        ]
        what = "credentials of one of two workers expire"
        await steady.await_and_record_results([(what, what, run) for run in runs])

    assert {status.phase for status in calls} == {Phase.READY}
    assert rejected  # the worker with rejected calls has executed activities
    assert_survived(steady, before)


async def watch(run: ScenarioRun, held: set[str]) -> EnvironmentStatus:
    """Watch an environment until its workflow ends, and return its last status.

    If the environment is on hold at any time, add its id to `held`.
    """
    async with asyncio.timeout(300):
        async for status in run.machine.service.watch_status(run.request.environment_id):
            if status.holding is not None:
                held.add(status.environment_id)
    return status


async def test_worker_stops_polling_when_its_credentials_expire_and_polls_again_later(
    steady: FaultHarness, tmp_path: Path
) -> None:
    settings = {**write_sick_profile(steady, tmp_path), "BYOK_WORKER_CHECK_SECONDS": "0.5"}
    async with running_worker(steady.machine, "recovering", **settings) as worker:
        await steady.wait_until(lambda: worker.has_printed("worker_started"))
        reject_calls(steady, "sts")
        unfit = await wait_until_unfit(steady.machine, worker)
        steady.machine.aws.call_control("DELETE", "faults")
        identity = unfit.identity
        await wait_for_workers(steady.machine, lambda found: identity in {one.identity for one in found.fit})

    assert unfit.reason == ("AWS rejects the worker's credentials: ExpiredToken: The provided token has expired.")


@pytest.mark.skipif(not RUN_ALL_CASES, reason="takes more than a minute: run make faults")
async def test_environments_survive_long_throttling_with_few_calls(steady: FaultHarness) -> None:
    before, machine = len(steady.results), steady.machine
    runs = await prepare_runs(steady)
    machine.aws.call_control("DELETE", "calls")
    for service in ("s3", "rds"):
        machine.aws.call_control("POST", "faults", service=service, operation="*", kind="throttle", times=1_000_000)
    await asyncio.gather(*(run.start() for run in runs))
    held: set[str] = set()
    watched = [asyncio.create_task(watch(run, held)) for run in runs]
    await steady.wait_until(lambda: len(held) == len(runs))
    # In this stack, the longest pause is 5 s instead of 10 minutes, so 30 s here corresponds to an hour.
    seconds = 60
    await asyncio.sleep(10)  # wait until the pauses reach their maximum
    machine.aws.call_control("DELETE", "calls")
    await asyncio.sleep(seconds)
    calls = Counter(find_environment(runs, call) for call in machine.aws.call_control("GET", "calls")["calls"])
    machine.aws.call_control("DELETE", "faults")
    ended = await asyncio.gather(*watched)

    assert {status.phase for status in ended} == {Phase.READY}  # no user had to run a command
    assert calls.keys() <= {run.request.environment_id for run in runs} | {None}
    assert max(calls.values()) <= 2 * (seconds / 5 + 1)  # at most two activities of an environment at a time
    what = "AWS throttles all calls for a long time"
    await steady.await_and_record_results([(what, what, run) for run in runs])
    assert_survived(steady, before)


def find_environment(runs: list[ScenarioRun], call: dict[str, dict[str, str]]) -> str | None:
    """Return the id of the environment whose resource a call uses, or None."""
    values = " ".join(call["params"].values())
    return next((run.request.environment_id for run in runs if run.find_placeholder(values)), None)


async def test_status_and_doctor_say_at_once_that_all_workers_are_unfit(tmp_path: Path) -> None:
    """Start a separate stack, because all workers that Temporal lists must be unfit.

    In the shared stack, Temporal would list a healthy worker for another minute after the worker was killed.
    """
    async with DevStack(tmp_path / "stack", Ports.pick_free(), worker=False, database_seconds=0.3) as stack:
        machine = StackHarness(stack, await stack.connect_service(), AwsHarness(stack.aws_url))
        run = await ScenarioRun.prepare(machine, Scenario.PROVISION, names_keys=False)
        async with running_worker(machine, "unfit", **no_credentials(machine, tmp_path)) as worker:
            unfit = await wait_until_unfit(machine, worker)
            await run.start()
            found = await wait_for_holding(run)
            shown = await machine.run_program("byok", "status", run.request.environment_id)
            doctor = await machine.run_program("byok", "doctor")
        await machine.stack.start_worker()
        ended = await run.wait_until_ended()

    assert found.holding is not None
    assert (found.holding.problem.code, found.holding.problem.message) == ("worker.Unfit", unfit.reason)
    assert "holding since" in shown.out
    assert unfit.reason in " ".join(shown.out.split())
    assert doctor.code == 1
    assert f"no worker can take new work, so new work waits: {unfit.identity}: {unfit.reason}" in doctor.out
    assert ended.phase is Phase.READY


async def wait_for_holding(run: ScenarioRun) -> EnvironmentStatus:
    """Wait until an environment is on hold, and return its status."""
    name = run.request.environment_id
    async with asyncio.timeout(30):
        while (found := await run.machine.service.read_status(name)).holding is None:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    return found
