"""The key check: finds out everything that can be known about two keys before anything is created."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanActivities
    from byok.contracts import CHECK_KEYS_WORKFLOW
    from byok.domain.models import CheckKeysRequest, KeyCheckResult
from workflows.activity_options import PLAN_OPTIONS
from workflows.key_validation import validate_keys


@workflow.defn(name=CHECK_KEYS_WORKFLOW)
class CheckKeys:
    """Checks two keys. The only thing that the workflow creates is a probe object, which it deletes again.

    If a key fails the check, the workflow still completes, and its result contains the findings.
    """

    @workflow.run
    async def run(self, request: CheckKeysRequest) -> KeyCheckResult:
        """Plan the check, probe the S3 key, and return the findings."""
        plan = await workflow.execute_activity_method(PlanActivities.plan_key_check, request, **PLAN_OPTIONS)
        findings, proofs = await validate_keys(request, plan)
        return KeyCheckResult(
            region=request.region,
            s3_key_arn=request.s3_key_arn,
            rds_key_arn=request.rds_key_arn,
            findings=findings,
            proofs=proofs,
        )
