"""Closes the connection of a client that sends its request too slowly, because uvicorn has no timeout for headers."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol


def make_http_protocol(timeout_seconds: float) -> type[H11Protocol]:
    """Build a protocol class that closes a connection if a request's headers are not complete in time.

    The timeout starts when the client connects, and again at the first byte of each further request. Between two
    requests, uvicorn's keep-alive timeout applies. `byok.api.limits` limits the time for a request's body.

    Args:
        timeout_seconds: How long a client may take to send the headers.
    """

    class TimedHttpProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._update_deadline()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._update_deadline()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._cancel_deadline()

        def _update_deadline(self) -> None:
            # After an early response, such as a 413, the client may still be sending the body. The client must finish
            # sending it before the deadline for the headers of the next request.
            answering = self.cycle is not None and not self.cycle.response_complete
            if answering or self.transport.is_closing():
                self._cancel_deadline()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(timeout_seconds, self.transport.close)

        def _cancel_deadline(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

    return TimedHttpProtocol
