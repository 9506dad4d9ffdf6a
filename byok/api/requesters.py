"""Builds the requester of an HTTP request, on whose behalf `EnvironmentService` acts (contract 147)."""

import re
import uuid
from typing import Annotated, Final

from fastapi import Depends, Header, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byok.api.authentication import Caller
from byok.domain.models import MAX_REASON_LENGTH, EntryPoint, Requester

REQUEST_ID_HEADER: Final = "X-Request-Id"
REASON_HEADER: Final = "Byok-Reason"
_REASON_PATTERN: Final = r"^[\x20-\x7e]*$"


class RequestIdMiddleware:
    """Gives each request an id, and returns the id in the response's `X-Request-Id` header.

    A client cannot choose the id, so each id in the audit trail identifies exactly one request.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID_HEADER] = request_id
            await send(message)

        await self.app(scope, receive, send_with_id)


def read_reason(scope: Scope) -> str | None:
    """Return the reason in a request's headers; None if the reason is missing or invalid."""
    reason = Headers(scope=scope).get(REASON_HEADER, "")
    return reason if reason and len(reason) <= MAX_REASON_LENGTH and re.fullmatch(_REASON_PATTERN, reason) else None


async def _reason(
    reason: Annotated[
        str | None,
        Header(
            alias=REASON_HEADER,
            max_length=MAX_REASON_LENGTH,
            pattern=_REASON_PATTERN,
            description="The reason for this request. byok stores the text with the environment and in the audit "
            "trail.",
        ),
    ] = None,
) -> str | None:
    return reason or None


Reason = Annotated[str | None, Depends(_reason)]


def build_requester(request: Request, caller: Caller, via: EntryPoint, reason: str | None = None) -> Requester:
    """Build the requester of an HTTP request."""
    return Requester(
        via=via,
        subject=caller.subject,
        organisation=caller.organisation,
        token_id=caller.token_id,
        source=request.client.host if request.client else None,
        request_id=request.state.request_id,
        reason=reason,
    )
