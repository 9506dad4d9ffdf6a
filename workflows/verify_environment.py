"""Runs an immediate health check of one environment."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.health import HealthActivities
    from byok.contracts import (
        CHECK_AGAIN_SIGNAL,
        ENVIRONMENT_ID_ATTRIBUTE,
        VERIFY_ENVIRONMENT_WORKFLOW,
        verification_workflow_id,
    )
    from byok.domain.models import VerificationRequest, VerificationResult
from workflows.activity_options import VERIFY_OPTIONS
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=VERIFY_ENVIRONMENT_WORKFLOW)
class VerifyEnvironment:
    """Proves the keys of one READY environment, compares its settings, and reports the result to its record."""

    def __init__(self) -> None:
        self._check_again = False

    @workflow.signal(name=CHECK_AGAIN_SIGNAL)
    def check_again(self) -> None:
        """Repeat the check once the check in progress has ended.

        The check in progress may have read the state before the change that AWS reported.
        """
        self._check_again = True

    @workflow.run
    async def run(self, request: VerificationRequest) -> VerificationResult:
        """Check the environment, and return the result of the last check."""
        workflow_id = verification_workflow_id(request.environment_id)
        require_workflow_id(workflow_id, "the id of an environment's verification")
        workflow.upsert_search_attributes([ENVIRONMENT_ID_ATTRIBUTE.value_set(request.environment_id)])
        while True:
            self._check_again = False
            result = await workflow.execute_activity_method(
                HealthActivities.verify_environment, request, **VERIFY_OPTIONS
            )
            # Limit the length of the run, which would otherwise stay open for as long as a customer keeps changing a
            # key.
            if not self._check_again or workflow.info().is_continue_as_new_suggested():
                return result
