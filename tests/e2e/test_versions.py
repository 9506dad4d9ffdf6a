"""Upgrade from one build of the worker to another with the commands from docs/upgrading.md."""

import asyncio
import os
import shlex
import sys

from byok.domain.phases import Phase
from byok.local.programs import PROGRAMS_ROOT
from tests.e2e.workers import WorkerFleet, fleet

__all__ = ["fleet"]


async def test_upgrade_with_one_running_and_one_stopped_environment(fleet: WorkerFleet) -> None:
    machine = fleet.machine
    await fleet.start_worker("1")
    doctor = await machine.run_program("byok", "doctor", "-o", "json")
    (workers,) = [check for check in doctor.json["checks"] if check["name"] == "workers"]
    assert (doctor.code, workers["ok"]) == (1, False)
    assert workers["detail"].endswith("(build 1 of byok); new work waits: no build is the current version")
    advised = shlex.split(workers["fix"].partition(": ")[2])
    assert (await machine.run_program(*advised, "--yes")).code == 0
    assert (await machine.run_program("byok", "doctor")).code == 0

    stopped = machine.build_request()
    machine.aws.customer_client("kms").disable_key(KeyId=stopped.rds_key_arn)
    assert (await machine.provision(stopped)).phase is Phase.STOPPED
    in_flight = machine.build_request()
    machine.aws.call_control("POST", "faults", service="rds", operation="CreateDBCluster", kind="delay", seconds=300)
    await machine.service.create(in_flight)
    while (await asyncio.to_thread(machine.aws.call_control, "GET", "faults"))["faults"]:  # noqa: ASYNC110
        await asyncio.sleep(0.05)

    await fleet.start_worker("2")
    await fleet.make_current("2")
    new = machine.build_request()
    assert (await machine.provision(new)).phase is Phase.READY
    assert await fleet.get_environment_build_id(new.environment_id) == "2"

    machine.aws.call_control("DELETE", "faults")
    assert (await machine.wait_until_ended(in_flight.environment_id)).phase is Phase.READY
    assert await fleet.get_environment_build_id(in_flight.environment_id) == "1"
    await fleet.stop_worker("1")

    machine.aws.customer_client("kms").enable_key(KeyId=stopped.rds_key_arn)
    replayed = await machine.run_program("byok", "replay", stopped.environment_id, "--wait", "-o", "json")
    assert (replayed.code, replayed.json["phase"]) == (0, "READY"), replayed
    assert await fleet.get_environment_build_id(stopped.environment_id) == "2"


async def test_worker_with_an_incomplete_version_does_not_start(fleet: WorkerFleet) -> None:
    stack = fleet.machine.stack
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAMS_ROOT / "worker.py")),
        env={**os.environ, **stack.environment, "BYOK_WORKER_DEPLOYMENT": "byok"},
        stderr=asyncio.subprocess.PIPE,
    )
    _, told = await asyncio.wait_for(worker.communicate(), 60)
    assert worker.returncode == 1
    assert "The worker's settings are invalid: BYOK_WORKER_BUILD_ID: missing" in told.decode()
