"""Keeps the pages of other sites from acting through a visitor's browser."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from byok.api.problems import build_problem_response

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class SameOriginMiddleware:
    """Refuses what changes something and was sent by a page of another site (RFC 6454; Fetch, "Origin header").

    Programs send no such header, and are let through: they have no cookie and no open server to be led to.
    """

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and _host(origin) != headers.get("host"):
                refusal = build_problem_response(
                    HTTPStatus.FORBIDDEN, "byok.ForeignOrigin", "A page of another site sent this."
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)


def _host(origin: str) -> str | None:
    """Where a page came from; None for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
