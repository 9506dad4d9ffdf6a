"""No fault makes byok show a wrong health state, lose or repeat a notification, or start a cluster with a lost key."""

import asyncio
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import pytest
import pytest_asyncio

import byok.domain.models.health
import byok.service.health
from byok.contracts import DELIVER_NOTIFICATION_WORKFLOW, ENVIRONMENT_ID_ATTRIBUTE, health_schedule_id
from byok.domain.models import EnvironmentHealth, HealthState, NotificationType, ProvisionRequest
from byok.domain.phases import Phase
from byok.service.errors import TemporalUnreachableError
from tests.e2e.conftest import StackHarness
from tests.faults import checker
from tests.faults.checker import CARRIED_OUT_OUTCOMES, Verdict
from tests.faults.conftest import assert_survived, run_fault_stack
from tests.faults.harness import MAX_CONCURRENT_CASES, RUN_ALL_CASES, CaseResult, DisruptionKind, FaultHarness
from tests.localaws.server import REGION
from tests.webhook_receiver import SECRET, SILENCE, ReceivedRequest, WebhookReceiver, run_receiver

SWEEP_SECONDS: Final = "1"
"""The interval between two sweeps of this stack."""

MAX_PROOF_AGE: Final = timedelta(seconds=5)
"""The maximum age of a proof in these tests. byok's own maximum is ten minutes."""

CLUSTERS, LOSS_KILLS, RECOVERY_KILLS = (100, 2, 8) if RUN_ALL_CASES else (2, 1, 1)
"""The sizes of the test with Aurora keys.

The first number is the number of environments whose keys are disabled and then enabled again. The second number is how
often the worker is killed after the keys are disabled, and the third is how often it is killed after they are enabled.
"""

WATCHED, ROUNDS, SWEEP_KILLS = (20, 3, 2) if RUN_ALL_CASES else (2, 1, 1)
"""The sizes of the test with S3 keys.

The first number is the number of environments, and the second is the number of rounds. In each round, the environments'
keys are disabled and then enabled again. The third number is how often the worker is killed after each change.
"""

TIMEOUT_SECONDS: Final = 900 if RUN_ALL_CASES else 120

RECOVERY: Final = "recovery: Aurora keys disabled and enabled, workers killed at random calls"
SWEEP: Final = "sweep and record: S3 keys disabled and enabled, workers killed at random calls"
DELIVERY: Final = "delivery: worker killed, endpoint silent or failing"
OLD_PROOF: Final = "health with an old proof: "

_SOON_AFTER: Final = "worker killed soon after the response"
_KILL_MOMENTS: Final = (
    *(DisruptionKind.KILL_BEFORE, DisruptionKind.KILL_UNANSWERED, DisruptionKind.KILL_UNHEARD),
    _SOON_AFTER,
)


