"""Creates an environment: starts its workflow, or finds the workflow that an identical earlier request started."""

from dataclasses import dataclass
from typing import Final

from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from byok import contracts
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.service.encryption import is_encryption_fixed, require_same_encryption
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import (
    EnvironmentBusyError,
    EnvironmentConflictError,
    EnvironmentNotFoundError,
    IdempotencyKeyReusedError,
    QuotaExceededError,
)
from byok.service.histories import describe_conflict, diff_requests
from byok.service.provisioning import start_provisioning
from byok.service.quotas import require_environment_quota
from byok.service.records import read_provision_request
from byok.service.status import EnvironmentStatus
from byok.service.temporal_errors import translate_temporal_errors
from byok.temporal_quotas import QuotaCounter
from byok.temporal_reads import describe_or_none
from byok.temporal_records import find_record

_RESTART_AFTER: Final = {
    Phase.DELETED: WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    Phase.STOPPED: WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
}
"""The phases from which an environment can start over, each with the strictest workflow id reuse policy that allows a
new run.
"""


@dataclass(frozen=True)
class CreateResult:
    """The result of a request to create an environment.

    Attributes:
        started: Whether this request started the environment; False if an identical earlier request started the
            environment.
    """

    environment_id: str
    workflow_id: str
    run_id: str
    started: bool


async def create_environment(
    reader: EnvironmentReader, counter: QuotaCounter, task_queue: str, request: ProvisionRequest, key: str | None
) -> CreateResult:
    """Start an environment, or return the existing environment. See `EnvironmentService.create`."""
    with translate_temporal_errors():
        try:
            await _require_no_record(reader, request)
            await _require_quota_if_new(reader, counter, request)
            return await _start(reader, task_queue, request, WorkflowIDReusePolicy.REJECT_DUPLICATE, key)
        except WorkflowAlreadyStartedError:
            found = await _find_existing(reader, request)
        if is_encryption_fixed(found):
            require_same_encryption(found, request.encryption)
        policy = _RESTART_AFTER.get(found.phase)
        if policy is not None and not await _has_request_key(reader, found, key):
            _require_region_of_resources(request, found)
            await require_environment_quota(counter, request.organisation, request.environment_id)
            try:
                return await _start(reader, task_queue, request, policy, key)
            except WorkflowAlreadyStartedError:  # another request started the workflow first
                found = await _find_existing(reader, request)
        return await _require_same_request(reader, request, found, key)


async def _require_no_record(reader: EnvironmentReader, request: ProvisionRequest) -> None:
    """Require that the environment has no record.

    An environment whose workflow Temporal has deleted still has a record (contract 134).

    Raises:
        WorkflowAlreadyStartedError: The environment exists.
    """
    found = await find_record(reader.client, request.environment_id)
    if found is not None and found.is_open:
        workflow_id = contracts.environment_workflow_id(request.environment_id)
        raise WorkflowAlreadyStartedError(workflow_id, contracts.PROVISION_ENVIRONMENT_WORKFLOW)


async def _require_quota_if_new(reader: EnvironmentReader, counter: QuotaCounter, request: ProvisionRequest) -> None:
    """Require that the organisation's quotas allow a new environment.

    A repeated request must find its environment even if the organisation has used up a quota.

    Raises:
        QuotaExceededError: The environment does not exist, and its organisation has used up a quota.
        WorkflowAlreadyStartedError: The environment exists, so the request is not for a new environment.
    """
    try:
        await require_environment_quota(counter, request.organisation, request.environment_id)
    except QuotaExceededError:
        workflow_id = contracts.environment_workflow_id(request.environment_id)
        if await describe_or_none(reader.client.get_workflow_handle(workflow_id)) is not None:
            raise WorkflowAlreadyStartedError(workflow_id, contracts.PROVISION_ENVIRONMENT_WORKFLOW) from None
        raise


async def _start(
    reader: EnvironmentReader,
    task_queue: str,
    request: ProvisionRequest,
    policy: WorkflowIDReusePolicy,
    key: str | None,
) -> CreateResult:
    handle = await start_provisioning(reader.client, task_queue, request, policy, key, reader.requester)
    return CreateResult(request.environment_id, handle.id, handle.result_run_id or "", started=True)


async def _find_existing(reader: EnvironmentReader, request: ProvisionRequest) -> EnvironmentStatus:
    """Return the status of the environment that has the requested id.

    Raises:
        EnvironmentConflictError: The environment belongs to another organisation. The message reveals neither the owner
            nor anything else about the environment.
    """
    taken = EnvironmentConflictError(f"The name {request.environment_id} is not available. Choose another name.")
    try:
        found = await reader.read_status(request.environment_id)
    except EnvironmentNotFoundError as error:
        raise taken from error
    if found.organisation != request.organisation and found.phase is not Phase.DELETED:
        raise taken
    return found


def _require_region_of_resources(request: ProvisionRequest, found: EnvironmentStatus) -> None:
    """Require that a stopped environment starts over in the Region in which it has resources (contract 135).

    Raises:
        EnvironmentConflictError: The environment has resources in another Region.
    """
    if not found.resources.is_empty and found.phase is not Phase.DELETED and found.region != request.region:
        raise EnvironmentConflictError(
            f"{request.environment_id} has resources in {found.region}, so it cannot be created in {request.region}. "
            "Use that Region, or delete the environment first."
        )


async def _has_request_key(reader: EnvironmentReader, found: EnvironmentStatus, key: str | None) -> bool:
    """Return whether a request with this idempotency key started the run."""
    if key is None or found.record is not None:  # Temporal has deleted the workflow and its idempotency key
        return False
    described = await reader.client.get_workflow_handle(found.workflow_id, run_id=found.run_id).describe()
    return bool(await described.memo_value(contracts.IDEMPOTENCY_KEY_MEMO, None) == key)


async def _require_same_request(
    reader: EnvironmentReader, request: ProvisionRequest, found: EnvironmentStatus, key: str | None
) -> CreateResult:
    """Return the existing environment if it was requested with the same values."""
    if found.phase is Phase.DELETING:
        raise EnvironmentBusyError(
            f"{request.environment_id} is being deleted. Try again once `byok status {request.environment_id}` "
            f"shows {Phase.DELETED}."
        )
    earlier = await read_provision_request(reader.client, found)
    if earlier is None:
        raise EnvironmentConflictError(
            f"The running workflow of {request.environment_id} has an input that byok cannot read. Wait "
            "until a worker has picked up the workflow and the workflow has failed; then create the environment again."
        )
    differing = diff_requests(earlier, request)
    if differing and await _has_request_key(reader, found, key):
        raise IdempotencyKeyReusedError(
            f"This idempotency key was already used with different values: {', '.join(differing.values())}. Use a "
            "new key for a different request."
        )
    if differing:
        raise EnvironmentConflictError(describe_conflict(request.environment_id, differing))
    return CreateResult(request.environment_id, found.workflow_id, found.run_id or "", started=False)
