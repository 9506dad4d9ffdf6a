"""Deliveries are listed with their state, endpoints can be tested, and notifications can be delivered again."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

import activities.webhooks
from byok.contracts import DELIVER_NOTIFICATION_WORKFLOW, delivery_workflow_id
from byok.domain.models import Notification, NotificationType
from byok.service.environments import EnvironmentService
from byok.service.errors import DeliveryFailedError, DeliveryNotFoundError
from byok.service.notifications import (
    Delivery,
    DeliveryState,
    deliver_test_notification,
    list_deliveries,
    resend_notification,
)
from byok.temporal_deliveries import start_deliveries
from tests.webhook_receiver import SILENCE, WebhookReceiver, receiver
from tests.workflows.fake_activities import FakeActivities
from tests.workflows.temporal_env import WorkflowHarness, run_harness

__all__ = ["receiver"]


@pytest_asyncio.fixture
async def harness(temporal: WorkflowEnvironment, receiver: WebhookReceiver) -> AsyncIterator[WorkflowHarness]:
    """A worker that has the receiver as its only endpoint."""
    activities = FakeActivities(endpoints=(receiver.build_endpoint(),), sender=receiver.make_sender())
    async with run_harness(temporal, activities, f"queue-{uuid.uuid4().hex}") as running:
        yield running


async def notify(harness: WorkflowHarness, environment_id: str) -> Notification:
    notification = Notification(
        id=str(uuid.uuid4()), type=NotificationType.KEY_LOST, environment_id=environment_id, at=datetime.now(UTC)
    )
    await start_deliveries(harness.client, harness.task_queue, notification, harness.activities.endpoints)
    return notification


async def wait_until_listed(
    service: EnvironmentService, environment_id: str, fact: Callable[[list[Delivery]], bool]
) -> list[Delivery]:
    """Request the list until it satisfies a condition, because Temporal's lists are eventually consistent."""
    async with asyncio.timeout(30):
        while True:
            found = await list_deliveries(service, environment_id)
            if fact(found):
                return found
            await asyncio.sleep(0.05)


def have_state(state: DeliveryState) -> Callable[[list[Delivery]], bool]:
    return lambda found: [one.state for one in found] == [state]


async def test_accepted_notification_is_listed_as_delivered(
    harness: WorkflowHarness, service: EnvironmentService, environment_id: str
) -> None:
    notification = await notify(harness, environment_id)

    (found,) = await wait_until_listed(service, environment_id, have_state(DeliveryState.DELIVERED))

    assert (found.id, found.endpoint, found.type) == (f"portal/{notification.id}", "portal", notification.type)
    assert (found.environment_id, found.at, found.error) == (environment_id, notification.at, None)


async def test_retry_is_listed_with_the_last_error(
    harness: WorkflowHarness, service: EnvironmentService, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(500, {}), (SILENCE, {})]
    await notify(harness, environment_id)

    (found,) = await wait_until_listed(service, environment_id, have_state(DeliveryState.RETRYING))

    assert (found.attempt, found.error) == (2, "Endpoint portal answered with status 500.")


async def test_delivery_without_a_failed_attempt_is_pending(
    harness: WorkflowHarness, service: EnvironmentService, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(SILENCE, {})]
    await notify(harness, environment_id)

    await wait_until_listed(service, environment_id, have_state(DeliveryState.PENDING))


async def test_failed_delivery_is_listed_with_its_error(
    harness: WorkflowHarness, service: EnvironmentService, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(410, {})]
    await notify(harness, environment_id)

    (found,) = await wait_until_listed(service, environment_id, have_state(DeliveryState.FAILED))

    assert found.error == "Endpoint portal answered with status 410."


async def test_notification_is_delivered_again_under_the_same_id(
    harness: WorkflowHarness, service: EnvironmentService, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(410, {})]
    notification = await notify(harness, environment_id)
    await wait_until_listed(service, environment_id, have_state(DeliveryState.FAILED))

    assert await resend_notification(service, f"portal/{notification.id}") == f"portal/{notification.id}"

    await wait_until_listed(service, environment_id, have_state(DeliveryState.DELIVERED))
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == notification.id  # contract 144
    assert first.body == second.body


async def test_delivery_in_progress_starts_over(
    harness: WorkflowHarness,
    service: EnvironmentService,
    receiver: WebhookReceiver,
    environment_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activities.webhooks, "REQUEST_TIMEOUT", timedelta(seconds=2))
    receiver.answers = [(500, {}), (SILENCE, {})]
    notification = await notify(harness, environment_id)
    await wait_until_listed(service, environment_id, have_state(DeliveryState.RETRYING))

    await resend_notification(service, delivery_workflow_id("portal", notification.id))

    await wait_until_listed(service, environment_id, have_state(DeliveryState.DELIVERED))
    assert {one.headers["webhook-id"] for one in receiver.requests} == {notification.id}


@pytest.mark.parametrize("delivery", ["portal/00000000-0000-0000-0000-000000000000", "portal", "", "/"])
async def test_unknown_delivery_is_not_resent(service: EnvironmentService, delivery: str) -> None:
    with pytest.raises(DeliveryNotFoundError, match="byok notifications list"):
        await resend_notification(service, delivery)


async def test_delivery_that_byok_did_not_start_is_neither_listed_nor_resent(
    harness: WorkflowHarness, service: EnvironmentService, environment_id: str
) -> None:
    request: dict[str, Any] = {"endpoint": 7}
    await harness.client.start_workflow(
        DELIVER_NOTIFICATION_WORKFLOW,
        request,
        id=delivery_workflow_id("portal", environment_id),
        task_queue=harness.task_queue,
    )
    with pytest.raises(DeliveryNotFoundError):
        await resend_notification(service, f"portal/{environment_id}")
    assert await list_deliveries(service, environment_id) == []


async def test_list_has_at_most_the_requested_number(
    harness: WorkflowHarness, service: EnvironmentService, environment_id: str
) -> None:
    for _ in range(3):
        await notify(harness, environment_id)
    delivered = [DeliveryState.DELIVERED] * 3
    found = await wait_until_listed(service, environment_id, lambda found: [one.state for one in found] == delivered)

    assert [one.at for one in found] == sorted((one.at for one in found), reverse=True)
    assert len(await list_deliveries(service, environment_id, limit=2)) == 2


async def test_test_notification_is_delivered_at_once(service: EnvironmentService, receiver: WebhookReceiver) -> None:
    receipt = await deliver_test_notification(service, "portal")

    assert receipt.status == 204
    assert receiver.requests[0].verify()["type"] == "byok.notification.test"


async def test_failed_test_is_reported_after_one_attempt(
    service: EnvironmentService, receiver: WebhookReceiver
) -> None:
    receiver.answers = [(500, {})] * 9

    with pytest.raises(DeliveryFailedError, match="Endpoint portal answered with status 500"):
        await deliver_test_notification(service, "portal")
    with pytest.raises(DeliveryFailedError, match="contain no endpoint other"):
        await deliver_test_notification(service, "other")
    assert len(receiver.requests) == 1
