"""A tenant's name on the two keys of an environment, as often as somebody asks for it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.planning import PlanActivities
    from byok.contracts import ENVIRONMENT_ID, PROBLEM_CODE, RECONCILE_TENANT, tenant_workflow_id
    from byok.domain.models import Problem, TenantOutcome, TenantRequest
    from byok.temporal import invalid_input
from workflows.execution import PLAN
from workflows.failures import PhaseStoppedError, stopped
from workflows.tenant_names import name_keys


@workflow.defn(name=RECONCILE_TENANT)
class ReconcileTenant:
    """Compares what both keys bear with what they have to, and writes the difference.

    It can be started at any time after the environment is there, from Temporal's UI as well, and as often as wanted:
    the second time there is nothing to write. Without a role it changes nothing, and its result has the commands.
    """

    @workflow.run
    async def run(self, request: TenantRequest) -> TenantOutcome:
        """Plan, reconcile, report."""
        _must_be_named_after(request)
        workflow.upsert_search_attributes([ENVIRONMENT_ID.value_set(request.environment_id)])
        plan = await workflow.execute_activity_method(PlanActivities.plan_tenant, request, **PLAN)
        if plan.tenant is None:
            raise self._stop(request, plan.findings)
        try:
            return await name_keys(request, plan.environment, plan.tenant)
        except PhaseStoppedError as error:
            raise self._stop(request, error.problems) from error

    def _stop(self, request: TenantRequest, problems: tuple[Problem, ...]) -> BaseException:
        workflow.upsert_search_attributes([PROBLEM_CODE.value_set(problems[0].code)])
        return stopped(f"Tenant {request.tenant} on the keys of {request.environment_id}", problems)


def _must_be_named_after(request: TenantRequest) -> None:
    """One environment, one workflow id: two names at the same time would undo each other."""
    expected, actual = tenant_workflow_id(request.environment_id), workflow.info().workflow_id
    if actual != expected:
        raise invalid_input(
            f"environment_id: the workflow id for the tenant of environment {request.environment_id} has to be "
            f"{expected}, and this workflow was started as {actual}."
        )
