"""byok signs each notification and sends it to a real receiver, but never connects to a forbidden address."""

import asyncio
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import webhooks
from activities.notifications import (
    ADDRESS_NOT_ALLOWED,
    ENDPOINT_GONE,
    ENDPOINT_UNREACHABLE,
    NOTIFICATION_NOT_ACCEPTED,
    UNKNOWN_ENDPOINT,
    NotificationActivities,
)
from activities.webhooks import EndpointUnreachableError, WebhookSender, may_deliver_to, resolve_host
from byok.domain.models import DeliveryReceipt, DeliveryRequest, Notification, NotificationType
from byok.domain.notifications import WebhookEndpoint, render_event
from tests.webhook_receiver import HOST, NEW_SECRET, SECRET, SILENCE, WebhookReceiver, receiver

__all__ = ["receiver"]

NOTIFICATION = Notification(
    id="9a0b3c5e-notification",
    type=NotificationType.PROVISIONED,
    environment_id="acme-1",
    region="eu-central-1",
    at=datetime.now(UTC),
)


async def deliver(endpoint: WebhookEndpoint, sender: WebhookSender, attempt: int = 1) -> DeliveryReceipt:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    activity = NotificationActivities([endpoint], sender).deliver_notification
    return await environment.run(activity, DeliveryRequest(endpoint="portal", notification=NOTIFICATION))


async def fail_to_deliver(endpoint: WebhookEndpoint, sender: WebhookSender, attempt: int = 1) -> ApplicationError:
    """Deliver a notification, check that the error contains no URL and no secret, and return the error."""
    with pytest.raises(ApplicationError) as caught:
        await deliver(endpoint, sender, attempt)
    error = caught.value
    assert not [one for one in ("hunter2", "whsec_", "secret", "/hooks") if one in str(error)]  # contract 144
    assert error.__cause__ is None
    return error


async def test_receiver_verifies_the_request_with_the_library(receiver: WebhookReceiver) -> None:
    receipt = await deliver(receiver.build_endpoint(), receiver.make_sender(), attempt=3)

    (request,) = receiver.requests
    event = request.verify()  # contract 144
    assert (event["specversion"], event["id"]) == ("1.0", NOTIFICATION.id)
    assert request.headers["webhook-id"] == event["id"]
    assert request.headers["content-type"] == "application/cloudevents+json"
    assert request.headers["host"] == f"{HOST}:{receiver.port}"
    assert request.target == "/hooks?token=hunter2"
    assert request.body == render_event(NOTIFICATION)
    assert (receipt.status, receipt.attempt) == (204, 3)


async def test_changed_body_is_not_verified(receiver: WebhookReceiver) -> None:
    await deliver(receiver.build_endpoint(), receiver.make_sender())

    (request,) = receiver.requests
    request.body = request.body.replace("acme-1", "acme-2")
    with pytest.raises(WebhookVerificationError):
        request.verify()


async def test_receiver_with_the_old_or_the_new_secret_accepts_during_a_rotation(receiver: WebhookReceiver) -> None:
    await deliver(receiver.build_endpoint(secrets=[NEW_SECRET, SECRET]), receiver.make_sender())

    (request,) = receiver.requests
    assert request.verify(NEW_SECRET) == request.verify(SECRET)  # contract 144
    with pytest.raises(WebhookVerificationError):
        request.verify("whsec_YW5vdGhlci1zZWNyZXQtb2YtMjQtYnl0ZXM=")


@pytest.mark.parametrize("status", [500, 503, 429, 400, 404, 302, 304])
async def test_answer_other_than_success_is_retried_with_a_pause(receiver: WebhookReceiver, status: int) -> None:
    receiver.answers = [(status, {"location": f"https://{HOST}:{receiver.port}/elsewhere"})]

    error = await fail_to_deliver(receiver.build_endpoint(), receiver.make_sender())

    assert (error.type, error.non_retryable) == (NOTIFICATION_NOT_ACCEPTED, False)
    assert error.message == f"Endpoint portal answered with status {status}."
    assert error.next_retry_delay is not None
    assert timedelta(seconds=5) <= error.next_retry_delay <= timedelta(seconds=6)
    assert [one.target for one in receiver.requests] == ["/hooks?token=hunter2"]  # no redirect was followed


async def test_pause_grows_with_the_attempts_and_honours_retry_after(receiver: WebhookReceiver) -> None:
    receiver.answers = [(503, {"retry-after": "100"}), (503, {"retry-after": "1"})]

    first = await fail_to_deliver(receiver.build_endpoint(), receiver.make_sender())
    fifth = await fail_to_deliver(receiver.build_endpoint(), receiver.make_sender(), attempt=5)

    assert first.next_retry_delay is not None
    assert fifth.next_retry_delay is not None
    assert first.next_retry_delay >= timedelta(seconds=100)
    assert fifth.next_retry_delay >= timedelta(seconds=1280)


async def test_endpoint_that_is_gone_gets_no_retry(receiver: WebhookReceiver) -> None:
    receiver.answers = [(410, {})]

    error = await fail_to_deliver(receiver.build_endpoint(), receiver.make_sender())

    assert (error.type, error.non_retryable) == (ENDPOINT_GONE, True)


async def test_endpoint_that_this_worker_does_not_know_is_retried(receiver: WebhookReceiver) -> None:
    error = await fail_to_deliver(receiver.build_endpoint("other"), receiver.make_sender())

    assert (error.type, error.non_retryable, receiver.requests) == (UNKNOWN_ENDPOINT, False, [])
    assert "BYOK_NOTIFICATIONS__ENDPOINTS" in error.message


