"""Counts the calls per operation and per second, and returns the errors that a benchmark has requested."""

import time
from collections import Counter, deque
from typing import Any, Final

from bench.stand_in.messages import AwsError

_SECONDS: Final = 600
_REFUSED_AT_MOST: Final = 10_000


class CallLeftUnanswered(Exception):  # noqa: N818 - an event, not an error
    """Raised for a held call, which is not executed and gets no response."""


class CallLog:
    """The log of the calls since the start or the last reset."""

    def __init__(self) -> None:
        self.refusals: dict[str, AwsError] = {}
        self.held_back: set[str] = set()
        self.clear()

    def clear(self) -> None:
        """Reset the log. Requested errors remain in effect after the reset."""
        self._counts: Counter[str] = Counter()
        self._seconds: deque[tuple[int, Counter[str]]] = deque(maxlen=_SECONDS)
        self._refused: deque[dict[str, Any]] = deque(maxlen=_REFUSED_AT_MOST)
        self._not_modelled: Counter[str] = Counter()
        self._held, self._first_at = 0, 0.0
        self._since, self._cpu = time.time(), time.process_time()

    def count_or_refuse(self, service: str, operation: str) -> None:
        """Count a call. Held calls are counted separately.

        Raises:
            AwsError: The benchmark requested an error for this operation.
            CallLeftUnanswered: The benchmark has requested that calls to this operation be held.
        """
        if operation in self.held_back:
            self._held += 1
            raise CallLeftUnanswered
        name, now = f"{service}:{operation}", time.time()
        self._counts[name] += 1
        self._first_at = self._first_at or now
        if not self._seconds or self._seconds[-1][0] != int(now):
            self._seconds.append((int(now), Counter()))
        self._seconds[-1][1][name] += 1
        if operation in self.refusals:
            self._refused.append({"operation": operation, "at": now})
            refused = self.refusals[operation]
            raise AwsError(refused.code, refused.message, refused.status)

    def count_not_modelled(self, message: str) -> None:
        """Count a call that the stand-in does not model."""
        self._not_modelled[message] += 1

    def as_json(self) -> dict[str, Any]:
        """Return the counts of calls, the returned errors, and the CPU time used since the start or the last reset."""
        recently = time.time() - _SECONDS
        return {
            "since": self._since,
            "cpu_seconds": time.process_time() - self._cpu,
            "calls": self._counts,
            "first_at": self._first_at,
            "held": self._held,
            "per_second": [{"second": second, **counts} for second, counts in self._seconds if second >= recently],
            "refused": list(self._refused),
            "not_modelled": self._not_modelled,
        }
