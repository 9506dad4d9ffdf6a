"""The key check: finds every problem with two keys that can be found before an environment's resources exist."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanActivities
    from byok.contracts import CHECK_KEYS_WORKFLOW
    from byok.domain.models import CheckKeysRequest, KeyCheckResult
from workflows.activity_options import PLAN_OPTIONS
from workflows.key_validation import check_keys


@workflow.defn(name=CHECK_KEYS_WORKFLOW)
class CheckKeys:
    """Checks two keys.

    It creates probe objects and, on request, a cluster without instances. All of them are then removed.

    The workflow completes with a verdict on each key: a key that fails the check is a result, not a failure.
    """

    @workflow.run
    async def run(self, request: CheckKeysRequest) -> KeyCheckResult:
        """Plan the check, use the keys, and return the result."""
        plan = await workflow.execute_activity_method(PlanActivities.plan_key_check, request, **PLAN_OPTIONS)
        return await check_keys(request, plan)
