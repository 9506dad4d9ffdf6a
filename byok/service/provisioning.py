"""Starts an environment's workflow.

The first phase is in the workflow's memo from the start, so that the environment has a status even without a worker.
"""

from datetime import UTC, datetime
from typing import Any, Final

from temporalio.client import Client, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from byok.contracts import (
    CREATED_AT_ATTRIBUTE,
    EARLIER_ATTEMPTS_MEMO,
    ENVIRONMENT_ID_ATTRIBUTE,
    IDEMPOTENCY_KEY_MEMO,
    ORGANISATION_ATTRIBUTE,
    PHASE_ATTRIBUTE,
    PROGRESS_MEMO,
    PROVISION_ENVIRONMENT_WORKFLOW,
    environment_workflow_id,
)
from byok.domain.models import (
    EarlierAttempts,
    EnvironmentProgress,
    Evidence,
    ProvisionRequest,
    Requester,
    TimelineEntry,
)
from byok.domain.models.records import find_creation
from byok.domain.phases import Phase
from byok.service.attempt_memo import build_attempts_memo
from byok.service.workflow_starts import build_priority, build_requester_memo, measure_requester

_FIRST: Final = Phase.VALIDATING_KEYS


async def start_provisioning(
    client: Client,
    task_queue: str,
    request: ProvisionRequest,
    policy: WorkflowIDReusePolicy,
    key: str | None,
    requester: Requester | None,
) -> WorkflowHandle[Any, Evidence]:
    """Start provisioning.

    Setting the memo and the search attributes at the start saves the workflow two events and one action. Temporal
    rejects search attributes that no worker has registered in the namespace yet. If Temporal rejects the search
    attributes, byok starts the workflow without them, and the workflow publishes its first phase itself.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        task_queue: The task queue that the workers poll.
        request: The environment to create.
        policy: Whether a new run is allowed after an earlier run for the same environment.
        key: The idempotency key of this request, if any.
        requester: Who makes the request, if known.

    Raises:
        WorkflowAlreadyStartedError: The environment exists, and the policy does not allow another run.
    """
    named: dict[str, Any] = build_requester_memo(requester)
    if key is not None:
        named[IDEMPOTENCY_KEY_MEMO] = key
    entry = TimelineEntry(phase=_FIRST, entered_at=datetime.now(UTC))
    progress = EnvironmentProgress(request=request, phase=_FIRST, timeline=(entry,))
    if policy is not WorkflowIDReusePolicy.REJECT_DUPLICATE:  # if duplicates are rejected, there is no earlier run
        size = len(progress.model_dump_json()) + len(key or "") + measure_requester(requester)
        named |= await build_attempts_memo(client, request.environment_id, request.organisation, used_bytes=size)
    earlier = EarlierAttempts.model_validate(named.get(EARLIER_ATTEMPTS_MEMO, {}))
    published = {PROGRESS_MEMO: progress, **named}
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(ENVIRONMENT_ID_ATTRIBUTE, request.environment_id),
        SearchAttributePair(PHASE_ATTRIBUTE, _FIRST.value),
        SearchAttributePair(CREATED_AT_ATTRIBUTE, find_creation(earlier.attempts, entry.entered_at)),
    ]
    if request.organisation is not None:
        pairs.append(SearchAttributePair(ORGANISATION_ATTRIBUTE, request.organisation))
    attributes = TypedSearchAttributes(pairs)

    async def attempt(
        memo: dict[str, Any], search_attributes: TypedSearchAttributes | None
    ) -> WorkflowHandle[Any, Evidence]:
        return await client.start_workflow(
            PROVISION_ENVIRONMENT_WORKFLOW,
            request,
            id=environment_workflow_id(request.environment_id),
            task_queue=task_queue,
            result_type=Evidence,
            id_reuse_policy=policy,
            memo=memo or None,
            priority=build_priority(request.organisation),
            search_attributes=search_attributes,
            static_summary=f"{request.environment_id} in {request.region}",
        )

    try:
        return await attempt(published, attributes)
    except RPCError as error:
        if error.status is not RPCStatusCode.INVALID_ARGUMENT:
            raise
    return await attempt(named, None)
