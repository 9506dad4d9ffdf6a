"""Limits the size of a request and the number of requests per minute."""

import math
import time
from dataclasses import dataclass, field
from http import HTTPStatus

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from byok.api.problems import build_problem_response


@dataclass(frozen=True)
class BodySizeLimitMiddleware:
    """Buffers a request's body. If the body is too large, rejects the request without reading the rest of the body."""

    app: ASGIApp
    most_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            body += message.get("body", b"")
            more = message.get("more_body", False)
            if len(body) > self.most_bytes:
                detail = f"Request body too large: the limit is {self.most_bytes} bytes."
                refusal = build_problem_response(scope, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "byok.TooLarge", detail)
                await refusal(scope, receive, send)
                return
        handed_over = False

        async def receive_body() -> Message:
            nonlocal handed_over
            if handed_over:
                return await receive()  # waits until the caller disconnects
            handed_over = True
            return {"type": "http.request", "body": bytes(body), "more_body": False}

        await self.app(scope, receive_body, send)


@dataclass
class RateLimitMiddleware:
    """Limits the requests per minute from one address; each server process keeps its own count.

    This limiter keeps two counters for each address (a sliding window). A limiter that stores the time of each request
    would scan all addresses on every request.
    """

    app: ASGIApp
    per_minute: int
    _item: RateLimitItem = field(init=False, repr=False)
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
        window = await self._limiter.get_window_stats(self._item, address)
        seconds = max(1, math.ceil(window.reset_time - time.time()))
        detail = f"Rate limit of {self.per_minute} requests per minute exceeded: try again in {seconds} s."
        refusal = build_problem_response(
            scope, HTTPStatus.TOO_MANY_REQUESTS, "byok.TooManyRequests", detail, headers={"Retry-After": str(seconds)}
        )
        await refusal(scope, receive, send)
