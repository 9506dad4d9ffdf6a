"""Limits a request's size, the time for sending its body, and the number of requests per minute."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byok.api.problems import build_problem_response
from byok.api.rate_limits import build_rate_limit_headers

REPEATED_REFUSAL: Final = "repeated_refusal"
"""The key in a request's state that marks a repeated refusal.

The middleware sets the key if the rate limit has already refused another request from the same address in this minute.
"""


class _BodyTooLargeError(Exception):
    """The body exceeds the limit."""


@dataclass(frozen=True)
class BodyLimitMiddleware:
    """Buffers a request's body.

    A request whose body is too large or arrives too slowly is rejected, and the rest of the body is not read.

    Attributes:
        app: The application.
        most_bytes: The maximum size of a body.
        timeout_seconds: How long the client may take to send the body.
    """

    app: ASGIApp
    most_bytes: int
    timeout_seconds: float

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.timeout_seconds):
                body = await self._read_body(receive)
        except _BodyTooLargeError:
            detail = f"Request body too large: the limit is {self.most_bytes} bytes."
            refusal = build_problem_response(scope, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "byok.TooLarge", detail)
            await refusal(scope, receive, send)
            return
        except TimeoutError:
            detail = f"Request body too slow: the limit is {self.timeout_seconds:g} s."
            refusal = build_problem_response(
                scope, HTTPStatus.REQUEST_TIMEOUT, "byok.TooSlow", detail, headers={"Connection": "close"}
            )
            await refusal(scope, receive, send)
            return
        if body is None:
            return
        handed_over = False

        async def receive_body() -> Message:
            nonlocal handed_over
            if handed_over:
                return await receive()  # waits until the caller disconnects
            handed_over = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive_body, send)

    async def _read_body(self, receive: Receive) -> bytes | None:
        """Return the whole body, or None if the client has disconnected."""
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most_bytes:
                raise _BodyTooLargeError
        return bytes(body)


@dataclass
class RateLimitMiddleware:
    """Limits the requests per minute from one address; each server process keeps its own count.

    This limiter keeps two counters for each address (a sliding window). With a moving window, the `limits` library
    would store the time of each request, and scan all addresses on every request.
    """

    app: ASGIApp
    per_minute: int
    _item: RateLimitItem = field(init=False, repr=False)
    _refusals: RateLimitItem = field(
        init=False, repr=False, default_factory=lambda: RateLimitItemPerMinute(1, namespace="refusals")
    )
    _limiter: SlidingWindowCounterRateLimiter = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._item = RateLimitItemPerMinute(self.per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        address = (scope.get("client") or ("unknown",))[0]
        if await self._limiter.hit(self._item, address):
            await self.app(scope, receive, send)
            return
        scope["state"][REPEATED_REFUSAL] = not await self._limiter.hit(self._refusals, address)
        window = await self._limiter.get_window_stats(self._item, address)
        wait = timedelta(seconds=window.reset_time - time.time())
        headers = build_rate_limit_headers("requests", self.per_minute, window=timedelta(minutes=1), retry_after=wait)
        detail = (
            f"Rate limit of {self.per_minute} requests per minute exceeded: try again in {headers['Retry-After']} s."
        )
        refusal = build_problem_response(
            scope, HTTPStatus.TOO_MANY_REQUESTS, "byok.TooManyRequests", detail, headers=headers
        )
        await refusal(scope, receive, send)
