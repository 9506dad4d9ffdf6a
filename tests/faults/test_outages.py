"""Outages that affect all environments at the same time, and keys that are changed between two calls."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, TASK_QUEUE, environment_workflow_id
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus
from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.workers import WorkerFleet, fleet
from tests.faults import checker
from tests.faults.conftest import assert_survived, sample_cases
from tests.faults.harness import (
    LONG_READ_TIMEOUT_SECONDS,
    MAX_CONCURRENT_CASES,
    RUN_ALL_CASES,
    SHORT_READ_TIMEOUT_SECONDS,
    FaultHarness,
)
from tests.faults.scenarios import CallSite, Scenario, ScenarioRun
from tests.localaws.server import REGION
from tests.requested_keys import keys_of

__all__ = ["fleet"]

KEY_CODES = {
    KeyPurpose.S3: ("s3.KMS.DisabledException", "s3.AccessDenied"),
    KeyPurpose.RDS: ("rds.KMSKeyNotAccessibleFault", "rds.inaccessible-encryption-credentials-recoverable"),
}


async def test_environments_survive_a_temporal_crash(harness: FaultHarness) -> None:
    before, places = len(harness.results), sample_cases(await harness.list_call_sites(Scenario.PROVISION), 2)

    async def kill() -> None:
        await harness.machine.stack.restart_temporal(kill=True)
        harness.machine.aws.call_control("DELETE", "held")

    await harness.disrupt_all("Temporal killed and started again", places, kill)

    assert_survived(harness, before)


async def test_environments_survive_an_aws_outage(harness: FaultHarness) -> None:
    before, places = len(harness.results), sample_cases(await harness.list_call_sites(Scenario.PROVISION), 2)
    seconds = 60 if RUN_ALL_CASES else 3

    async def away() -> None:
        harness.machine.aws.call_control("DELETE", "held")
        await harness.machine.stack.stop_aws()
        await asyncio.sleep(seconds)  # the outage itself
        await harness.machine.stack.start_aws()

    await harness.disrupt_all("AWS unreachable for a minute" if RUN_ALL_CASES else "AWS unreachable", places, away)

    assert_survived(harness, before)


async def test_environments_survive_the_crash_of_one_of_two_workers(harness: FaultHarness) -> None:
    before, places = len(harness.results), sample_cases(await harness.list_call_sites(Scenario.PROVISION), 2)
    await harness.machine.stack.start_worker("worker-2")

    async def kill_one() -> None:
        await harness.machine.stack.children.pop("worker-2").kill()
        harness.machine.aws.call_control("DELETE", "held")

    await harness.disrupt_all("two workers, one of them killed", places, kill_one)

    assert_survived(harness, before)


async def test_previous_version_survives_a_crash_next_to_the_new_one(harness: FaultHarness, fleet: WorkerFleet) -> None:
    """After a worker of the previous version is killed, its workflows continue on a new worker of the same version."""
    before, machine = len(harness.results), fleet.machine
    places = sample_cases(await harness.list_call_sites(Scenario.PROVISION), 1)[:MAX_CONCURRENT_CASES]
    await fleet.start_worker("1")
    await fleet.make_current("1")
    old = await asyncio.gather(*(ScenarioRun.prepare(machine, Scenario.PROVISION) for _ in places))
    for place, run in zip(places, old, strict=True):
        run.call_control("POST", "faults", **place.build_fault(run, kind="hold_answer"))
    await asyncio.gather(*(run.start() for run in old))
    await harness.wait_until(lambda: len(machine.aws.call_control("GET", "held")["held"]) == len(old))

    await fleet.start_worker("2")
    await fleet.make_current("2")
    new = await asyncio.gather(*(ScenarioRun.prepare(machine, Scenario.PROVISION) for _ in places))
    await asyncio.gather(*(run.start() for run in new))
    await fleet.workers.pop("1").kill()
    machine.aws.call_control("DELETE", "held")
    await fleet.start_worker("1")

    what = "a worker of the previous version, killed while the new version runs"
    await harness.await_and_record_results(
        [(what, f"{what}, at {place}", run) for place, run in zip([*places, *places], [*old, *new], strict=True)]
    )
    for build, runs in {"1": old, "2": new}.items():
        assert {await fleet.get_environment_build_id(run.request.environment_id) for run in runs} == {build}
    assert_survived(harness, before)


async def test_concurrent_requests_through_cli_and_temporal_create_one_environment(
    harness: FaultHarness, tmp_path: Path
) -> None:
    before = len(harness.results)
    await harness.set_read_timeout(SHORT_READ_TIMEOUT_SECONDS)
    runs = [await ScenarioRun.prepare(harness.machine, Scenario.PROVISION) for _ in range(10 if RUN_ALL_CASES else 2)]

    async def twice(run: ScenarioRun) -> None:
        file, request = tmp_path / f"{run.request.environment_id}.json", run.request
        file.write_text(request.model_dump_json())
        ended = await asyncio.gather(
            harness.machine.run_program("byok", "create", "--file", str(file)),
            harness.machine.run_program(
                *(
                    "temporal",
                    "workflow",
                    "start",
                    "--type",
                    PROVISION_ENVIRONMENT_WORKFLOW,
                    "--task-queue",
                    TASK_QUEUE,
                ),
                *("--workflow-id", environment_workflow_id(request.environment_id), "--input-file", str(file)),
            ),
        )
        assert 0 in {one.code for one in ended}, ended

    for run in runs:
        await twice(run)
    what = "requested through the command line and through Temporal at the same time"
    await harness.await_and_record_results([(what, what, run) for run in runs])

    assert_survived(harness, before)


@dataclass(frozen=True)
class KeyDisabling:
    """A key that is disabled just before a provisioning call, and enabled again after provisioning stops."""

    place: CallSite
    key: KeyPurpose

    def __str__(self) -> str:
        return f"{self.key.display_name} disabled before {self.place}"


async def test_key_disabled_between_any_two_calls_stops_and_a_replay_finishes(harness: FaultHarness) -> None:
    before, places = len(harness.results), await harness.list_call_sites(Scenario.PROVISION)
    changes = sample_cases([KeyDisabling(place, key) for key in KeyPurpose for place in places], 4)
    for first in range(0, len(changes), MAX_CONCURRENT_CASES):
        await _change(harness, changes[first : first + MAX_CONCURRENT_CASES])

    assert_survived(harness, before)


async def _change(harness: FaultHarness, changes: Sequence[KeyDisabling]) -> None:
    machine, kms = harness.machine, harness.machine.aws.customer_client("kms")
    await harness.set_read_timeout(LONG_READ_TIMEOUT_SECONDS)
    runs = await asyncio.gather(*(ScenarioRun.prepare(machine, Scenario.PROVISION) for _ in changes))
    for change, run in zip(changes, runs, strict=True):
        run.call_control("POST", "faults", **change.place.build_fault(run, kind="hold_call"))
    await asyncio.gather(*(run.start() for run in runs))
    await harness.wait_until(lambda: len(harness.list_held_calls()) == len(runs))
    for change, run in zip(changes, runs, strict=True):
        kms.disable_key(KeyId=_arn(run, change.key))
    machine.aws.call_control("DELETE", "held")

    stops = await asyncio.gather(*(run.wait_until_ended() for run in runs))
    for change, run, status in zip(changes, runs, stops, strict=True):
        kms.enable_key(KeyId=_arn(run, change.key))
        if status.phase is not Phase.STOPPED:  # provisioning had already finished using the key
            continue
        verdict = await checker.check_stopped(machine, run.request, status, *KEY_CODES[change.key], key=change.key)
        harness.results.append(
            (f"{change.key.display_name} disabled between two calls: stop reported", str(change), verdict)
        )
        await _recover(run, change.key)
        await machine.service.replay(run.request.environment_id)
    named = [("a key disabled between two calls, then enabled and replayed", str(change)) for change in changes]
    await harness.await_and_record_results([(*name, run) for name, run in zip(named, runs, strict=True)])


async def _recover(run: ScenarioRun, key: KeyPurpose) -> None:
    """If the cluster has lost access to its key, start the cluster, as described in the remedy."""
    rds, name = run.machine.aws.operator_client("rds"), f"byok-{run.request.environment_id}"

    def status() -> str | None:
        found = run.machine.list_environment_clusters(run.request.environment_id)
        return str(found[0]["Status"]) if found else None

    if key is KeyPurpose.RDS and await asyncio.to_thread(status) == "inaccessible-encryption-credentials-recoverable":
        await asyncio.to_thread(lambda: rds.start_db_cluster(DBClusterIdentifier=name))


def _arn(run: ScenarioRun, key: KeyPurpose) -> str:
    return dict(keys_of(run.request).items())[key]


async def test_environments_survive_a_policy_removed_during_aurora_creation(harness: FaultHarness) -> None:
    before, machine = len(harness.results), harness.machine
    await harness.set_read_timeout(SHORT_READ_TIMEOUT_SECONDS)
    machine.aws.call_control("POST", "settings", database_seconds=4)
    runs = await asyncio.gather(
        *(ScenarioRun.prepare(machine, Scenario.PROVISION) for _ in range(4 if RUN_ALL_CASES else 2))
    )
    bare = json.dumps(build_default_policy(CUSTOMER_ACCOUNT, REGION))

    async def disturb(number: int, run: ScenarioRun) -> EnvironmentStatus:
        key, kms = list(KeyPurpose)[number % 2], machine.aws.customer_client("kms")
        policy = kms.get_key_policy(KeyId=_arn(run, key))["Policy"]
        await run.start()
        async for status in machine.service.watch_status(run.request.environment_id):
            if status.resources.cluster is not None:
                break
        kms.put_key_policy(KeyId=_arn(run, key), Policy=bare)
        status = await run.wait_until_ended()
        kms.put_key_policy(KeyId=_arn(run, key), Policy=policy)
        if status.phase is Phase.STOPPED:
            verdict = await checker.check_stopped(machine, run.request, status, *KEY_CODES[key], key=key)
            harness.results.append(
                (f"{key.display_name}'s policy removed: stop reported", str(run.request.environment_id), verdict)
            )
            await machine.service.replay(run.request.environment_id)
        return status

    await asyncio.gather(*(disturb(number, run) for number, run in enumerate(runs)))
    machine.aws.call_control("POST", "settings", database_seconds=0.5)
    what = "a key's policy removed while Aurora is being created, then restored"
    await harness.await_and_record_results([(what, what, run) for run in runs])

    assert_survived(harness, before)
