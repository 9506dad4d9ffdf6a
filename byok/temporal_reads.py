"""Reads that treat a workflow that does not exist as an answer, not as an error."""

from typing import Any, Final

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode

MAX_PAGE_SIZE: Final = 1000
"""The maximum number of workflows that Temporal returns at a time."""


async def list_latest_runs(
    client: Client, query: str, *, page_size: int = MAX_PAGE_SIZE, limit: int | None = None
) -> dict[str, WorkflowExecution]:
    """Return the latest of the runs of each workflow that match a query, by workflow id.

    Args:
        client: The client.
        query: The visibility query.
        page_size: How many runs to request at a time.
        limit: Stop after this number of workflows.

    Raises:
        RPCError: The call failed.
    """
    latest: dict[str, WorkflowExecution] = {}
    async for one in client.list_workflows(query, page_size=page_size):
        if one.id not in latest or one.start_time > latest[one.id].start_time:
            latest[one.id] = one
        if limit is not None and len(latest) >= limit:
            break
    return latest


async def describe_or_none(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionDescription | None:
    """Return the description of a workflow; None if the workflow does not exist.

    Raises:
        RPCError: The call failed, or the namespace does not exist.
    """
    try:
        return await handle.describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND or _is_namespace_not_found(error):
            raise
        return None


def _is_namespace_not_found(error: RPCError) -> bool:
    """Return whether the namespace does not exist."""
    return any(detail.Is(NamespaceNotFoundFailure.DESCRIPTOR) for detail in error.grpc_status.details)
