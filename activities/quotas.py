"""Looks for a quota that an organisation's workflow would exceed, before the workflow uses a key."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from byok.domain.models import QuotaCheckResult, QuotaTask
from byok.domain.phases import Phase
from byok.domain.problems.build import build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.quotas import QUOTA_EXCEEDED_CODE, Quotas
from byok.domain.vendor import VendorProfile
from byok.temporal_quotas import QuotaCounter


@dataclass(frozen=True)
class QuotaActivities:
    """The activity that queries Temporal to count an organisation's environments and key checks.

    This activity does not call AWS.
    """

    quotas: Quotas
    vendor: VendorProfile

    @activity.defn
    async def find_exceeded_quota(self, task: QuotaTask) -> QuotaCheckResult:
        """Return the problem for the first quota that the workflow would exceed."""
        counter = QuotaCounter(activity.client(), self.quotas)
        if task.environment_id is None:
            found = await counter.find_exceeded_by_key_check(task.organisation, task.key_arns, task.started_at)
        else:
            found = await counter.find_exceeded_by_environment(task.organisation, task.environment_id, task.started_at)
        if found is None:
            return QuotaCheckResult()
        context = RemedyContext(
            task.region, None, self.vendor, profile=task.profile, organisation=task.organisation, advice=found.advice
        )
        return QuotaCheckResult(
            problem=build_problem(
                QUOTA_EXCEEDED_CODE,
                found.message,
                Remedy.ORGANISATION_QUOTA,
                context,
                phase=Phase.VALIDATING_KEYS,
                at=datetime.now(UTC),
            )
        )
