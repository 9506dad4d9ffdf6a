"""The settings of notifications (`BYOK_NOTIFICATIONS__…`)."""

from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from byok.domain.notifications import WebhookEndpoint


class NotificationSettings(BaseModel):
    """Where byok delivers notifications (`BYOK_NOTIFICATIONS__…`). Only workers need these settings.

    Attributes:
        endpoints: The endpoints, as a JSON list. Without endpoints, byok delivers nothing.
        allow_private_addresses: Whether byok may deliver to loopback and private addresses. An endpoint's host name
            could otherwise make a worker send requests into the platform's own network.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    endpoints: tuple[WebhookEndpoint, ...] = ()
    allow_private_addresses: bool = False

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [endpoint.name for endpoint in self.endpoints]
        if len(set(names)) < len(names):
            raise ValueError("BYOK_NOTIFICATIONS__ENDPOINTS: two endpoints have the same name")
        return self
