"""A tenant's name on the two keys of an environment, as often as somebody asks for it."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanActivities
    from activities.tenant import TenantActivities
    from byok.contracts import RECONCILE_TENANT_WORKFLOW, tenant_workflow_id
    from byok.domain.models import Environment, ReconcileTenantRequest, TenantCheckPlan, TenantOutcome
    from byok.domain.phases import Phase
from workflows.activity_options import PLAN_OPTIONS, READ_OPTIONS, with_summary
from workflows.failures import PhaseStoppedError, extract_problems, to_workflow_failure
from workflows.progress import TenantProgressPublisher
from workflows.tenant_names import reconcile_keys
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=RECONCILE_TENANT_WORKFLOW)
class ReconcileTenant:
    """Compares what both keys bear with what they have to, and writes the difference.

    Its workflow id is `tenant/<environment id>`. It can be started at any time after the environment is there, from
    Temporal's UI as well, and as often as wanted: the second time there is nothing to write. Before it writes, it sees
    that the environment is there and on these keys. Without a role it changes nothing and verifies nothing, and its
    result has the commands (D11).

    Two of them cannot run at once for one environment: they would have one id. Through the service it begins only after
    the provisioning has ended, too. Started by hand beside a provisioning that names the same keys, nothing holds the
    two apart: where they give different names, the tags are those of the later one, and both aliases are there.
    """

    def __init__(self) -> None:
        self._record: TenantProgressPublisher
        self._outcome: TenantOutcome

    @workflow.run
    async def run(self, request: ReconcileTenantRequest) -> TenantOutcome:
        """Plan, see whose keys they are, reconcile; what becomes of it is published as it comes."""
        expected = tenant_workflow_id(request.environment_id)
        require_workflow_id(expected, f"the workflow id for the tenant of environment {request.environment_id}")
        self._record = TenantProgressPublisher(request)
        try:
            plan = await workflow.execute_activity_method(PlanActivities.plan_tenant, request, **PLAN_OPTIONS)
            await self._name_keys(request, plan)
        except (PhaseStoppedError, ActivityError, asyncio.CancelledError) as error:
            raise self._stop(request, error) from error
        return self._outcome

    async def _name_keys(self, request: ReconcileTenantRequest, plan: TenantCheckPlan) -> None:
        if plan.tenant is None:
            raise PhaseStoppedError(plan.findings)
        if plan.tenant.role is not None:
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

    def _stop(
        self, request: ReconcileTenantRequest, error: PhaseStoppedError | ActivityError | asyncio.CancelledError
    ) -> BaseException:
        """Publish why, and give the failure to end with."""
        problems = extract_problems(error, request, Phase.RECONCILING_TENANT, workflow.now())
        self._record.publish_problems(problems)
        return to_workflow_failure(error, f"Tenant {request.tenant} on the keys of {request.environment_id}", problems)
