"""A proxy between a worker and Temporal that can drop data without closing connections."""

import asyncio
from types import TracebackType
from typing import Self

from byok.local.ports import HOST


class CuttableProxy:
    """Forwards bytes between clients and a server until the proxy is cut.

    Args:
        port: The port of the server on this machine.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._cut = False
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._connect, HOST, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening and close all connections."""
        assert self._server is not None
        self._server.close()
        await self._close()

    @property
    def port(self) -> int:
        """The port on which the proxy listens."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """From now on, drop all bytes that clients send to the server."""
        self._cut = True

    async def cut_and_disconnect(self) -> None:
        """Cut the proxy and close all connections.

        The next call fails immediately, as if the server had exited.
        """
        self.cut()
        await self._close()

    def restore(self) -> None:
        """Forward new connections again. Connections that have lost bytes remain cut."""
        self._cut = False

    async def _close(self) -> None:
        passing = list(self._passing)
        for task in passing:
            task.cancel()
        await asyncio.gather(*passing, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.close()
            return
        try:
            there, back = await asyncio.open_connection(HOST, self._target)
        except OSError:
            writer.close()
            return
        for one, other, may_be_cut in ((reader, back, True), (there, writer, False)):
            task = asyncio.create_task(self._pass_on(one, other, may_be_cut=may_be_cut))
            self._passing.add(task)
            task.add_done_callback(self._passing.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_be_cut: bool) -> None:
        lost = False
        try:
            while data := await reader.read(65536):
                # Never resume a connection that has lost bytes, because the data after the gap would be garbled.
                lost = lost or (may_be_cut and self._cut)
                if not lost:
                    writer.write(data)
                    await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
