"""A workflow delivers each notification to each endpoint at least once, with a signature and a stable id."""

import json
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

import worker
from activities import environment_records
from activities.notifications import ENDPOINT_GONE, NOTIFICATION_NOT_ACCEPTED
from byok.contracts import (
    DELIVER_NOTIFICATION_WORKFLOW,
    ENVIRONMENT_ID_ATTRIBUTE,
    INVALID_INPUT_ERROR_TYPE,
    ORGANISATION_ATTRIBUTE,
    delivery_workflow_id,
    record_workflow_id,
)
from byok.domain.models import DeliveryReceipt, DeliveryRequest, Notification, NotificationType
from byok.domain.notifications import build_notification_id, build_test_notification
from byok.domain.phases import Phase
from byok.settings import Settings
from byok.temporal_deliveries import start_deliveries
from byok.temporal_reads import describe_or_none
from byok.temporal_records import find_record
from tests.webhook_receiver import NEW_SECRET, SECRET, WebhookReceiver, receiver
from tests.workflows.fake_activities import (
    S3_KEY,
    FakeActivities,
    build_aws_failure,
    build_delete_request,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness, build_temporal_activities, run_harness
from tests.workflows.test_provision_environment import wait_for_failure
from workflows.registry import list_workflows

__all__ = ["receiver"]

DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)


@pytest_asyncio.fixture
async def notifying(temporal: WorkflowEnvironment, receiver: WebhookReceiver) -> AsyncIterator[WorkflowHarness]:
    """A worker that has the receiver as its only endpoint."""
    activities = FakeActivities(endpoints=(receiver.build_endpoint(),), sender=receiver.make_sender())
    async with run_harness(temporal, activities, f"queue-{uuid.uuid4().hex}", sandbox=True) as harness:
        yield harness


def build_notification(environment_id: str) -> Notification:
    return Notification(
        id=str(uuid.uuid4()),
        type=NotificationType.KEY_LOST,
        environment_id=environment_id,
        organisation="acme",
        region="eu-central-1",
        at=datetime.now(UTC),
    )


def get_delivery(client: Client, notification_id: str, endpoint: str = "portal") -> WorkflowHandle[Any, Any]:
    workflow_id = delivery_workflow_id(endpoint, notification_id)
    return client.get_workflow_handle(workflow_id, result_type=DeliveryReceipt)


async def deliver(harness: WorkflowHarness, notification: Notification) -> WorkflowHandle[Any, Any]:
    await start_deliveries(harness.client, harness.task_queue, notification, harness.activities.endpoints)
    return get_delivery(harness.client, notification.id)


async def wait_for_delivery_failure(handle: WorkflowHandle[Any, Any]) -> ApplicationError:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    assert isinstance(caught.value.cause, ActivityError)
    found: BaseException = caught.value.cause
    while found.__cause__ is not None:
        found = found.__cause__
    assert isinstance(found, ApplicationError)
    return found


