"""The parts of HTTP/1.1 that boto3 uses.

The parser is minimal, because a general-purpose parser would use more CPU.

Connections stay open. The server responds to `Expect: 100-continue` with `100 Continue`. A request with a body must
have a Content-Length.
"""

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from bench.stand_in.messages import HttpRequest, HttpResponse

_END: Final = b"\r\n\r\n"
_STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """One client's connection.

    Args:
        answer: A function that returns the response to a request, or None if the request gets no response.
        connections: The open connections, including this one while it is open.
    """

    def __init__(self, answer: Callable[[HttpRequest], HttpResponse | None], connections: "set[Connection]") -> None:
        self._answer = answer
        self._connections = connections
        self._received = bytearray()
        self._request: HttpRequest | None = None
        self._missing = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport, which sends the responses."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the reason does not matter
        """Forget this connection."""
        self._connections.discard(self)

    def close(self) -> None:
        """Close the connection after all responses have been sent."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Respond to every complete request."""
        self._received += data
        while not self._transport.is_closing():
            if self._request is None and not self._read_head():
                return
            if self._request is None or len(self._received) < self._missing:
                return
            request, self._request = self._request, None
            request.body = bytes(self._received[: self._missing])
            del self._received[: self._missing]
            answer = self._answer(request)
            if answer is not None:
                self._send(request, answer)

    def _read_head(self) -> bool:
        """Parse the head of a request from the received data. Return False if the head is incomplete."""
        end = self._received.find(_END)
        if end < 0:
            return False
        first, *lines = self._received[:end].decode("latin-1").split("\r\n")
        del self._received[: end + len(_END)]
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        self._request = request = HttpRequest(method, path, query, headers, b"")
        self._missing = int(headers.get("content-length", 0))
        if "transfer-encoding" in headers:
            self._send(request, HttpResponse(501, {}, b"The stand-in needs a Content-Length."))
            self._transport.close()
        elif headers.get("expect") == "100-continue" and len(self._received) < self._missing:
            self._transport.write(_CONTINUE)
        return True

    def _send(self, request: HttpRequest, answer: HttpResponse) -> None:
        """Write a response. A response to HEAD has no body, but its Content-Length may be the object's size."""
        head = _STATUS_LINES[answer.status] + "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        if "content-length" not in answer.headers and answer.status != HTTPStatus.NO_CONTENT:
            head += f"content-length: {len(answer.body)}\r\n"
        self._transport.write(f"{head}\r\n".encode("latin-1") + (b"" if request.method == "HEAD" else answer.body))
        if request.headers.get("connection") == "close":
            self._transport.close()
