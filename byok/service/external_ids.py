"""Gets the external ids that the customers put into the trust policies of their tenant roles (D11)."""

from typing import Any

from temporalio.client import WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy

from byok import contracts
from byok.domain.models import ExternalIdRequest
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import ExternalIdUnavailableError
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.workflow_starts import build_requester_memo


async def get_external_id(reader: EnvironmentReader, task_queue: str, request: ExternalIdRequest) -> str:
    """Return an external id. See `EnvironmentService.get_external_id`."""
    with translate_temporal_errors():
        handle: Any = await reader.client.start_workflow(
            contracts.GET_EXTERNAL_ID_WORKFLOW,
            request,
            id=contracts.external_id_workflow_id(request),
            task_queue=task_queue,
            result_type=str,
            memo=build_requester_memo(reader.requester) or None,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        try:
            found: str = await reader.wait_for_result(handle, "The request for the external id was accepted")
        except WorkflowFailureError as error:
            reason = error.cause.__cause__ or error.cause
            raise ExternalIdUnavailableError(f"The external id cannot be read: {reason}") from error
    return found