async def test_provisioned_environment_is_delivered_signed_and_found_by_its_id(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    run = await notifying.start_provision(build_provision_request(environment_id))
    await run.result()

    assert run.first_execution_run_id is not None
    handle = get_delivery(notifying.client, build_notification_id(run.first_execution_run_id, Phase.READY))
    assert (await handle.result()).status == 204
    (request,) = receiver.requests
    event = request.verify()  # contract 144
    assert (event["type"], event["subject"]) == ("byok.environment.provisioned", environment_id)
    assert event["data"]["phase"] == "READY"
    attributes = (await handle.describe()).typed_search_attributes
    assert attributes[ENVIRONMENT_ID_ATTRIBUTE] == environment_id


async def test_stop_and_deletion_are_delivered(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    notifying.activities.script["probe_s3_key"] = [DISABLED]
    stopped = await notifying.start_provision(build_provision_request(environment_id))
    await wait_for_failure(stopped)
    deleted = await notifying.start_delete(build_delete_request(environment_id))
    await deleted.result()

    for run, phase in ((stopped, Phase.STOPPED), (deleted, Phase.DELETED)):
        assert run.first_execution_run_id is not None
        await get_delivery(notifying.client, build_notification_id(run.first_execution_run_id, phase)).result()
    events = {one["type"]: one["data"] for one in (request.verify() for request in receiver.requests)}
    assert set(events) == {"byok.environment.stopped", "byok.environment.deleted"}  # contract 144
    stop = events["byok.environment.stopped"]
    assert (stop["problem_code"], stop["problem_message"]) == ("s3.KMS.DisabledException", f"{S3_KEY} is disabled.")
    assert events["byok.environment.deleted"]["attempt"] == "deletion"


async def test_notification_is_retried_under_the_same_id_until_it_is_accepted(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(500, {}), (503, {"retry-after": "30"}), (404, {})]
    notification = build_notification(environment_id)

    receipt = await (await deliver(notifying, notification)).result()

    assert (receipt.status, receipt.attempt) == (204, 4)
    assert [one.headers["webhook-id"] for one in receiver.requests] == [notification.id] * 4  # contract 144
    assert len({one.body for one in receiver.requests}) == 1
    for request in receiver.requests:
        request.verify()


@pytest.mark.virtual_time
async def test_delivery_fails_with_the_last_error_after_three_days(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(500, {})] * 99

    error = await wait_for_delivery_failure(await deliver(notifying, build_notification(environment_id)))

    assert (error.type, error.message) == (NOTIFICATION_NOT_ACCEPTED, "Endpoint portal answered with status 500.")
    assert 11 <= len(receiver.requests) <= 13


async def test_endpoint_that_is_gone_gets_one_request(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(410, {})]

    error = await wait_for_delivery_failure(await deliver(notifying, build_notification(environment_id)))

    assert (error.type, len(receiver.requests)) == (ENDPOINT_GONE, 1)


async def test_notification_that_is_reported_again_is_delivered_once(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    notification = build_notification(environment_id)
    first = await deliver(notifying, notification)
    await deliver(notifying, notification)
    await first.result()
    again = await deliver(notifying, notification)
    await again.result()

    assert len(receiver.requests) == 1  # contract 144


async def test_notification_is_not_lost_if_the_worker_fails_between_report_and_delivery(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [RPCError("gone", RPCStatusCode.UNAVAILABLE, b"")]

    async def start_after_a_failure(*given: Any) -> None:
        if failures:
            raise failures.pop()
        await start_deliveries(*given)

    monkeypatch.setattr(environment_records, "start_deliveries", start_after_a_failure)
    run = await notifying.start_provision(build_provision_request(environment_id))
    await run.result()

    assert run.first_execution_run_id is not None
    await get_delivery(notifying.client, build_notification_id(run.first_execution_run_id, Phase.READY)).result()
    assert len(receiver.requests) == 1  # contract 144
    record = await find_record(notifying.client, environment_id)
    assert record is not None
    assert len((await record.read_state()).attempts) == 1


async def test_each_endpoint_has_a_delivery_of_its_own(
    temporal: WorkflowEnvironment, receiver: WebhookReceiver, environment_id: str
) -> None:
    endpoints = (
        receiver.build_endpoint("first"),
        receiver.build_endpoint("second", secrets=[NEW_SECRET, SECRET]),
        receiver.build_endpoint("others", organisation="globex"),
        receiver.build_endpoint("deletions", types=["byok.environment.deleted"]),
    )
    activities = FakeActivities(endpoints=endpoints, sender=receiver.make_sender())
    notification = build_notification(environment_id)
    async with run_harness(temporal, activities, f"queue-{uuid.uuid4().hex}") as harness:
        await start_deliveries(harness.client, harness.task_queue, notification, endpoints)
        for name in ("first", "second"):
            handle = get_delivery(harness.client, notification.id, name)
            await handle.result()
            assert (await handle.describe()).typed_search_attributes[ORGANISATION_ATTRIBUTE] == "acme"

    assert len(receiver.requests) == 2
    assert [one.verify()["id"] for one in receiver.requests] == [notification.id] * 2
    for name in ("others", "deletions"):
        assert await describe_or_none(get_delivery(temporal.client, notification.id, name)) is None


async def test_nothing_is_started_without_endpoints(harness: WorkflowHarness, environment_id: str) -> None:
    run = await harness.start_provision(build_provision_request(environment_id))
    await run.result()

    assert run.first_execution_run_id is not None
    notification_id = build_notification_id(run.first_execution_run_id, Phase.READY)
    assert await describe_or_none(get_delivery(harness.client, notification_id)) is None


async def test_refused_run_is_not_delivered(notifying: WorkflowHarness, receiver: WebhookReceiver) -> None:
    """The environment id belongs to another owner, whose environment did not change, so no notification is sent."""
    environment_id = f"globex-{uuid.uuid4().hex[:8]}"
    first = await notifying.start_provision(build_provision_request(environment_id))
    await first.result()
    assert first.first_execution_run_id is not None
    await get_delivery(notifying.client, build_notification_id(first.first_execution_run_id, Phase.READY)).result()
    refused = await notifying.start_provision(build_provision_request(environment_id, organisation="globex"))
    await wait_for_failure(refused)

    assert refused.first_execution_run_id is not None
    notification_id = build_notification_id(refused.first_execution_run_id, Phase.STOPPED)
    assert await describe_or_none(get_delivery(notifying.client, notification_id)) is None
    assert len(receiver.requests) == 1


async def test_temporal_holds_neither_the_url_nor_a_secret(
    notifying: WorkflowHarness, receiver: WebhookReceiver, environment_id: str
) -> None:
    receiver.answers = [(500, {}), (410, {})]
    run = await notifying.start_provision(build_provision_request(environment_id))
    await run.result()
    assert run.first_execution_run_id is not None
    delivery = get_delivery(notifying.client, build_notification_id(run.first_execution_run_id, Phase.READY))
    await wait_for_delivery_failure(delivery)

    record = notifying.client.get_workflow_handle(record_workflow_id(environment_id))
    for handle in (run, record, delivery):
        stored = b"".join([event.SerializeToString() async for event in handle.fetch_history_events()])
        assert environment_id.encode() in stored
        for secret in (SECRET, SECRET.removeprefix("whsec_"), "hunter2", "https://receiver.test"):
            assert secret.encode() not in stored  # contract 144


async def test_delivery_under_another_workflow_id_is_refused(notifying: WorkflowHarness) -> None:
    request = DeliveryRequest(endpoint="portal", notification=build_test_notification())

    with pytest.raises(WorkflowFailureError) as caught:
        await notifying.client.execute_workflow(
            DELIVER_NOTIFICATION_WORKFLOW, request, id=f"typed-{uuid.uuid4().hex}", task_queue=notifying.task_queue
        )
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == INVALID_INPUT_ERROR_TYPE


async def test_worker_delivers_to_the_endpoints_in_its_settings(
    temporal: WorkflowEnvironment, receiver: WebhookReceiver, environment_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = {"name": "portal", "url": f"https://localhost:{receiver.port}/hooks", "secrets": [SECRET]}
    monkeypatch.setenv("BYOK_NOTIFICATIONS__ENDPOINTS", json.dumps([endpoint]))
    monkeypatch.setenv("BYOK_NOTIFICATIONS__ALLOW_PRIVATE_ADDRESSES", "true")
    session = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="eu-central-1")
    own = worker.build_activities(Settings(), session, "arn:aws:iam::111122223333:role/Platform")
    by_name = {activity.__name__: activity for activity in own}
    fakes = {activity.__name__: activity for activity in FakeActivities().list_activities}
    # The real activities that call only Temporal or an endpoint, and fakes of those that call AWS.
    real = {activity.__name__ for activity in build_temporal_activities()} | {"deliver_notification"}
    queue = f"queue-{uuid.uuid4().hex}"
    with ThreadPoolExecutor(8) as executor:
        async with Worker(
            temporal.client,
            task_queue=queue,
            workflows=list_workflows(versioned=False),
            activities=[*({**fakes, **{name: by_name[name] for name in real}}).values()],
            activity_executor=executor,
        ):
            harness = WorkflowHarness(temporal.client, queue, FakeActivities())
            run = await harness.start_provision(build_provision_request(environment_id))
            await run.result()
            assert run.first_execution_run_id is not None
            notification_id = build_notification_id(run.first_execution_run_id, Phase.READY)
            await get_delivery(temporal.client, notification_id).result()

    assert receiver.requests[0].verify()["subject"] == environment_id
