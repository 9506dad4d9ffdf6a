"""Keeps paused workflows readable, because SDK 1.35 cannot represent their status.

Temporal Server 1.32 reports a paused workflow with a separate status, which makes the SDK's `describe()` and
`list_workflows()` raise ValueError, so one paused workflow would hide all environments. A paused workflow is still
open, so byok treats it as running. The response of `describe()` shows who paused the workflow, when and why
(`byok.service.pending`).
"""

from typing import Any

from google.protobuf.message import Message
from temporalio.api.enums.v1 import WorkflowExecutionStatus
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse, ListWorkflowExecutionsResponse

from byok.temporal_read_retry import ReadRetryingServiceClient


class PauseTolerantServiceClient(ReadRetryingServiceClient):
    """A service client that reports paused workflows as running."""

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[Any], *, retry: bool, **options: Any) -> Any:
        """Send a call. See `ReadRetryingServiceClient`.

        Raises:
            RPCError: The call failed.
        """
        response = await super()._rpc_call(rpc, req, resp_type, retry=retry, **options)
        if isinstance(response, DescribeWorkflowExecutionResponse):
            executions = [response.workflow_execution_info]
        elif isinstance(response, ListWorkflowExecutionsResponse):
            executions = list(response.executions)
        else:
            return response
        for execution in executions:
            if execution.status == WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_PAUSED:
                execution.status = WorkflowExecutionStatus.WORKFLOW_EXECUTION_STATUS_RUNNING
        return response
