"""Checks two keys, and waits for the verdicts."""

from typing import Any, Final, NoReturn

from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from byok import contracts
from byok.domain.models import CheckKeysRequest, KeyCheckResult
from byok.domain.quotas import QUOTA_EXCEEDED_CODE
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import KeyCheckFailedError
from byok.service.quotas import require_key_check_quota
from byok.service.temporal_errors import translate_temporal_errors
from byok.service.workflow_starts import build_priority, build_requester_memo
from byok.temporal_quotas import QuotaCounter

KEY_CHECK_ACCEPTED: Final = "The key check was accepted"
"""The beginning of the error message if no worker is available."""


async def start_key_check(
    reader: EnvironmentReader, counter: QuotaCounter, task_queue: str, request: CheckKeysRequest
) -> WorkflowHandle[Any, KeyCheckResult]:
    """Start a check of two keys, or find the running check of the same keys.

    Raises:
        QuotaExceededError: The organisation has checked a key too often.
    """
    with translate_temporal_errors():
        await require_key_check_quota(counter, request)
        handle: WorkflowHandle[Any, KeyCheckResult] = await reader.client.start_workflow(
            contracts.CHECK_KEYS_WORKFLOW,
            request,
            id=contracts.key_check_workflow_id(request),
            task_queue=task_queue,
            result_type=KeyCheckResult,
            memo=build_requester_memo(reader.requester) or None,
            priority=build_priority(request.organisation),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        reader.note_run(handle.id, handle.result_run_id)
        return handle


async def check_keys(
    reader: EnvironmentReader, counter: QuotaCounter, task_queue: str, request: CheckKeysRequest
) -> KeyCheckResult:
    """Return a verdict on each of two keys. See `EnvironmentService.check_keys`."""
    handle = await start_key_check(reader, counter, task_queue, request)
    with translate_temporal_errors():
        try:
            return await reader.wait_for_result(handle, KEY_CHECK_ACCEPTED)
        except WorkflowFailureError as error:
            await raise_key_check_failure(counter, request, error)


async def raise_key_check_failure(
    counter: QuotaCounter, request: CheckKeysRequest, error: WorkflowFailureError
) -> NoReturn:
    """Raise the error for a key check that failed."""
    # Another check started first and used up the quota.
    if getattr(error.cause, "type", None) == QUOTA_EXCEEDED_CODE:
        await require_key_check_quota(counter, request, may_join=False)
    raise KeyCheckFailedError(f"The key check failed: {error.cause}") from error
