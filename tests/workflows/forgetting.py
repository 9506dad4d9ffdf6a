"""Delete closed workflows, as Temporal does when their retention period ends."""

import asyncio

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client

from byok.contracts import environment_workflow_id, tenant_workflow_id
from byok.temporal_reads import describe_or_none

_DEADLINE = 240
"""The server deletes a run in the background, sometimes after a minute."""


async def delete_workflow(client: Client, workflow_id: str) -> None:
    """Delete all runs of a workflow, and wait until both their histories and their list entries are gone.

    Visibility is updated with a delay, so the function polls the list of runs until it is empty.
    """
    requested: set[str] = set()
    async with asyncio.timeout(_DEADLINE):
        while runs := await _find_runs(client, workflow_id):
            for run_id in runs - requested:
                execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
                request = DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
                await client.workflow_service.delete_workflow_execution(request)
            requested |= runs
            await asyncio.sleep(0.05)


async def forget_workflows(client: Client, *environment_ids: str) -> None:
    """Delete the workflows of environments, but not the records."""
    ids = [build(name) for name in environment_ids for build in (environment_workflow_id, tenant_workflow_id)]
    await asyncio.gather(*(delete_workflow(client, workflow_id) for workflow_id in ids))


async def _find_runs(client: Client, workflow_id: str) -> set[str]:
    described = await describe_or_none(client.get_workflow_handle(workflow_id))
    listed = {run.run_id async for run in client.list_workflows(f"WorkflowId = '{workflow_id}'")}
    return listed if described is None else {*listed, described.run_id}
