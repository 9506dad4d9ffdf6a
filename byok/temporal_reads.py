"""Functions that read workflows and schedules, and return None if a workflow or schedule does not exist."""

from typing import Final, Protocol, TypeVar

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

_Description_co = TypeVar("_Description_co", covariant=True)

MAX_PAGE_SIZE: Final = 1000
"""The maximum number of workflows that Temporal returns at a time."""


async def list_latest_runs(
    client: Client, query: str, *, page_size: int = MAX_PAGE_SIZE, limit: int | None = None
) -> dict[str, WorkflowExecution]:
    """Return the latest run of each workflow that matches a query, with the workflow ids as keys.

    Args:
        client: The client.
        query: The visibility query.
        page_size: How many runs to request at a time.
        limit: The maximum number of workflows; None for no limit.

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


class _Handle(Protocol[_Description_co]):
    """The handle of a workflow or of a schedule."""

    async def describe(self) -> _Description_co:
        """Return the description."""
        ...


async def describe_or_none(handle: _Handle[_Description_co]) -> _Description_co | None:
    """Return the description of a workflow or of a schedule; None if it does not exist.

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
