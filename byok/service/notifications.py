"""Lists, tests and repeats the deliveries of notifications (contract 144)."""

from datetime import datetime
from enum import StrEnum

from pydantic import ValidationError
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from byok.contracts import (
    DELIVER_NOTIFICATION_WORKFLOW,
    DELIVERY_MEMO,
    ENVIRONMENT_ID_ATTRIBUTE,
    delivery_id_from_workflow_id,
    delivery_workflow_id,
)
from byok.domain.models import DeliveryReceipt, DeliveryRequest, DeliverySummary, RecordModel
from byok.domain.notifications import build_test_notification
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import DeliveryFailedError, DeliveryNotFoundError
from byok.service.histories import read_workflow_failure, read_workflow_request, read_workflow_task_failure
from byok.service.memos import read_memo
from byok.service.pending import list_pending_steps
from byok.service.short_workflows import explain_failure
from byok.service.temporal_errors import translate_temporal_errors
from byok.temporal_deliveries import start_delivery
from byok.temporal_reads import describe_or_none, list_latest_runs


class DeliveryState(StrEnum):
    """The state of a delivery. `PENDING` means that no attempt has ended yet."""

    PENDING = "pending"
    RETRYING = "retrying"
    DELIVERED = "delivered"
    FAILED = "failed"


class Delivery(RecordModel):
    """The delivery of a notification to an endpoint.

    Attributes:
        id: `<endpoint>/<notification id>`.
        at: When the change happened.
        attempt: The number of the current or next attempt, starting at 1; None once the delivery has ended.
        error: Why the last attempt failed.
        next_attempt_at: When the next attempt is due; None if it is due already, or if the delivery has ended.
    """

    id: str
    endpoint: str
    type: str
    environment_id: str | None = None
    at: datetime
    state: DeliveryState
    attempt: int | None = None
    error: str | None = None
    next_attempt_at: datetime | None = None


async def list_deliveries(
    reader: EnvironmentReader, environment_id: str | None = None, limit: int = 100
) -> list[Delivery]:
    """Return the deliveries that Temporal still has, newest first.

    Args:
        reader: The connection to Temporal.
        environment_id: Return only deliveries about this environment.
        limit: The maximum number of deliveries. Deliveries in progress come before deliveries that have ended.

    Raises:
        TemporalUnreachableError: Temporal does not respond.
    """
    query = f"WorkflowType = '{DELIVER_NOTIFICATION_WORKFLOW}'"
    if environment_id is not None:
        query += f" AND {ENVIRONMENT_ID_ATTRIBUTE.name} = '{environment_id}'"
    with translate_temporal_errors():
        latest = await list_latest_runs(reader.client, query, limit=limit)
        newest_first = sorted(latest.values(), key=lambda one: one.start_time, reverse=True)
        found = [await _read_delivery(reader, one) for one in newest_first]
    return [one for one in found if one is not None]


async def deliver_test_notification(reader: EnvironmentReader, endpoint: str) -> DeliveryReceipt:
    """Deliver a test notification to an endpoint in one attempt, and return the receipt.

    Raises:
        DeliveryFailedError: The endpoint did not accept the notification, or is missing from a worker's settings.
        NoWorkerError: No worker is available.
    """
    request = DeliveryRequest(endpoint=endpoint, notification=build_test_notification(), once=True)
    with translate_temporal_errors():
        try:
            handle = await start_delivery(reader.client, reader.task_queue, request)
            return await reader.wait_for_result(handle, "The test was requested")
        except WorkflowFailureError as error:
            reason = explain_failure(error)
            raise DeliveryFailedError(getattr(reason, "message", str(reason))) from error


async def resend_notification(reader: EnvironmentReader, delivery_id: str) -> str:
    """Deliver a notification again, under the same id, and return the id of the delivery.

    If the delivery is still in progress, it starts over with its first attempt.

    Args:
        reader: The connection to Temporal.
        delivery_id: `<endpoint>/<notification id>`, as `list_deliveries` returns it, or the id of the workflow.

    Raises:
        DeliveryNotFoundError: Temporal has no delivery with this id, or has already deleted the delivery.
    """
    delivery_id = delivery_id_from_workflow_id(delivery_id)
    endpoint, _, notification_id = delivery_id.partition("/")
    unknown = DeliveryNotFoundError(f"Delivery {delivery_id} not found. List the deliveries: byok notifications list")
    with translate_temporal_errors():
        handle = reader.client.get_workflow_handle(delivery_workflow_id(endpoint, notification_id))
        if await describe_or_none(handle) is None:
            raise unknown
        try:
            request = await read_workflow_request(reader.client, handle, DeliveryRequest)
        except (ApplicationError, ValidationError) as error:
            raise unknown from error
        if request is None:
            raise unknown
        await start_delivery(
            reader.client,
            reader.task_queue,
            request.model_copy(update={"once": False}),
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        )
    return delivery_id


async def _read_delivery(reader: EnvironmentReader, execution: WorkflowExecution) -> Delivery | None:
    """Return the state of a delivery; None if byok did not start the delivery, or if Temporal has just deleted it."""
    summary = await read_memo(execution, DELIVERY_MEMO, DeliverySummary)
    if summary is None:
        return None
    handle = reader.client.get_workflow_handle(execution.id, run_id=execution.run_id)
    described = await describe_or_none(handle)
    if described is None:
        return None
    values = {"id": delivery_id_from_workflow_id(execution.id), **summary.model_dump(exclude={"notification_id"})}
    if described.status is WorkflowExecutionStatus.COMPLETED:
        return Delivery(**values, state=DeliveryState.DELIVERED)
    if described.status is not WorkflowExecutionStatus.RUNNING:
        failure = await read_workflow_failure(handle, described.data_converter)
        return Delivery(**values, state=DeliveryState.FAILED, error=None if failure is None else _find_reason(failure))

    async def read_task_failure() -> str | None:
        return await read_workflow_task_failure(reader.client, described.id, described.run_id)

    steps = await list_pending_steps(described, read_task_failure)
    step = next((one for one in steps if one.last_failure is not None), None)
    if step is None:
        return Delivery(**values, state=DeliveryState.PENDING)
    return Delivery(
        **values,
        state=DeliveryState.RETRYING,
        attempt=step.attempt,
        error=step.last_failure,
        next_attempt_at=step.next_attempt_at,
    )


def _find_reason(failure: BaseException) -> str:
    """Return the message of the innermost cause, which is the last attempt's failure."""
    while failure.__cause__ is not None:
        failure = failure.__cause__
    return getattr(failure, "message", None) or str(failure)
