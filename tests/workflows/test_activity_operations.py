"""Test what Temporal does when an operator resets an activity (docs/behaviour.md)."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import ResetActivityRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

_DEADLINE = 30
_ACTIVITY_ID = "step"


@workflow.defn
class _Step:
    @workflow.run
    async def run(self) -> str:
        result: str = await workflow.execute_activity(
            "step",
            result_type=str,
            activity_id=_ACTIVITY_ID,
            start_to_close_timeout=timedelta(seconds=4),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
        )
        return result


class _Activities:
    """An activity that fails at its first start, and completes once the test allows it."""

    def __init__(self) -> None:
        self.starts = 0
        self.may_complete = asyncio.Event()

    @activity.defn(name="step")
    async def step(self) -> str:
        self.starts += 1
        start = self.starts
        if start == 1:
            raise ApplicationError("the key is disabled")
        await self.may_complete.wait()
        return f"result of start {start}"


@pytest.fixture
def client(temporal: WorkflowEnvironment) -> Client:
    return temporal.client


@asynccontextmanager
async def start_step(client: Client, activities: _Activities) -> AsyncIterator[WorkflowHandle[object, object]]:
    """Run a worker without byok's workflows, start the workflow, and yield its handle."""
    queue = f"queue-{uuid.uuid4().hex}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[_Step],
        activities=[activities.step],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield await client.start_workflow("_Step", id=f"step-{uuid.uuid4().hex}", task_queue=queue)


async def wait_for_activity(
    handle: WorkflowHandle[object, object], fact: Callable[[PendingActivityInfo], bool]
) -> PendingActivityInfo:
    """Wait until the pending activity satisfies a condition, and return its description."""
    async with asyncio.timeout(_DEADLINE):
        while True:
            for pending in (await handle.describe()).raw_description.pending_activities:
                if fact(pending):
                    return pending
            await asyncio.sleep(0.05)


async def test_reset_of_a_running_activity_drops_its_result_unless_it_is_the_first_attempt(client: Client) -> None:
    activities = _Activities()
    async with start_step(client, activities) as handle:
        await wait_for_activity(handle, lambda pending: pending.attempt == 2 and activities.starts == 2)

        await client.workflow_service.reset_activity(
            ResetActivityRequest(
                namespace=client.namespace, execution=WorkflowExecution(workflow_id=handle.id), id=_ACTIVITY_ID
            )
        )
        activities.may_complete.set()

        result = await asyncio.wait_for(handle.result(), _DEADLINE)
    assert result == "result of start 3"