@dataclass(frozen=True)
class SweptStack:
    """A stack that checks its environments every second, and delivers its notifications to a receiver."""

    harness: FaultHarness
    receiver: WebhookReceiver

    @property
    def machine(self) -> StackHarness:
        return self.harness.machine

    async def provision(self, count: int) -> list[ProvisionRequest]:
        """Provision environments."""
        requests = [self.machine.build_request() for _ in range(count)]
        for first in range(0, count, MAX_CONCURRENT_CASES):
            some = requests[first : first + MAX_CONCURRENT_CASES]
            ended = await asyncio.gather(*map(self.machine.provision, some))
            assert {status.phase for status in ended} == {Phase.READY}
        return requests

    async def read_states(self, requests: Sequence[ProvisionRequest]) -> set[HealthState | None]:
        """Return the current health states of these environments."""
        read = await asyncio.gather(*(self.machine.service.read_status(one.environment_id) for one in requests))
        return {status.health.state if status.health else None for status in read}

    async def wait_for_state(self, requests: Sequence[ProvisionRequest], state: HealthState) -> None:
        """Wait until all environments have this health state."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while await self.read_states(requests) != {state}:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def change_keys(self, operation: str, arns: Sequence[str | None]) -> None:
        """Call a KMS operation for each of the customer's keys."""
        call = getattr(self.machine.aws.customer_client("kms"), operation)
        await asyncio.gather(*(asyncio.to_thread(call, KeyId=arn) for arn in arns))

    async def kill_worker_at_random_call(
        self,
        chance: Random,
        calls: tuple[str, str],
        among: int,
        is_over: Callable[[], Awaitable[bool]] | None = None,
    ) -> bool:
        """Kill the worker during one of the next AWS calls that its sweeps make, and start another worker.

        Args:
            chance: The random generator that chooses the call, and when to kill the worker.
            calls: The service and the operation, or `*` for all operations.
            among: The number of calls to choose from.
            is_over: Returns true once no more matching calls are expected.

        Returns:
            Whether a matching call was made, and the worker was killed.
        """
        control, moment = self.machine.aws.call_control, chance.choice(_KILL_MOMENTS)
        kind = "hold_call" if moment is DisruptionKind.KILL_BEFORE else "hold_answer"
        service, operation = calls
        where = {"service": service, "operation": operation, "after_calls": chance.randrange(among)}
        await asyncio.to_thread(control, "POST", "faults", kind=kind, **where)
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not await asyncio.to_thread(self.harness.list_held_calls):
                if is_over is not None and await is_over():
                    await asyncio.to_thread(control, "DELETE", "faults")
                    return False
                await asyncio.sleep(0.05)
        if moment is _SOON_AFTER:
            await asyncio.to_thread(control, "DELETE", "held")
        await self.harness.kill_worker(unheard=moment is DisruptionKind.KILL_UNHEARD)
        return True


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def swept(tmp_path_factory: pytest.TempPathFactory, results: list[CaseResult]) -> AsyncIterator[SweptStack]:
    """This stack is separate, because the AWS calls of its sweeps would disturb other tests."""
    async with run_receiver(tmp_path_factory.mktemp("receiver") / "receiver.pem") as receiver:
        endpoint = {"name": "portal", "url": f"https://127.0.0.1:{receiver.port}/hooks", "secrets": [SECRET]}
        settings = {
            "BYOK_HEALTH_CHECK_SECONDS": SWEEP_SECONDS,
            "BYOK_REGIONS": REGION,
            "BYOK_NOTIFICATIONS__ENDPOINTS": json.dumps([endpoint]),
            "BYOK_NOTIFICATIONS__ALLOW_PRIVATE_ADDRESSES": "true",
            "SSL_CERT_FILE": str(receiver.certificate),
        }
        async with run_fault_stack(tmp_path_factory.mktemp("swept"), results, settings) as harness:
            yield SweptStack(harness, receiver)


@dataclass
class ProofWatcher:
    """Reads an environment's health, and checks in the log of AWS calls that the proof is not too old.

    Attributes:
        verdict: Has a defect for each time that byok showed HEALTHY although the last successful check was too old.
    """

    machine: StackHarness
    environment_id: str
    verdict: Verdict = field(default_factory=Verdict)

    async def read(self) -> EnvironmentHealth | None:
        """Return the health, or None if Temporal does not respond."""
        began = time.time()
        try:
            health = (await self.machine.service.read_status(self.environment_id)).health
        except TemporalUnreachableError:
            return None
        ended = time.time()
        assert health is not None
        if health.state is HealthState.HEALTHY:
            age = began - await asyncio.to_thread(self._find_last_proof, ended)
            if age > MAX_PROOF_AGE.total_seconds():
                self.verdict.lost.append(f"it was HEALTHY although the last proof was {age:.1f} s old: {health}")
        return health

    def _find_last_proof(self, until: float) -> float:
        """Return the time of the last proof.

        A proof needs a successful read with the S3 key and a successful DescribeDBClusters call.
        """
        last: dict[str, float] = {}
        for call in self.machine.aws.call_control("GET", "calls")["calls"]:
            about = call["operation"] == "DescribeDBClusters" or (
                call["operation"] == "GetObject" and call["params"]["Key"].endswith(f"/{self.environment_id}/health")
            )
            if about and call["outcome"] == "ok" and call["at"] <= until:
                last[call["operation"]] = call["at"]
        return min(last.get("DescribeDBClusters", 0), last.get("GetObject", 0))

    async def wait_until(self, fact: Callable[[EnvironmentHealth], bool]) -> EnvironmentHealth:
        """Read the health repeatedly until a condition is true."""
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while (health := await self.read()) is None or not fact(health):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return health


@asynccontextmanager
async def stop_worker(swept: SweptStack) -> AsyncIterator[None]:
    stack = swept.machine.stack
    await stack.children["worker"].stop(30, stack.hurry)
    yield
    await stack.start_worker()


