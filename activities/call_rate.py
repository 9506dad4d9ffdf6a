"""Limits the rate of a worker's AWS calls, so that a burst of work does not use up the account's quota."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from botocore.client import BaseClient


@dataclass
class TokenBucket:
    """A token bucket that starts full, and holds at most as many tokens as are added in one second.

    If the bucket is empty, a caller reserves the next token, releases the lock, and sleeps until that token is due.
    Callers therefore get their tokens in order, and a sleeping caller does not block other callers. A sleep does not
    delay heartbeats either, because boto3 runs in threads and the worker's event loop sends the heartbeats.

    Attributes:
        per_second: How many tokens are added per second.
        clock: Returns the current time in seconds.
        sleep: Sleeps for a number of seconds.
    """

    per_second: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next_due: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def acquire(self) -> None:
        """Take a token. If the bucket is empty, sleep until the next token is due."""
        with self._lock:
            now = self.clock()
            due = max(self._next_due, now - 1 + 1 / self.per_second)
            self._next_due = due + 1 / self.per_second
        if due > now:
            self.sleep(due - now)

    def limit(self, client: "BaseClient") -> None:
        """Make a client take a token for each call, before botocore signs the request."""

        def wait(**_: object) -> None:
            self.acquire()

        client.meta.events.register_first("before-call", wait)
