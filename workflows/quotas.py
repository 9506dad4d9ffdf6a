"""Stops an organisation's workflow that would exceed a quota, before the workflow uses a key."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.quotas import QuotaActivities
    from byok.domain.models import CheckKeysRequest, ProvisionRequest, QuotaTask
from workflows.activity_options import READ_OPTIONS
from workflows.failures import PhaseStoppedError


async def require_quota(request: ProvisionRequest | CheckKeysRequest) -> None:
    """Stop the workflow if it would exceed one of the organisation's quotas. The vendor's own workflows have no quota.

    `byok.service` makes the same check before it starts a workflow. The check in the workflow also covers workflows
    that a person starts directly in Temporal.

    Raises:
        PhaseStoppedError: A quota is used up.
    """
    if request.organisation is None:
        return
    task = QuotaTask(
        organisation=request.organisation,
        region=request.region,
        environment_id=None if isinstance(request, CheckKeysRequest) else request.environment_id,
        key_arns=request.key_pair.arns if isinstance(request, CheckKeysRequest) else (),
        started_at=workflow.info().workflow_start_time,
        profile=request.profile,
    )
    found = await workflow.execute_activity_method(QuotaActivities.find_exceeded_quota, task, **READ_OPTIONS)
    if found.problem is not None:
        raise PhaseStoppedError((found.problem,))
