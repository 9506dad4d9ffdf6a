"""The settings of notifications (`BYOK_NOTIFICATIONS__…`)."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from byok.domain.notifications import WebhookEndpoint


def _require_different_names(endpoints: tuple[WebhookEndpoint, ...]) -> tuple[WebhookEndpoint, ...]:
    if len({endpoint.name for endpoint in endpoints}) < len(endpoints):
        raise ValueError("two endpoints have the same name")
    return endpoints


class NotificationSettings(BaseModel):
    """Where byok delivers notifications (`BYOK_NOTIFICATIONS__…`). Only workers need these settings.

    Attributes:
        endpoints: The endpoints, as a JSON list. Without endpoints, byok delivers nothing.
        allow_private_addresses: Whether byok may deliver to loopback and private addresses. If private addresses were
            allowed, the host name of an endpoint could direct a worker's requests into the platform's own network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoints: Annotated[tuple[WebhookEndpoint, ...], AfterValidator(_require_different_names)] = ()
    allow_private_addresses: bool = False
