"""Who made a request, and why."""

from enum import StrEnum
from typing import Final

from byok.domain.models.base import RecordModel

MAX_REASON_LENGTH: Final = 256
"""The maximum length of a reason, in characters."""


class EntryPoint(StrEnum):
    """The program that received a request."""

    API = "API"
    WIZARD = "wizard"
    CLI = "CLI"
    TEMPORAL = "Temporal"


class Requester(RecordModel):
    """The person or program that made a request (contract 147). byok stores the requester with the workflow.

    Attributes:
        subject: The name of the person or program: the token's subject or name, or the user and host of the CLI.
        organisation: The organisation whose environments the requester may use; None for the vendor's staff, who may
            use all environments.
        token_id: The token's id (`jti`) or its name in the settings, if the requester authenticated with a token.
        source: The network address from which the request came, if it came over the network.
        request_id: The id of the request, which byok also returns to the requester.
        reason: Why the request was made, in the requester's words.
    """

    via: EntryPoint
    subject: str
    organisation: str | None = None
    token_id: str | None = None
    source: str | None = None
    request_id: str
    reason: str | None = None
