"""Gets the external ids that the customers put into the trust policies of their tenant roles (D11)."""

from temporalio.client import WorkflowFailureError

from byok import contracts
from byok.domain.models import ExternalIdRequest
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import ExternalIdUnavailableError
from byok.service.short_workflows import explain_failure, run_short_workflow
from byok.service.temporal_errors import translate_temporal_errors


async def get_external_id(reader: EnvironmentReader, task_queue: str, request: ExternalIdRequest) -> str:
    """Return an external id. See `EnvironmentService.get_external_id`."""
    with translate_temporal_errors():
        try:
            return await run_short_workflow(
                reader,
                task_queue,
                contracts.GET_EXTERNAL_ID_WORKFLOW,
                request,
                contracts.external_id_workflow_id(request),
                str,
                "The request for the external id was accepted",
            )
        except WorkflowFailureError as error:
            raise ExternalIdUnavailableError(f"The external id cannot be read: {explain_failure(error)}") from error
