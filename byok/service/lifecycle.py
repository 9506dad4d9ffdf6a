"""What is done with an environment after it was asked for: it is continued, ended, or deleted.

What speaks for and against it is decided in `byok.service.replay` and here; asking for it is one call to Temporal each.
"""

import uuid
from dataclasses import dataclass

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.models import DeleteRequest, DeletionResult
from byok.service.errors import EnvironmentBusyError, NotRunningError
from byok.service.replay import ResetPoint
from byok.service.status import EnvironmentStatus
from byok.service.versions import plan_post_reset_operations


@dataclass(frozen=True)
class ReplayResult:
    """How a stopped environment goes on.

    Attributes:
        run_id: The run that goes on.
        step: The step it goes on from; None where it starts anew.
    """

    environment_id: str
    workflow_id: str
    run_id: str
    step: str | None = None


async def reset_workflow(client: Client, status: EnvironmentStatus, point: ResetPoint) -> ReplayResult:
    """Take a run up again just before a step; what was done before it stays done.

    Where its build gets no new work any more, it goes on with the current one.
    """
    described = await client.get_workflow_handle(status.workflow_id, run_id=status.run_id).describe()
    answer = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=status.workflow_id, run_id=status.run_id),
            reason=f"replayed from {point.step}",
            workflow_task_finish_event_id=point.event_id,
            request_id=str(uuid.uuid4()),
            identity=client.identity,
            post_reset_operations=await plan_post_reset_operations(client, described),
        )
    )
    return ReplayResult(status.environment_id, status.workflow_id, answer.run_id, point.step)


async def cancel_workflow(client: Client, status: EnvironmentStatus) -> None:
    """Ask for the end of what is being done with an environment.

    Raises:
        NotRunningError: Nothing is.
    """
    if status.phase.is_final:
        raise NotRunningError(f"{status.environment_id} is {status.phase}: there is nothing to cancel.")
    handle = client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
    try:
        await handle.cancel()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise NotRunningError(f"{status.environment_id} has just ended: see `byok status`.") from error


async def start_deletion(client: Client, task_queue: str, request: DeleteRequest) -> bool:
    """Start the deletion of an environment, or find that it is going on.

    Returns:
        Whether it was started now.

    Raises:
        EnvironmentBusyError: It is just being made.
    """
    workflow_id = environment_workflow_id(request.environment_id)
    try:
        await client.start_workflow(
            DELETE_ENVIRONMENT_WORKFLOW,
            request,
            id=workflow_id,
            task_queue=task_queue,
            result_type=DeletionResult,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"deletion of {request.environment_id} in {request.region}",
        )
    except WorkflowAlreadyStartedError as error:
        running = client.get_workflow_handle(workflow_id, run_id=error.run_id)
        if (await running.describe()).workflow_type != DELETE_ENVIRONMENT_WORKFLOW:
            raise EnvironmentBusyError(
                f"{request.environment_id} is just being made: wait until that has ended, or end it with "
                f"`byok cancel {request.environment_id}`; then it can be deleted."
            ) from error
        return False
    return True
