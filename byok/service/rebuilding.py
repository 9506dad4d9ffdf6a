"""Rebuilds the records of environments from the environments' resources in AWS (contract 136)."""

from temporalio.client import WorkflowFailureError

from byok.audit.record import AuditAction
from byok.contracts import REBUILD_RECORDS_WORKFLOW, REBUILD_RECORDS_WORKFLOW_ID
from byok.domain.models import RebuildRequest, RebuildResult
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import RebuildFailedError
from byok.service.short_workflows import explain_failure, run_short_workflow
from byok.service.temporal_errors import translate_temporal_errors

UNKNOWN_AFTER_REBUILD = (
    "earlier attempts and who requested them",
    "a tenant name or tenant role other than the one that the vendor profile assigns",
    "the CloudFormation stack name and the customer's AWS CLI profile",
    "what to do if provisioning fails (`on_failure`) and the grace period",
)
"""The values that are missing from a rebuilt record, because they are not stored in AWS."""


async def rebuild_records(reader: EnvironmentReader) -> RebuildResult:
    """Begin a record for each environment that has resources in AWS but no record. Existing records stay unchanged.

    Raises:
        AuditUnavailableError: The audit record cannot be written.
        NoWorkerError: No worker is available.
        RebuildFailedError: AWS did not respond, or refused a call. Records that are already rebuilt are kept.
    """
    await reader.record_intent(AuditAction.REBUILD_RECORDS, {})
    with translate_temporal_errors():
        try:
            return await run_short_workflow(
                reader,
                reader.task_queue,
                REBUILD_RECORDS_WORKFLOW,
                RebuildRequest(),
                REBUILD_RECORDS_WORKFLOW_ID,
                RebuildResult,
                "The records were requested",
            )
        except WorkflowFailureError as error:
            raise RebuildFailedError(f"The records cannot be rebuilt: {explain_failure(error)}") from error
