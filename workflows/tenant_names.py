"""Gives both keys their tenant's name, the same for a provisioning's last phase and for a workflow of its own."""

from collections.abc import Callable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.tenant import TenantActivities
    from byok.domain.models import (
        CheckKeysRequest,
        Environment,
        Problem,
        ReconciledKey,
        ReconcileKeyTask,
        TenantOutcome,
        TenantPlan,
    )
    from byok.domain.phases import Phase
from workflows.activity_options import WRITE_OPTIONS, with_summary
from workflows.cancellation import raise_if_cancelled, shield_until_done
from workflows.failures import PhaseStoppedError, extract_problem, is_cancellation


async def reconcile_keys(
    request: CheckKeysRequest, environment: Environment, plan: TenantPlan, on_progress: Callable[[TenantOutcome], None]
) -> None:
    """Reconcile both keys, or hand over the commands where there is no role to do it with (D11).

    A key that cannot be named does not keep the other one from it, and the problems of both are told. Where it is not
    the key's fault but the role's, say, the other one would be refused alike, after a grace of its own: that is told
    once.

    Args:
        request: What was asked for.
        environment: Whose keys they are.
        plan: What they are to bear.
        on_progress: Is given what became of the name so far, whenever there is more of it, and before a stop too.

    Raises:
        PhaseStoppedError: One or both could not be named.
    """
    if plan.role is None:
        on_progress(TenantOutcome(tenant=plan.tenant, commands=plan.commands))
        return
    keys: list[ReconciledKey] = []
    problems: list[Problem] = []
    for marks in plan.marks:
        raise_if_cancelled()
        task = ReconcileKeyTask(
            environment=environment,
            marks=marks,
            role=plan.role,
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
