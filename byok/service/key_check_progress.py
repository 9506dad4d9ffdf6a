"""Starts a key check without waiting for its result, and reads the progress of the check."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.client import WorkflowFailureError, WorkflowHandle, WorkflowQueryFailedError
from temporalio.service import RPCError, RPCStatusCode

from byok import contracts
from byok.audit.record import AuditAction
from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckedKey, CheckKeysRequest, KeyCheckResult
from byok.service import key_checks
from byok.service.environments import EnvironmentService
from byok.service.pending import PendingStep
from byok.service.temporal_errors import translate_temporal_errors

_QUERY_TIMEOUT: Final = timedelta(seconds=1)
"""How long to wait for a worker to return the verdicts so far. If a busy worker does not answer in time, the next read
returns the verdicts.
"""

_ACTIVITY_BY_KEY: Final = {KeyPurpose.S3: "probe_s3_key", KeyPurpose.RDS: "await_aurora_proof"}


@dataclass(frozen=True)
class KeyCheckProgress:
    """The progress of a key check.

    Attributes:
        result: The result; None while the check runs.
        verdicts: The verdicts on the keys that are already checked.
        steps: For each key, the step that the check is waiting for.
        elapsed: How long the check has been running; zero once it has ended.
    """

    result: KeyCheckResult | None
    verdicts: dict[KeyPurpose, CheckedKey]
    steps: dict[KeyPurpose, PendingStep]
    elapsed: timedelta = timedelta(0)


async def start_key_check(service: EnvironmentService, request: CheckKeysRequest) -> str:
    """Start a check of two keys, and return the run id, which `read_key_check` needs to find the check.

    Raises:
        QuotaExceededError: The organisation has checked a key too often.
    """
    await service.record_intent(AuditAction.CHECK_KEYS, request.model_dump())
    handle = await key_checks.start_key_check(service, service.counter, service.task_queue, request)
    return handle.result_run_id or ""


async def read_key_check(
    service: EnvironmentService, request: CheckKeysRequest, run_id: str, wait: timedelta
) -> KeyCheckProgress | None:
    """Return the progress of a key check; None if the check does not exist.

    Args:
        service: Acts on behalf of the user who started the check.
        request: The request with which the check was started.
        run_id: The check's run id.
        wait: How long to wait for the result before the progress is returned without it.

    Raises:
        NoWorkerError: No worker is available.
        KeyCheckFailedError: The key check itself failed.
        QuotaExceededError: The organisation has checked a key too often.
    """
    handle = service.client.get_workflow_handle(
        contracts.key_check_workflow_id(request), run_id=run_id, result_type=KeyCheckResult
    )
    with translate_temporal_errors():
        try:
            async with asyncio.timeout(wait.total_seconds()):
                result = await handle.result(follow_runs=False)
            return KeyCheckProgress(result, {one.key: one for one in result.keys.both}, {})
        except TimeoutError:
            pass
        except WorkflowFailureError as error:
            await key_checks.raise_key_check_failure(service.counter, request, error)
        except RPCError as error:
            if error.status in {RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT}:
                return None
            raise
        status = await service.describe_short_workflow(handle, key_checks.KEY_CHECK_ACCEPTED)
        verdicts = await _read_verdicts(handle)
    waiting = {
        which: step for which, name in _ACTIVITY_BY_KEY.items() for step in status.pending if step.activity == name
    }
    return KeyCheckProgress(None, {one.key: one for one in verdicts}, waiting, datetime.now(UTC) - status.started_at)


async def _read_verdicts(handle: WorkflowHandle[Any, KeyCheckResult]) -> list[CheckedKey]:
    try:
        verdicts: list[CheckedKey] = await handle.query(
            contracts.KEY_VERDICTS_QUERY, result_type=list[CheckedKey], rpc_timeout=_QUERY_TIMEOUT
        )
    except (RPCError, WorkflowQueryFailedError):  # no worker answered in time, but the rest of the progress is known
        return []
    return verdicts
