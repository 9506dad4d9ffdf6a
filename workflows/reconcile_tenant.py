"""Puts a tenant name on both keys of an environment. You can run this workflow as often as you like."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanActivities
    from activities.tenant import TenantActivities
    from byok.contracts import RECONCILE_TENANT_WORKFLOW, tenant_workflow_id
    from byok.domain.models import Environment, ReconcileTenantPlan, ReconcileTenantRequest, TenantOutcome
    from byok.domain.phases import Phase
from workflows.activity_options import PLAN_OPTIONS, READ_OPTIONS, with_summary
from workflows.failures import PhaseStoppedError, extract_problems, to_workflow_failure
from workflows.key_validation import find_unregistered_accounts
from workflows.progress import TenantProgressPublisher
from workflows.reports import report_tenant
from workflows.tenant_names import reconcile_keys
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=RECONCILE_TENANT_WORKFLOW)
class ReconcileTenant:
    """Compares the aliases and tags on an environment's keys with the required ones, and writes those that differ.

    The workflow id is `tenant/<environment id>`. Once the environment exists, you can start the workflow at any time
    and as often as you like, even from Temporal's UI. A second run with the same request finds nothing to write. Before
    the workflow writes, it checks that the environment exists and uses the keys in the request. If the request contains
    no role, the workflow does not change or verify anything, and its result contains the commands to run (D11).

    Because the workflow id is fixed, only one run per environment can be active. `EnvironmentService` starts the
    workflow only after provisioning has ended. If you start this workflow yourself while provisioning uses the same
    keys, nothing coordinates the two workflows. If the two workflows write different tenant names, the keys end up with
    both aliases, and with the tags from the workflow that writes last.
    """

    def __init__(self) -> None:
        self._record: TenantProgressPublisher
        self._outcome: TenantOutcome

    @workflow.run
    async def run(self, request: ReconcileTenantRequest) -> TenantOutcome:
        """Plan the labels, check the environment, reconcile both keys, and publish each result as it arrives."""
        expected = tenant_workflow_id(request.environment_id)
        require_workflow_id(expected, f"the workflow id for the tenant of environment {request.environment_id}")
        self._record = TenantProgressPublisher(request)
        try:
            plan = await workflow.execute_activity_method(PlanActivities.plan_tenant, request, **PLAN_OPTIONS)
            await self._name_keys(request, plan)
        except (PhaseStoppedError, ActivityError, asyncio.CancelledError) as error:
            raise await self._stop(request, error) from error
        await report_tenant(self._record.progress, completed=True)
        return self._outcome

    async def _name_keys(self, request: ReconcileTenantRequest, plan: ReconcileTenantPlan) -> None:
        if plan.tenant is None:
            raise PhaseStoppedError(plan.findings)
        unregistered = await find_unregistered_accounts(request, plan.environment, READ_OPTIONS)
        if unregistered:
            raise PhaseStoppedError(unregistered)
        if plan.tenant.role_arn is not None:
            await self._probe(plan.environment)
        await reconcile_keys(request, plan.environment, plan.tenant, self._publish)

    async def _probe(self, environment: Environment) -> None:
        check = await workflow.execute_activity_method(
            TenantActivities.probe_environment, environment, **with_summary(READ_OPTIONS, environment.environment_id)
        )
        if check.findings:
            raise PhaseStoppedError(check.findings)

    def _publish(self, outcome: TenantOutcome) -> None:
        self._outcome = outcome
        self._record.publish_outcome(outcome)

    async def _stop(
        self, request: ReconcileTenantRequest, error: PhaseStoppedError | ActivityError | asyncio.CancelledError
    ) -> BaseException:
        """Publish the problems, and return the exception that ends the workflow."""
        problems = extract_problems(error, request, Phase.RECONCILING_TENANT, workflow.now())
        self._record.publish_problems(problems)
        await report_tenant(self._record.progress, completed=False)
        return to_workflow_failure(error, f"Tenant {request.tenant} on the keys of {request.environment_id}", problems)
