"""One look at an environment for everybody who watches it, however many they are."""

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
    """Whoever knows where an environment is."""

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        """Where it is."""
        ...


ERROR_RETRY_DELAY: Final = timedelta(seconds=5)
"""How long a look that failed is not repeated: Temporal comes back when it comes back."""


class TooManyStreamsError(Exception):
    """An organisation has as many streams open as it may have."""


@dataclass
class _WatchedEnvironment:
    """An environment that somebody watches.

    Attributes:
        number: Counts the changes; whoever has seen an earlier one has something to see.
        watchers: How many there are.
        changed: Set by the next change, which puts another one in its place.
    """

    status: EnvironmentStatus | None = None
    error: Exception | None = None
    number: int = 0
    watchers: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    poller: asyncio.Task[None] | None = None

    def publish(self, *, status: EnvironmentStatus | None = None, error: Exception | None = None) -> None:
        """Let all watchers know."""
        self.status, self.error, self.number = status, error, self.number + 1
        self.changed.set()
        self.changed = asyncio.Event()


@dataclass(frozen=True)
class StatusBroadcaster:
    """Those who watch environments.

    Attributes:
        most: How many streams one organisation may have open.
        poll: How often an environment is looked at.
    """

    reader: StatusReader
    max_streams: int
    poll: timedelta = POLL_INTERVAL
    _watched: dict[str, _WatchedEnvironment] = field(default_factory=dict, repr=False)
    _open: Counter[str | None] = field(default_factory=Counter, repr=False)

    def require_free_stream(self, caller: Caller) -> None:
        """See that one more stream may be opened, before it is.

        Raises:
            TooManyStreamsError: It may not.
        """
        if self._open[caller.organisation] >= self.max_streams:
            raise TooManyStreamsError(
                f"{self.max_streams} streams of events are open, which is as many as may be: end one, or ask for the "
                "status."
            )

    async def follow(self, environment_id: str, caller: Caller) -> AsyncIterator[EnvironmentStatus]:
        """Every change of an environment's status, from the one that it has now to a final one.

        Who is slow misses changes in between, and never the last one; a status has its whole timeline in it. It ends
        with the caller's token: who has a new one comes back, and goes on with what was missed.

        Raises:
            ServiceError: What the first look met. What a later one meets is looked over, and it is looked again.
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
        """Look no more."""
        for name, watched in list(self._watched.items()):
            self._forget(name, watched)

    def _forget(self, environment_id: str, watched: _WatchedEnvironment) -> None:
        # Whoever comes later begins a look of their own: it may have been replayed by then.
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
        except Exception as error:  # nobody is left waiting for what does not come
            watched.publish(error=error)
        finally:
            self._forget(environment_id, watched)


async def _wait_for_change(watched: _WatchedEnvironment, until: float | None) -> bool:
    """Wait for the next change; False where the time was up before it came (seconds since 1970)."""
    try:
        async with asyncio.timeout(None if until is None else until - time.time()):
            await watched.changed.wait()
    except TimeoutError:
        return False
    return True
