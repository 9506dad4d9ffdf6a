"""A proxy between a worker and AWS that shifts the dates of AWS's responses, so that the worker's clock seems wrong."""

import asyncio
import re
from datetime import timedelta
from email.utils import format_datetime, parsedate_to_datetime

from tests.faults.cuttable_proxy import CuttableProxy

_DATE = re.compile(rb"(?im)^date: ([^\r\n]+)")


class SkewedClockProxy(CuttableProxy):
    """Makes the clock of every client seem to be ahead of AWS's clock.

    Args:
        port: The port of the local AWS emulator on this machine.
        ahead: How far the client's clock seems to be ahead. A negative value makes the clock seem to be behind. Tests
            may change this value.
    """

    def __init__(self, port: int, ahead: timedelta) -> None:
        super().__init__(port)
        self.ahead = ahead

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, may_be_cut: bool) -> None:
        if may_be_cut:  # requests
            await super()._pass_on(reader, writer, may_be_cut=may_be_cut)
            return
        try:
            while data := await reader.read(65536):
                writer.write(_DATE.sub(self._shift, data))
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def _shift(self, header: re.Match[bytes]) -> bytes:
        shifted = parsedate_to_datetime(header[1].decode()) - self.ahead
        return b"Date: " + format_datetime(shifted, usegmt=True).encode()
