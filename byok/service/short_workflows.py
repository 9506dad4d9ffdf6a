"""Runs a workflow that takes seconds, and waits for its result."""

from typing import Any, TypeVar

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from byok.domain.models import RequestModel
from byok.service.environment_reader import EnvironmentReader
from byok.service.workflow_starts import build_requester_memo

_Result = TypeVar("_Result")


async def run_short_workflow(
    reader: EnvironmentReader,
    task_queue: str,
    workflow_type: str,
    request: RequestModel,
    workflow_id: str,
    result_type: type[_Result],
    what: str,
    *,
    id_reuse_policy: WorkflowIDReusePolicy = WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    id_conflict_policy: WorkflowIDConflictPolicy = WorkflowIDConflictPolicy.USE_EXISTING,
) -> _Result:
    """Start a workflow, and return the workflow's result.

    If a run with the same id is already in progress, this function by default waits for the result of that run and
    does not start another one.

    `what` is the beginning of the error message if no worker is available.

    Raises:
        NoWorkerError: No worker is available.
        RPCError: Temporal does not respond.
        WorkflowAlreadyStartedError: The policies do not allow another run with this id.
        WorkflowFailureError: The workflow failed. `explain_failure` returns the reason.
    """
    handle: WorkflowHandle[Any, _Result] = await reader.client.start_workflow(
        workflow_type,
        request,
        id=workflow_id,
        task_queue=task_queue,
        result_type=result_type,
        memo=build_requester_memo(reader.requester) or None,
        id_reuse_policy=id_reuse_policy,
        id_conflict_policy=id_conflict_policy,
    )
    return await reader.wait_for_result(handle, what)


def explain_failure(error: WorkflowFailureError) -> BaseException:
    """Return the reason why a workflow failed: the error of its activity, or else the workflow's own error."""
    return error.cause.__cause__ or error.cause
