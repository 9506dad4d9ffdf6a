"""The activity that delivers a notification to an endpoint (contract 144)."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.webhooks import AddressNotAllowedError, EndpointUnreachableError, WebhookSender, sign_webhook
from byok.domain.models import DeliveryReceipt, DeliveryRequest
from byok.domain.notifications import EVENT_CONTENT_TYPE, WebhookEndpoint, choose_retry_pause, render_event

UNKNOWN_ENDPOINT: Final = "byok.UnknownEndpoint"
ADDRESS_NOT_ALLOWED: Final = "byok.EndpointAddressNotAllowed"
ENDPOINT_UNREACHABLE: Final = "byok.EndpointUnreachable"
NOTIFICATION_NOT_ACCEPTED: Final = "byok.NotificationNotAccepted"
ENDPOINT_GONE: Final = "byok.EndpointGone"

_GONE: Final = 410


class NotificationActivities:
    """Delivers notifications to the endpoints in the worker's settings.

    Args:
        endpoints: The endpoints.
        sender: Sends the requests.
    """

    def __init__(self, endpoints: Sequence[WebhookEndpoint] = (), sender: WebhookSender | None = None) -> None:
        self._endpoints = {endpoint.name: endpoint for endpoint in endpoints}
        self._sender = sender or WebhookSender()

    @activity.defn
    async def deliver_notification(self, request: DeliveryRequest) -> DeliveryReceipt:
        """Sign and send a notification, and return the receipt with the endpoint's response.

        Raises:
            ApplicationError: The endpoint did not accept the notification. Temporal retries the activity unless the
                endpoint answered 410 (Gone). With this status, an endpoint unsubscribes (Standard Webhooks, "Delivery
                success and failure").
        """
        endpoint = self._endpoints.get(request.endpoint)
        if endpoint is None:  # retried, because other workers may already have the new settings
            message = f"The worker's settings contain no endpoint {request.endpoint} (BYOK_NOTIFICATIONS__ENDPOINTS)."
            raise _failure(message, UNKNOWN_ENDPOINT)
        body, now = render_event(request.notification), datetime.now(UTC)
        headers = sign_webhook(endpoint.secrets, request.notification.id, now, body)
        try:
            answer = await self._sender.post(endpoint.url, {**headers, "content-type": EVENT_CONTENT_TYPE}, body)
        except AddressNotAllowedError as error:
            message = (
                f"byok is not allowed to deliver to endpoint {endpoint.name}: {error}. To allow private addresses, set "
                "BYOK_NOTIFICATIONS__ALLOW_PRIVATE_ADDRESSES=true."
            )
            raise _failure(message, ADDRESS_NOT_ALLOWED) from None
        except EndpointUnreachableError as error:
            raise _failure(f"Endpoint {endpoint.name} is unreachable: {error}.", ENDPOINT_UNREACHABLE) from None
        if 200 <= answer.status < 300:  # noqa: PLR2004
            return DeliveryReceipt(status=answer.status, attempt=activity.info().attempt, delivered_at=now)
        message = f"Endpoint {endpoint.name} answered with status {answer.status}."
        if answer.status == _GONE:
            raise ApplicationError(message, type=ENDPOINT_GONE, non_retryable=True)
        raise _failure(message, NOTIFICATION_NOT_ACCEPTED, answer.retry_after)


def _failure(message: str, code: str, retry_after: timedelta | None = None) -> ApplicationError:
    pause = choose_retry_pause(activity.info().attempt, retry_after)
    return ApplicationError(message, type=code, next_retry_delay=pause)