@asynccontextmanager
async def pause_sweeps(swept: SweptStack) -> AsyncIterator[None]:
    schedule = swept.machine.service.client.get_schedule_handle(health_schedule_id(REGION))
    await schedule.pause()
    yield
    await schedule.unpause()


@asynccontextmanager
async def break_aws(swept: SweptStack) -> AsyncIterator[None]:
    for service in ("s3", "rds"):
        swept.machine.aws.call_control(
            "POST", "faults", service=service, operation="*", kind="error500", times=1_000_000
        )
    yield
    swept.machine.aws.call_control("DELETE", "faults")


AWS_OUT_OF_REACH: Final = "AWS unreachable"

OUTAGES: Final[dict[str, Callable[[SweptStack], AbstractAsyncContextManager[None]]]] = {
    "worker stopped": stop_worker,
    "sweeps paused": pause_sweeps,
    AWS_OUT_OF_REACH: break_aws,
}


@pytest_asyncio.fixture
async def watcher(swept: SweptStack, monkeypatch: pytest.MonkeyPatch) -> ProofWatcher:
    """Watches an environment that a sweep has found to be HEALTHY."""
    for module in (byok.domain.models.health, byok.service.health):
        monkeypatch.setattr(module, "MAX_PROOF_AGE", MAX_PROOF_AGE)
    (request,) = await swept.provision(1)
    began = datetime.now(UTC)
    watcher = ProofWatcher(swept.machine, request.environment_id)
    # The first proof comes from provisioning. Wait until a sweep has proved the keys.
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while True:
            health = (await swept.machine.service.read_status(request.environment_id)).health
            if health is not None and health.state is HealthState.HEALTHY and health.proved_at > began:
                return watcher


# contract 139
@pytest.mark.parametrize("outage", OUTAGES if RUN_ALL_CASES else [AWS_OUT_OF_REACH])
async def test_health_becomes_unknown_when_its_proof_is_too_old(
    swept: SweptStack, watcher: ProofWatcher, outage: str
) -> None:
    before = len(swept.harness.results)
    async with OUTAGES[outage](swept):
        unknown = await watcher.wait_until(lambda health: health.state is not HealthState.HEALTHY)
        if outage == AWS_OUT_OF_REACH:
            unknown = await watcher.wait_until(lambda health: health.unreachable is not None)
        listed = {one.environment_id: one.health for one in await swept.machine.service.list_environments(10_000)}
    healthy = await watcher.wait_until(lambda health: health.state is HealthState.HEALTHY)

    verdict = watcher.verdict
    verdict.expect("the health", (unknown.state, unknown.last_state), (HealthState.UNKNOWN, HealthState.HEALTHY))
    verdict.expect("the listed health", listed[watcher.environment_id], HealthState.UNKNOWN)
    verdict.expect("the problems", unknown.problems, ())
    verdict.expect("whether AWS is to blame", unknown.unreachable is not None, outage == AWS_OUT_OF_REACH)
    verdict.expect("whether the proof is newer", healthy.proved_at > unknown.proved_at, True)
    swept.harness.results.append((f"{OLD_PROOF}{outage}", f"{outage}: {watcher.environment_id}", verdict))
    assert_survived(swept.harness, before)


# contract 139
@pytest.mark.skipif(not RUN_ALL_CASES, reason="takes a while: run make faults")
async def test_restarted_temporal_shows_no_old_proof(swept: SweptStack, watcher: ProofWatcher) -> None:
    before, stack = len(swept.harness.results), swept.machine.stack
    health = await watcher.read()
    assert health is not None
    await stack.children["temporal"].kill()
    too_old = health.proved_at + MAX_PROOF_AGE + timedelta(seconds=float(SWEEP_SECONDS))
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while datetime.now(UTC) < too_old:
            assert await watcher.read() is None
    await stack.restart_temporal(kill=True)
    first = await watcher.wait_until(lambda _: True)
    healthy = await watcher.wait_until(lambda health: health.state is HealthState.HEALTHY)

    verdict = watcher.verdict
    if first.proved_at < too_old:
        verdict.expect("the health after the start", first.state, HealthState.UNKNOWN)
    verdict.expect("whether the proof is newer", healthy.proved_at > health.proved_at, True)
    what = "Temporal killed and started again"
    swept.harness.results.append((f"{OLD_PROOF}{what}", f"{what}: {watcher.environment_id}", verdict))
    assert_survived(swept.harness, before)


