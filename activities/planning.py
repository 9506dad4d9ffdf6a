"""Hands the workflows what they must not know by themselves: the platform's role, names and blueprint."""

from dataclasses import dataclass
from datetime import UTC, datetime

from temporalio import activity

from byok.domain.models import (
    CheckKeysRequest,
    DeleteRequest,
    EnvironmentPlan,
    KeyCheckPlan,
    ProvisionRequest,
    ReconcileTenantRequest,
    TenantCheckPlan,
)
from byok.domain.planning import Platform, plan_deletion, plan_environment, plan_key_check, plan_tenant


@dataclass(frozen=True)
class PlanActivities:
    """Plans, and asks nobody."""

    platform: Platform

    @activity.defn
    def plan_key_check(self, request: CheckKeysRequest) -> KeyCheckPlan:
        """What is known of two keys before AWS is asked."""
        return plan_key_check(request, self.platform, datetime.now(UTC))

    @activity.defn
    async def plan_environment(self, request: ProvisionRequest) -> EnvironmentPlan:
        """Everything that is decided about an environment before AWS is asked; run within the workflow's task."""
        return plan_environment(request, self.platform, datetime.now(UTC), activity.info().workflow_run_id or "")

    @activity.defn
    def plan_deletion(self, request: DeleteRequest) -> EnvironmentPlan:
        """What everything of an environment is called."""
        return plan_deletion(request, self.platform)

    @activity.defn
    def plan_tenant(self, request: ReconcileTenantRequest) -> TenantCheckPlan:
        """What a tenant's name means for two keys, before AWS is asked."""
        return plan_tenant(request, self.platform, datetime.now(UTC))
