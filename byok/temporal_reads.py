"""Reads that treat a workflow that does not exist as an answer, not as an error."""

from typing import Any

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import WorkflowExecutionDescription, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode


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
