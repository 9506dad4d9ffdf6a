"""Refuses a request that would exceed a quota of the requester's organisation, before byok starts a workflow.

The workflow repeats the check, because requests can arrive at the same time, and because a person can start a workflow
in Temporal.
"""

from collections.abc import Awaitable

from temporalio.service import RPCError, RPCStatusCode

from byok.contracts import key_check_workflow_id
from byok.domain.models import CheckKeysRequest
from byok.domain.quotas import ExceededQuota
from byok.service.errors import QuotaExceededError
from byok.temporal_quotas import QuotaCounter


async def require_environment_quota(counter: QuotaCounter, organisation: str | None, environment_id: str) -> None:
    """Check that an organisation's quotas allow it to provision another environment.

    The vendor's own environments have no quota.

    Raises:
        QuotaExceededError: The organisation has used up a quota.
    """
    if organisation is not None:
        await _require_none(counter.find_exceeded_by_environment(organisation, environment_id))


async def require_key_check_quota(counter: QuotaCounter, request: CheckKeysRequest, *, may_join: bool = True) -> None:
    """Check that an organisation's quota allows another check of these keys. The vendor's own checks have no quota.

    Args:
        counter: Counts the organisation's environments and key checks.
        request: The check.
        may_join: Whether to allow the request if an identical check is in progress, in which case no new workflow
            starts.

    Raises:
        QuotaExceededError: The organisation has checked a key too often.
    """
    if request.organisation is None:
        return
    try:
        await _require_none(counter.find_exceeded_by_key_check(request.organisation, request.key_pair.arns))
    except QuotaExceededError:
        in_progress = f"WorkflowId = '{key_check_workflow_id(request)}' AND CloseTime IS NULL"
        if not may_join or (await counter.client.count_workflows(in_progress)).count == 0:
            raise


async def _require_none(search: Awaitable[ExceededQuota | None]) -> None:
    try:
        exceeded = await search
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
        return  # no worker has registered the search attributes yet, so there is nothing to count
    if exceeded is not None:
        raise QuotaExceededError(exceeded)
