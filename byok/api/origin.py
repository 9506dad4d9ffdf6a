"""Protects against cross-site requests from a user's browser."""

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
    """Rejects state-changing requests from another site's pages (RFC 6454; Fetch, "Origin header").

    Requests without the `Origin` header are accepted, because they come from programs, not from browsers. These
    programs have no session cookie that another site could abuse. A web page cannot make a browser omit the header, so
    even a server without authentication is protected.

    Attributes:
        app: The application.
        public_url: The only origin whose pages may send requests that change anything. If `public_url` is None, the
            host of the origin must be the host of the request.
    """

    app: ASGIApp
    public_url: str | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["method"] not in _SAFE:
            headers = Headers(scope=scope)
            origin = headers.get("origin")
            if origin is not None and not self._is_own(origin, headers.get("host")):
                refusal = build_problem_response(
                    scope, HTTPStatus.FORBIDDEN, "byok.ForeignOrigin", "Cross-site requests are not allowed."
                )
                await refusal(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_own(self, origin: str, host: str | None) -> bool:
        return _host(origin) == host if self.public_url is None else origin == self.public_url


def _host(origin: str) -> str | None:
    """Return the host of an origin; None if the origin is not a valid URL."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
