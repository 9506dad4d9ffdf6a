"""Checks one environment at once."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.health import HealthActivities
    from byok.contracts import ENVIRONMENT_ID_ATTRIBUTE, VERIFY_ENVIRONMENT_WORKFLOW, verification_workflow_id
    from byok.domain.models import VerificationRequest, VerificationResult
from workflows.activity_options import VERIFY_OPTIONS
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=VERIFY_ENVIRONMENT_WORKFLOW)
class VerifyEnvironment:
    """Proves the keys of one READY environment, compares its settings, and reports the result to its record."""

    @workflow.run
    async def run(self, request: VerificationRequest) -> VerificationResult:
        """Check the environment, and return what the check found."""
        workflow_id = verification_workflow_id(request.environment_id)
        require_workflow_id(workflow_id, "the id of an environment's verification")
        workflow.upsert_search_attributes([ENVIRONMENT_ID_ATTRIBUTE.value_set(request.environment_id)])
        return await workflow.execute_activity_method(HealthActivities.verify_environment, request, **VERIFY_OPTIONS)
