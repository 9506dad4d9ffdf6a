"""Runs an immediate health check of one environment, which proves the keys and compares the settings."""

from datetime import UTC, datetime

from temporalio.client import WorkflowFailureError
from temporalio.exceptions import ApplicationError

from byok.audit.record import AuditAction
from byok.contracts import NO_HEALTH_ERROR_TYPE, VERIFY_ENVIRONMENT_WORKFLOW, verification_workflow_id
from byok.domain.models import EnvironmentHealth, RecordedHealth, VerificationRequest, VerificationResult
from byok.domain.phases import Phase
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import EnvironmentNotReadyError, VerificationFailedError
from byok.service.health import build_health
from byok.service.short_workflows import explain_failure, run_short_workflow
from byok.service.temporal_errors import translate_temporal_errors


async def verify_environment(reader: EnvironmentReader, environment_id: str) -> EnvironmentHealth:
    """Check one environment now, and return its health.

    If AWS does not respond, this function returns the last known health, and `unreachable` contains the reason.

    Raises:
        AuditUnavailableError: The audit record cannot be written.
        EnvironmentNotFoundError: No environment of the requester's organisation has this id.
        EnvironmentNotReadyError: Only a READY environment has a health status.
        NoWorkerError: No worker is available.
        VerificationFailedError: The check did not complete.
    """
    status = await reader.read_status(environment_id)
    if status.phase is not Phase.READY:
        raise EnvironmentNotReadyError(
            f"{environment_id} is {status.phase}. Only a READY environment has a health status."
        )
    request = VerificationRequest(**{name: getattr(status, name) for name in VerificationRequest.model_fields})
    await reader.record_intent(AuditAction.VERIFY_ENVIRONMENT, request.model_dump())
    with translate_temporal_errors():
        try:
            result = await run_short_workflow(
                reader,
                reader.task_queue,
                VERIFY_ENVIRONMENT_WORKFLOW,
                request,
                verification_workflow_id(environment_id),
                VerificationResult,
                f"The verification of {environment_id} was requested",
            )
        except WorkflowFailureError as error:
            reason = explain_failure(error)
            if isinstance(reason, ApplicationError) and reason.type == NO_HEALTH_ERROR_TYPE:
                raise EnvironmentNotReadyError(str(reason.message)) from error
            raise VerificationFailedError(f"{environment_id} cannot be verified: {reason}") from error
    health = (await reader.read_status(environment_id)).health
    if health is None:  # the environment was changed while byok checked it
        raise EnvironmentNotReadyError(f"{environment_id} is no longer READY.")
    if result.report is not None and health.proved_at < result.report.checked_at:
        # The record has not processed its first report yet.
        recorded = RecordedHealth.following(None, result.report)
        health = build_health(environment_id, recorded.summarise(), recorded, None, datetime.now(UTC))
    return health.model_copy(update={"unreachable": result.unreachable})