async def test_loopback_is_refused_unless_private_addresses_are_allowed(receiver: WebhookReceiver) -> None:
    refusing = receiver.make_sender(allow_private_addresses=False)

    error = await fail_to_deliver(receiver.build_endpoint(), refusing)

    assert (error.type, error.non_retryable, receiver.requests) == (ADDRESS_NOT_ALLOWED, False, [])
    assert "127.0.0.1" in error.message
    assert "BYOK_NOTIFICATIONS__ALLOW_PRIVATE_ADDRESSES" in error.message


async def test_host_without_an_address_is_refused(receiver: WebhookReceiver) -> None:
    async def resolve(_: str, __: int) -> list[str]:
        return []

    error = await fail_to_deliver(receiver.build_endpoint(), WebhookSender(resolve=resolve))

    assert "resolves to no address" in error.message


async def test_host_is_resolved_once_and_the_checked_address_is_used(receiver: WebhookReceiver) -> None:
    """No DNS server can resolve `receiver.test`, so if the HTTP library resolved the name again, it would fail."""
    await deliver(receiver.build_endpoint(), receiver.make_sender())

    assert receiver.resolved == [HOST]
    assert len(receiver.requests) == 1


async def test_next_address_is_used_if_one_refuses_the_connection(receiver: WebhookReceiver) -> None:
    sender = receiver.make_sender(addresses=["127.0.0.2", "169.254.169.254", "127.0.0.1"])

    await deliver(receiver.build_endpoint(), sender)

    assert len(receiver.requests) == 1


async def test_certificate_of_another_host_is_refused(receiver: WebhookReceiver) -> None:
    endpoint = receiver.build_endpoint(url=f"https://other.test:{receiver.port}/hooks")

    error = await fail_to_deliver(endpoint, receiver.make_sender())

    assert (error.type, receiver.requests) == (ENDPOINT_UNREACHABLE, [])
    assert "certificate" in error.message


async def test_untrusted_certificate_is_refused(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")

    error = await fail_to_deliver(receiver.build_endpoint(), receiver.make_sender())

    assert (error.type, receiver.requests) == (ENDPOINT_UNREACHABLE, [])


async def test_proxy_of_the_environment_is_not_used(receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    assert (await deliver(receiver.build_endpoint(), receiver.make_sender())).status == 204


async def test_closed_port_and_unknown_host_are_reported(receiver: WebhookReceiver) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"https://localhost:{unused.getsockname()[1]}/hooks"
        refused = await fail_to_deliver(receiver.build_endpoint(url=closed), receiver.make_sender())
    unknown = receiver.build_endpoint(url="https://nowhere.invalid/hooks")
    unresolved = await fail_to_deliver(unknown, WebhookSender())

    assert {refused.type, unresolved.type} == {ENDPOINT_UNREACHABLE}
    assert "the host name cannot be resolved" in unresolved.message


async def test_real_resolution_of_localhost(receiver: WebhookReceiver) -> None:
    endpoint = receiver.build_endpoint(url=f"https://localhost:{receiver.port}/hooks")

    assert (await deliver(endpoint, WebhookSender(allow_private_addresses=True))).status == 204
    assert (await fail_to_deliver(endpoint, WebhookSender())).type == ADDRESS_NOT_ALLOWED
    assert "127.0.0.1" in await resolve_host("localhost", 1)


async def test_receiver_that_does_not_answer_is_given_up(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "REQUEST_TIMEOUT", timedelta(seconds=2))
    receiver.answers = [(SILENCE, {})]

    error = await fail_to_deliver(receiver.build_endpoint(), receiver.make_sender())

    assert (error.type, len(receiver.requests)) == (ENDPOINT_UNREACHABLE, 1)


async def test_receiver_that_completes_no_tls_handshake_is_given_up(
    receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "CONNECT_TIMEOUT", timedelta(milliseconds=200))

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/hooks"
        error = await fail_to_deliver(receiver.build_endpoint(url=url), receiver.make_sender())

    assert error.message == "Endpoint portal is unreachable: ConnectTimeout."


async def test_invalid_url_is_reported_without_the_url() -> None:
    with pytest.raises(EndpointUnreachableError, match="its URL is invalid"):
        await WebhookSender().post("https://a.test:hunter2/", {}, "")


PUBLIC = ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1")
PRIVATE = (
    *("127.0.0.1", "127.9.9.9", "::1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "fd00::1", "100.64.0.1", "240.0.0.1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "192.0.2.1", "2001:db8::1"),
)
NEVER = (
    "169.254.169.254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "fe80::1",
    "224.0.0.1",
    "ff02::1",
    "0.0.0.0",
)


@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE, *NEVER, "::"])
def test_only_public_addresses_are_allowed_by_default(address: str) -> None:
    assert may_deliver_to(address, allow_private=False) is (address in PUBLIC)  # contract 144


@pytest.mark.parametrize("address", [*PUBLIC, *PRIVATE, *NEVER, "::"])
def test_metadata_service_and_multicast_are_never_allowed(address: str) -> None:
    assert may_deliver_to(address, allow_private=True) is (address in PUBLIC + PRIVATE)


def test_library_signs_the_wall_clock_of_another_time_zone() -> None:
    now = datetime.now(UTC)
    elsewhere = now.astimezone(timezone(timedelta(hours=2)))

    library = Webhook(SECRET)
    assert library.sign("1", now, "{}") != library.sign("1", elsewhere, "{}")
    headers = webhooks.sign_webhook([SecretStr(SECRET)], "1", now, "{}")
    assert library.verify("{}", headers) == {}
