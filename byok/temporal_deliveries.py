"""Starts the deliveries of notifications, each of which is a workflow of its own (decision 0042)."""

import asyncio
from collections.abc import Sequence
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from byok.contracts import (
    DELIVER_NOTIFICATION_WORKFLOW,
    DELIVERY_MEMO,
    ENVIRONMENT_ID_ATTRIBUTE,
    ORGANISATION_ATTRIBUTE,
    delivery_workflow_id,
)
from byok.domain.models import DeliveryReceipt, DeliveryRequest, Notification
from byok.domain.notifications import WebhookEndpoint


async def start_deliveries(
    client: Client, task_queue: str, notification: Notification, endpoints: Sequence[WebhookEndpoint]
) -> None:
    """Start the delivery of a notification to each endpoint that is subscribed to this kind of notification.

    Each delivery is started only once, even if this function is called repeatedly for the same notification.

    Args:
        client: A client with the plugin from `byok.temporal.make_plugin()`.
        task_queue: The task queue that the workers poll.
        notification: The notification. If the same change is reported again, the notification must have the same id.
        endpoints: The endpoints in the worker's settings.

    Raises:
        RPCError: Temporal does not respond. Some deliveries may already have been started; call the function again to
            start the others.
    """
    requests = [
        DeliveryRequest(endpoint=endpoint.name, notification=notification)
        for endpoint in endpoints
        if endpoint.wants(notification)
    ]
    await asyncio.gather(*(_start_once(client, task_queue, request) for request in requests))


async def _start_once(client: Client, task_queue: str, request: DeliveryRequest) -> None:
    try:
        await start_delivery(client, task_queue, request)
    except WorkflowAlreadyStartedError:  # the delivery has ended
        return


async def start_delivery(
    client: Client,
    task_queue: str,
    request: DeliveryRequest,
    *,
    id_reuse_policy: WorkflowIDReusePolicy = WorkflowIDReusePolicy.REJECT_DUPLICATE,
    id_conflict_policy: WorkflowIDConflictPolicy = WorkflowIDConflictPolicy.USE_EXISTING,
) -> WorkflowHandle[Any, DeliveryReceipt]:
    """Start a delivery, or return the delivery that is already in progress.

    Raises:
        RPCError: Temporal does not respond.
        WorkflowAlreadyStartedError: The delivery has already run, and the id reuse policy forbids another run.
    """
    notification = request.notification
    values = {
        ENVIRONMENT_ID_ATTRIBUTE: notification.environment_id,
        ORGANISATION_ATTRIBUTE: notification.organisation,
    }
    pairs = [SearchAttributePair(key, value) for key, value in values.items() if value is not None]
    return await client.start_workflow(
        DELIVER_NOTIFICATION_WORKFLOW,
        request,
        id=delivery_workflow_id(request.endpoint, notification.id),
        task_queue=task_queue,
        result_type=DeliveryReceipt,
        id_reuse_policy=id_reuse_policy,
        id_conflict_policy=id_conflict_policy,
        memo={DELIVERY_MEMO: request.summarise()},
        search_attributes=TypedSearchAttributes(pairs),
        priority=Priority(fairness_key=notification.organisation),
        static_summary=f"{notification.type} {notification.environment_id or ''} → {request.endpoint}",
    )
