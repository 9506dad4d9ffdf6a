"""Refuses requests that were not sent to the server's public URL."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from byok.api.problems import build_problem_response

PROBE_PATHS: Final = frozenset({"/health", "/ready"})
"""The paths of the health checks, which load balancers and container platforms request by IP address and over http. The
responses reveal no data."""


@dataclass(frozen=True)
class PublicUrlMiddleware:
    """Requires requests to use the public URL's host and scheme (421 Misdirected Request, RFC 9110 section 15.5.20).

    uvicorn takes the scheme from `X-Forwarded-Proto` only if the request comes from a trusted proxy
    (`FORWARDED_ALLOW_IPS`).

    Attributes:
        app: The application.
        public_url: The origin of the public URL: the scheme, the host, and the port if it is not the scheme's default.
    """

    app: ASGIApp
    public_url: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        reason = self._find_reason_to_refuse(scope) if scope["type"] == "http" else None
        if reason is None:
            await self.app(scope, receive, send)
            return
        await build_problem_response(scope, HTTPStatus.MISDIRECTED_REQUEST, *reason)(scope, receive, send)

    def _find_reason_to_refuse(self, scope: Scope) -> tuple[str, str] | None:
        """Return the problem's code and message, or None if the request is allowed."""
        if scope["path"] in PROBE_PATHS:
            return None
        public = urlsplit(self.public_url)
        default_port = ":443" if public.scheme == "https" else ":80"
        if Headers(scope=scope).get("host", "").lower().removesuffix(default_port) != public.netloc:
            return "byok.WrongHost", f"This server only answers requests for {self.public_url}."
        if scope["scheme"] != public.scheme:
            return "byok.WrongScheme", (
                f"The request arrived over {scope['scheme']}: send the request to {self.public_url}. If a proxy "
                f"received the request over {public.scheme}, the proxy must set X-Forwarded-Proto, and the server's "
                "FORWARDED_ALLOW_IPS must contain the proxy's address."
            )
        return None
