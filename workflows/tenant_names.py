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
    """Reconcile both keys, or report the commands to run if no role is given (D11).

    If one of the keys cannot get the name, the other key still gets it, and byok reports the problems of both keys. If
    the role is at fault rather than the key, byok skips the other key and reports the problem once, because the other
    key would fail in the same way after another grace period.

    Args:
        request: The request that problems refer to.
        environment: The environment that uses the keys.
        plan: The required labels.
        on_progress: Called with the outcome so far after each key that is reconciled successfully, so that the outcome
            is published even if the other key stops the workflow.

    Raises:
        PhaseStoppedError: One or both keys could not get the tenant name.
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
