"""Adds security and caching headers to every response, including a content security policy."""

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byok.domain.help_pages import DOCS_PATH

_HSTS: Final = "max-age=31536000"
"""How long browsers use only https for this host: a year, in seconds (RFC 6797)."""

_SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@dataclass(frozen=True)
class ResponseHeadersMiddleware:
    """Restricts what caches and browsers may do with a response.

    Caches may store only static files.

    If the public URL is an https URL, the headers also tell browsers to use only https for this host.

    Attributes:
        app: The application.
        https: Whether the public URL is an https URL.
    """

    app: ASGIApp
    https: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # Static files contain no customer data, so browsers may cache static files, but must revalidate them
                # before each use.
                headers["Cache-Control"] = (
                    "no-cache" if scope["path"].startswith(("/static/", f"{DOCS_PATH}/")) else "no-store"
                )
                headers.update(_SECURITY_HEADERS)
                if self.https and scope["scheme"] == "https":  # RFC 6797 section 7.2 forbids the header over http
                    headers["Strict-Transport-Security"] = _HSTS
            await send(message)

        await self.app(scope, receive, send_with_headers)


@dataclass(frozen=True)
class ContentSecurityPolicyMiddleware:
    """Adds a content security policy to all responses, including responses to internal errors.

    Attributes:
        app: The application.
        policy: The policy.
    """

    app: ASGIApp
    policy: str

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = self.policy
            await send(message)

        await self.app(scope, receive, send_with_policy)
