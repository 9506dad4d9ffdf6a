"""Runs only one poller for each watched environment, no matter how many clients watch the environment."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from byok.api.authentication import Caller
from byok.service.environment_reader import POLL_INTERVAL
from byok.service.errors import ServiceError
from byok.service.status import EnvironmentStatus


class StatusReader(Protocol):
    """Reads the status of an environment."""

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        """Return the environment's status."""
        ...


ERROR_RETRY_DELAY: Final = timedelta(seconds=5)
"""The wait after a failed poll.

Without this wait, byok would poll an unreachable Temporal server in a tight loop.
"""


class TooManyStreamsError(Exception):
    """The organisation has reached its maximum number of open streams."""


@dataclass
class _WatchedEnvironment:
    """A watched environment.

    Attributes:
        number: The number of changes so far. A watcher that has seen fewer changes must read the new status.
        watchers: The number of watchers.
        changed: An event that is set at the next change and then replaced with a new event.
    """

    status: EnvironmentStatus | None = None
    error: Exception | None = None
    number: int = 0
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    poller: asyncio.Task[None] | None = None

    def publish(self, *, status: EnvironmentStatus | None = None, error: Exception | None = None) -> None:
        """Store a new status or an error, and notify all watchers."""
        self.status, self.error, self.number = status, error, self.number + 1
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(frozen=True)
class StatusBroadcaster:
    """Publishes the statuses of environments to their watchers.

    Attributes:
        reader: Reads a status.
        max_streams: The maximum number of streams that one organisation can have open at the same time.
        poll: The interval between two polls of a watched environment that does not change.
    """

    reader: StatusReader
    max_streams: int
    poll: timedelta = POLL_INTERVAL
    _watched: dict[str, _WatchedEnvironment] = field(default_factory=dict, repr=False)
    _open: Counter[str | None] = field(default_factory=Counter, repr=False)

    def require_free_stream(self, caller: Caller) -> None:
        """Check that the caller's organisation may open another stream.

        Raises:
            TooManyStreamsError: The organisation has reached its limit.
        """
        if self._open[caller.organisation] >= self.max_streams:
            raise TooManyStreamsError(
                f"The limit of {self.max_streams} open event streams is reached: close a stream, or poll the status "
                "instead."
            )

    async def follow(self, environment_id: str, caller: Caller) -> AsyncIterator[EnvironmentStatus]:
        """Yield an environment's status now and after every change, until the environment reaches a final phase.

        A slow watcher can miss intermediate statuses, but always receives the last status. Every status contains the
        timeline of all phases. The stream ends when the caller's token expires. A client with a new token can reconnect
        and continue.

        Raises:
            ServiceError: The first poll failed. Later failures are ignored, and polling continues.
        """
        watched = self._watched.setdefault(environment_id, _WatchedEnvironment())
        watched.watchers += 1
        self._open[caller.organisation] += 1
        if watched.poller is None:
            watched.poller = asyncio.create_task(self._poll(environment_id, watched))
        seen = 0
        try:
            while True:
                if watched.number == seen and not await _wait_for_change(watched, caller.until):
                    return
                seen, status = watched.number, watched.status
                if watched.error is not None:
                    raise watched.error
                if status is not None:
                    yield status
                    if status.phase.is_final:
                        return
        finally:
            watched.watchers -= 1
            self._open[caller.organisation] -= 1
            if not watched.watchers:
                self._forget(environment_id, watched)

    def close(self) -> None:
        """Stop polling."""
        for name, watched in list(self._watched.items()):
            self._forget(name, watched)

    def _forget(self, environment_id: str, watched: _WatchedEnvironment) -> None:
        # A later watcher starts a new poller, because the environment may have been replayed by then.
        if self._watched.get(environment_id) is watched:
            del self._watched[environment_id]
        if watched.poller is not None:
            watched.poller.cancel()

    async def _poll(self, environment_id: str, watched: _WatchedEnvironment) -> None:
        try:
            while watched.status is None or not watched.status.phase.is_final:
                wait = self.poll
                try:
                    status = await self.reader.read_status(environment_id)
                except ServiceError:
                    if watched.status is None:
                        raise
                    wait = ERROR_RETRY_DELAY
                else:
                    if status != watched.status:
                        watched.publish(status=status)
                await asyncio.sleep(wait.total_seconds())
        except Exception as error:  # report every error, so that no watcher waits forever
            watched.publish(error=error)
        finally:
            self._forget(environment_id, watched)


async def _wait_for_change(watched: _WatchedEnvironment, until: float | None) -> bool:
    """Wait for the next change; return False if `until` (seconds since 1970) passes first."""
    try:
        async with asyncio.timeout(None if until is None else until - time.time()):
            await watched.changed.wait()
    except TimeoutError:
        return False
    return True
