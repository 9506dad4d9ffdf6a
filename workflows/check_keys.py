"""Checks two keys for problems before byok creates an environment."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanActivities
    from byok.contracts import (
        CHECK_KEYS_WORKFLOW,
        CHECKED_KEYS_ATTRIBUTE,
        KEY_VERDICTS_QUERY,
        ORGANISATION_ATTRIBUTE,
    )
    from byok.domain.models import CheckedKey, CheckKeysRequest, KeyCheckResult
    from byok.temporal_quotas import digest_key_arn
from workflows.activity_options import PLAN_OPTIONS
from workflows.failures import PhaseStoppedError, to_workflow_failure
from workflows.key_validation import check_keys
from workflows.quotas import require_quota


@workflow.defn(name=CHECK_KEYS_WORKFLOW)
class CheckKeys:
    """Checks two keys.

    The check creates probe objects and, on request, a cluster without instances. byok then removes the objects and the
    cluster.

    The workflow completes with a verdict on each key, even if a key fails the check. The workflow fails with
    `byok.QuotaExceeded` if the organisation has checked one of the keys too often.
    """

    def __init__(self) -> None:
        self._verdicts: list[CheckedKey] = []

    @workflow.query(name=KEY_VERDICTS_QUERY, description="The verdicts on the keys that are already checked.")
    def list_verdicts(self) -> list[CheckedKey]:
        """Return the verdicts so far. The Aurora key's verdict takes longer than the S3 key's."""
        return self._verdicts

    @workflow.run
    async def run(self, request: CheckKeysRequest) -> KeyCheckResult:
        """Plan the check, test the keys, and return the verdicts."""
        if request.organisation is not None:
            keys = [digest_key_arn(arn) for arn in request.key_pair.arns]
            workflow.upsert_search_attributes(
                [ORGANISATION_ATTRIBUTE.value_set(request.organisation), CHECKED_KEYS_ATTRIBUTE.value_set(keys)]
            )
        try:
            await require_quota(request)
        except PhaseStoppedError as error:
            raise to_workflow_failure(error, "The key check", error.problems) from error
        plan = await workflow.execute_activity_method(PlanActivities.plan_key_check, request, **PLAN_OPTIONS)
        return await check_keys(request, plan, self._verdicts.append)