# contract 142, 143
async def test_returned_keys_heal_all_clusters_although_workers_are_killed(swept: SweptStack) -> None:
    before, machine = len(swept.harness.results), swept.machine
    requests, seed = await swept.provision(CLUSTERS), "recovery"
    chance, keys = Random(seed), [one.rds_key_arn for one in requests]
    kinds = ("PROVISIONED", "KEY_LOST", "CLOCK_RUNNING", "RECOVERED")
    wanted = {NotificationType[kind]: 1 for kind in kinds}
    machine.aws.call_control("DELETE", "calls")

    await swept.change_keys("disable_key", keys)
    for _ in range(LOSS_KILLS):
        await swept.kill_worker_at_random_call(chance, ("s3", "*"), 2 * CLUSTERS)
    await swept.wait_for_state(requests, HealthState.KEY_LOST)
    refused = machine.aws.call_control("GET", "calls")
    machine.aws.call_control("DELETE", "calls")

    async def is_over() -> bool:
        return await swept.read_states(requests) == {HealthState.HEALTHY}

    await swept.change_keys("enable_key", keys)
    for number in range(RECOVERY_KILLS):
        calls = ("s3", "*") if number % 2 else ("rds", "StartDBCluster")
        if not await swept.kill_worker_at_random_call(chance, calls, CLUSTERS // 2, is_over):
            break
    await swept.wait_for_state(requests, HealthState.HEALTHY)
    accepted = machine.aws.call_control("GET", "calls")
    await wait_until_delivered(machine, requests)
    assert (refused["dropped"], accepted["dropped"]) == (0, 0)

    for request in requests:
        status = await machine.service.read_status(request.environment_id)
        verdict = await checker.check_ready(machine, request, status)
        check_starts(refused["calls"], accepted["calls"], request, verdict)
        verdict.add(check_deliveries(list_requests(swept.receiver, request.environment_id), wanted))
        swept.harness.results.append((RECOVERY, f"{RECOVERY}: {request.environment_id}, seed {seed}", verdict))
    assert_survived(swept.harness, before)


def check_starts(
    lost: Sequence[dict[str, Any]], returned: Sequence[dict[str, Any]], request: ProvisionRequest, verdict: Verdict
) -> None:
    """Check that RDS did not start a cluster while its key was disabled, and then started the cluster exactly once.

    Args:
        lost: The calls that were made while the key was disabled.
        returned: The calls that were made after that, which include the call that enables the key.
        request: The request for the environment.
        verdict: Where to record defects.
    """
    name = f"byok-{request.environment_id}"

    def list_starts(calls: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        starts = [one for one in calls if one["operation"] == "StartDBCluster"]
        return [one for one in starts if one["params"]["DBClusterIdentifier"] == name]

    enabled_at = next(
        one["number"]
        for one in returned
        if one["operation"] == "EnableKey" and one["params"]["KeyId"] == request.rds_key_arn
    )
    later = list_starts(returned)
    early = [*list_starts(lost), *(one for one in later if one["number"] < enabled_at)]
    wrong = {one["outcome"] for one in early} & CARRIED_OUT_OUTCOMES
    if wrong or not early:
        verdict.lost.append(f"before its key was back, the starts of {name} were {early}")
    carried_out = [one["outcome"] for one in later if one["outcome"] in CARRIED_OUT_OUTCOMES]
    verdict.expect_each_once("start of", Counter({name: len(carried_out)} if carried_out else {}), {name})
    # If a sweep tries to start a cluster that is already starting, RDS rejects the call and changes nothing.
    harmless = {"KMSKeyNotAccessibleFault", "InvalidDBClusterStateFault", "timeout"}
    unexpected = {one["outcome"] for one in later} - CARRIED_OUT_OUTCOMES - harmless
    verdict.expect("the unexpected outcomes of a start", unexpected, set())


# contract 140, 141, 144
@pytest.mark.skipif(not RUN_ALL_CASES, reason="takes more than a minute: run make faults")
async def test_each_loss_and_return_is_recorded_and_delivered_although_workers_are_killed(swept: SweptStack) -> None:
    before, receiver = len(swept.harness.results), swept.receiver
    requests, seed = await swept.provision(WATCHED), "sweep"
    chance, keys = Random(seed), [one.s3_key_arn for one in requests]
    names = {one.environment_id for one in requests}
    wanted = {NotificationType.PROVISIONED: 1, NotificationType.KEY_LOST: ROUNDS, NotificationType.RECOVERED: ROUNDS}

    for number in range(ROUNDS):
        await swept.change_keys("disable_key", keys)
        if number == 0:
            await kill_worker_during_delivery(swept, names)
        else:
            await kill_worker_often(swept, chance)
        await swept.wait_for_state(requests, HealthState.KEY_LOST)
        await swept.change_keys("enable_key", keys)
        await kill_worker_often(swept, chance)
        await swept.wait_for_state(requests, HealthState.HEALTHY)
    await wait_until_delivered(swept.machine, requests)

    for request in requests:
        name = request.environment_id
        status = await swept.machine.service.read_status(name)
        verdict = await checker.check_ready(swept.machine, request, status)
        verdict.expect("the health", status.health and status.health.state, HealthState.HEALTHY)
        swept.harness.results.append((SWEEP, f"{SWEEP}: {name}, seed {seed}", verdict))
        delivered = check_deliveries(list_requests(receiver, name), wanted)
        swept.harness.results.append((DELIVERY, f"{DELIVERY}: {name}, seed {seed}", delivered))
    assert any(one.status == SILENCE for one in receiver.requests)
    assert_survived(swept.harness, before)


async def kill_worker_often(swept: SweptStack, chance: Random) -> None:
    for _ in range(SWEEP_KILLS):
        calls, among = chance.choice([(("s3", "*"), 2 * WATCHED), (("rds", "*"), 2)])
        await swept.kill_worker_at_random_call(chance, calls, among)


async def kill_worker_during_delivery(swept: SweptStack, names: set[str]) -> None:
    """Kill the worker while it waits for the receiver's response, and make the receiver reject some later requests."""
    receiver = swept.receiver
    receiver.answers[:] = [(SILENCE, {}), *[(503, {})] * (WATCHED // 2)]

    def is_delivering() -> bool:
        return any(one.status == SILENCE for name in names for one in list_requests(receiver, name))

    await swept.harness.wait_until(is_delivering)
    await swept.harness.kill_worker()


def list_requests(receiver: WebhookReceiver, environment_id: str) -> list[ReceivedRequest]:
    """List the requests about an environment."""
    return [one for one in receiver.requests if json.loads(one.body).get("subject") == environment_id]


async def wait_until_delivered(machine: StackHarness, requests: Sequence[ProvisionRequest]) -> None:
    """Wait until all deliveries about these environments have ended."""
    names = ", ".join(f"'{one.environment_id}'" for one in requests)
    query = f"WorkflowType = '{DELIVER_NOTIFICATION_WORKFLOW}' AND ExecutionStatus = 'Running'"
    query += f" AND {ENVIRONMENT_ID_ATTRIBUTE.name} IN ({names})"
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await machine.service.client.count_workflows(query)).count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def check_deliveries(requests: Sequence[ReceivedRequest], wanted: dict[NotificationType, int]) -> Verdict:
    """Check that each notification was delivered, and that repeated deliveries have the same id and the same body."""
    verdict, bodies, accepted = Verdict(), defaultdict[str, set[str]](set), set[str]()
    for one in requests:
        webhook_id = one.headers["webhook-id"]
        bodies[webhook_id].add(one.body)
        if one.status not in (SILENCE, 503):
            accepted.add(webhook_id)
    verdict.lost += [f"notification {name} was not delivered" for name in bodies.keys() - accepted]
    verdict.doubled += [
        f"notification {name} has several bodies: {found}" for name, found in bodies.items() if len(found) > 1
    ]
    events = [json.loads(next(iter(found))) for found in bodies.values()]
    verdict.expect("whether the event has the id of the delivery", {one["id"] for one in events}, set(bodies))
    counted = Counter(NotificationType(one["type"]) for one in events)
    for kind in counted.keys() | wanted.keys():
        number = wanted.get(kind, 0)
        if counted[kind] < number:
            verdict.lost.append(f"{counted[kind]} of {number} notifications {kind}")
        elif counted[kind] > number:
            verdict.doubled.append(f"{counted[kind]} notifications {kind}, expected {number}")
    return verdict
