"""Puts the tenant name on both keys. The last phase of provisioning and the tenant workflow share this module."""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.tenant import TenantActivities
    from byok.domain.models import (
        Environment,
        Problem,
        ReconciledKey,
        ReconcileKeyTask,
        RegionRequest,
        TenantCommandsTask,
        TenantOutcome,
        TenantPlan,
    )
    from byok.domain.phases import Phase
from workflows.activity_options import READ_OPTIONS, WRITE_OPTIONS, with_summary
from workflows.cancellation import raise_if_cancelled, shield_until_done
from workflows.failures import PhaseStoppedError, extract_problem, is_cancellation


async def reconcile_keys(
    request: RegionRequest, environment: Environment, plan: TenantPlan, on_progress: Callable[[TenantOutcome], None]
) -> None:
    """Reconcile both keys or, if no role is given, publish the commands that the key administrator can run (D11).

    If byok cannot put the name on the first key, it still tries the second key, and then reports all problems together.
    If the problem is caused by the role and not by the key, byok skips the second key and reports the problem once.
    Otherwise, the second key would fail in the same way after another grace period.

    Args:
        request: The request whose values appear in the reported problems.
        environment: The environment that uses the keys.
        plan: The required labels.
        on_progress: Called with the outcome so far whenever the name is on a key. The outcome is therefore published
            even if a problem with the other key stops the workflow.

    Raises:
        PhaseStoppedError: byok could not put the tenant name on one or both keys.
    """
    if plan.role_arn is None:
        commands = TenantCommandsTask(environment=environment, tenant=plan.tenant, stack_name=plan.stack_name)
        on_progress(
            await workflow.execute_activity_method(TenantActivities.build_tenant_commands, commands, **READ_OPTIONS)
        )
        return
    keys: list[ReconciledKey] = []
    problems: list[Problem] = []
    for marks in plan.marks:
        raise_if_cancelled()
        task = ReconcileKeyTask(
            environment=environment,
            marks=marks,
            role_arn=plan.role_arn,
            repoint=plan.repoint,
            request_kind=plan.request_kind,
        )
        try:
            keys.append(
                await shield_until_done(
                    workflow.start_activity_method(
                        TenantActivities.reconcile_key,
                        task,
                        **with_summary(WRITE_OPTIONS, f"{marks.key.field_label} {marks.key_arn}"),
                    )
                )
            )
        except ActivityError as error:
            if is_cancellation(error):
                raise
            problems.append(extract_problem(error, request, Phase.RECONCILING_TENANT, workflow.now()))
            if problems[-1].key is None:
                break
        else:
            on_progress(TenantOutcome(tenant=plan.tenant, keys=tuple(keys)))
    if problems:
        raise PhaseStoppedError(problems)
