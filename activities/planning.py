"""Makes plans for the workflows, which cannot read the settings (platform role, vendor names and blueprint)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from byok.domain.models import (
    CheckKeysRequest,
    DeleteRequest,
    DeletionPlan,
    EnvironmentPlan,
    KeyCheckPlan,
    ProvisionRequest,
    ReconcileTenantPlan,
    ReconcileTenantRequest,
)
from byok.domain.planning import Platform, plan_deletion, plan_environment, plan_key_pair_check, plan_tenant


@dataclass(frozen=True)
class PlanActivities:
    """Makes plans without calling any service."""

    platform: Platform

    @activity.defn
    def plan_key_check(self, request: CheckKeysRequest) -> KeyCheckPlan:
        """Plan the check of two keys. The plan includes the findings that do not require a call to AWS."""
        return plan_key_pair_check(request, self.platform, datetime.now(UTC))

    @activity.defn
    async def plan_environment(self, request: ProvisionRequest) -> EnvironmentPlan:
        """Plan a complete environment before the first call to AWS.

        The workflow runs this activity as a local activity.
        """
        return plan_environment(request, self.platform, datetime.now(UTC), activity.info().workflow_run_id or "")

    @activity.defn
    def plan_deletion(self, request: DeleteRequest) -> DeletionPlan:
        """Plan a deletion. The plan contains the names of the environment's resources."""
        return plan_deletion(request, self.platform, datetime.now(UTC))

    @activity.defn
    def plan_tenant(self, request: ReconcileTenantRequest) -> ReconcileTenantPlan:
        """Plan the labels that a tenant name requires on the two keys, before the first call to AWS."""
        return plan_tenant(request, self.platform, datetime.now(UTC))
