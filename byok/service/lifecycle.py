"""Resumes, cancels and deletes environments by calling Temporal.

`byok.service.replay` decides whether an environment can be replayed.
"""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Final
from weakref import WeakValueDictionary

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from byok.audit.notes import encode_requester, format_reset_reason
from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.models import DeleteRequest, DeletionResult, Requester
from byok.service.attempt_memo import build_attempts_memo
from byok.service.errors import EnvironmentBusyError, NotReplayableError, NotRunningError
from byok.service.replay import ResetPoint
from byok.service.status import EnvironmentStatus
from byok.service.versions import plan_post_reset_operations
from byok.service.workflow_starts import build_priority, build_requester_memo, measure_requester

_RESETS: Final[WeakValueDictionary[str, asyncio.Lock]] = WeakValueDictionary()
"""The locks of the workflows that this process is resetting, by workflow id."""


@dataclass(frozen=True)
class ReplayResult:
    """How a stopped environment continues.

    Attributes:
        run_id: The run that continues provisioning the environment.
        step: The activity from which the run resumes; None if the environment starts over.
    """

    environment_id: str
    workflow_id: str
    run_id: str
    step: str | None = None


async def reset_workflow(
    client: Client, status: EnvironmentStatus, point: ResetPoint, requester: Requester | None
) -> ReplayResult:
    """Reset a run to the point just before an activity, so that completed activities are not repeated.

    If the run's build no longer gets new work, the run moves to the current build. The reason in the reset event
    identifies the requester (contract 147).

    A reset terminates the current run, even if another reset has just started that run, and Temporal does not detect
    repeated requests by their ids. In this process, one request at a time therefore resets an environment, and only if
    the stopped run is still the latest run.

    Raises:
        NotReplayableError: Another request has resumed the environment in the meantime.
    """
    lock = _RESETS.setdefault(status.workflow_id, asyncio.Lock())
    async with lock:
        described = await client.get_workflow_handle(status.workflow_id).describe()
        if described.run_id != status.run_id:
            name = status.environment_id
            raise NotReplayableError(
                f"Nothing to replay: another request has just resumed {name}. Follow it with `byok status {name}`."
            )
        answer = await client.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=status.workflow_id, run_id=status.run_id),
                reason=await format_reset_reason(client.data_converter, point.step, requester),
                workflow_task_finish_event_id=point.event_id,
                request_id=str(uuid.uuid4()),
                identity=client.identity,
                post_reset_operations=await plan_post_reset_operations(client, described),
            )
        )
    return ReplayResult(status.environment_id, status.workflow_id, answer.run_id, point.step)


async def cancel_workflow(client: Client, status: EnvironmentStatus, requester: Requester | None) -> None:
    """Request cancellation of an environment's workflow.

    Raises:
        NotRunningError: The workflow has ended.
    """
    if status.phase.is_final:
        raise NotRunningError(f"Nothing to cancel: {status.environment_id} is {status.phase}.")
    handle = client.get_workflow_handle(status.workflow_id, run_id=status.run_id)
    try:
        await handle.cancel(reason=await encode_requester(client.data_converter, requester))
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        raise NotRunningError(
            f"Nothing to cancel: the workflow of {status.environment_id} has just ended. See `byok status`."
        ) from error


async def start_deletion(client: Client, task_queue: str, request: DeleteRequest, requester: Requester | None) -> bool:
    """Start the deletion of an environment, unless its deletion is already in progress.

    Returns:
        Whether this call started the deletion.

    Raises:
        EnvironmentBusyError: The environment is being provisioned.
    """
    workflow_id = environment_workflow_id(request.environment_id)
    memo = build_requester_memo(requester)
    memo |= await build_attempts_memo(
        client, request.environment_id, request.organisation, used_bytes=measure_requester(requester)
    )
    try:
        await client.start_workflow(
            DELETE_ENVIRONMENT_WORKFLOW,
            request,
            id=workflow_id,
            task_queue=task_queue,
            result_type=DeletionResult,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            memo=memo or None,
            priority=build_priority(request.organisation),
            static_summary=f"deletion of {request.environment_id} in {request.region}",
        )
    except WorkflowAlreadyStartedError as error:
        running = client.get_workflow_handle(workflow_id, run_id=error.run_id)
        if (await running.describe()).workflow_type != DELETE_ENVIRONMENT_WORKFLOW:
            raise EnvironmentBusyError(
                f"{request.environment_id} is being provisioned. Wait until provisioning has ended, or cancel it with "
                f"`byok cancel {request.environment_id}`; then delete the environment."
            ) from error
        return False
    return True
