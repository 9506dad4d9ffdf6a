"""Remembers how long an activity has been on hold because of a platform fault (contract 151).

All times come from Temporal (`activity.info()`) and not from the worker, because a wrong worker clock can be the cause
of the hold. The hold is stored in the heartbeat details, so any worker can continue a hold that another worker began.
"""

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok.domain.holding import LONGEST_PAUSE, choose_pause, remaining_patience

_NOTE: Final = "hold"

_LONGEST_PAUSE: ContextVar[timedelta] = ContextVar("longest-pause", default=LONGEST_PAUSE)


@dataclass(frozen=True)
class _Hold:
    """The hold that is in progress, and the earlier holds of this activity.

    Attributes:
        since: When the hold in progress began; None if the activity is not on hold.
        first_attempt: The number of the attempt with which the hold began.
        earlier: The total duration of the earlier holds.
    """

    since: datetime | None = None
    first_attempt: int = 0
    earlier: timedelta = timedelta(0)

    @classmethod
    def load(cls) -> "_Hold":
        note = load_from_previous_attempt(_NOTE)
        if note is None:
            return cls()
        since, first, earlier = note.split()
        return cls(None if since == "-" else datetime.fromisoformat(since), int(first), timedelta(seconds=int(earlier)))

    def save(self) -> None:
        since = "-" if self.since is None else self.since.isoformat()
        save_for_retry(_NOTE, f"{since} {self.first_attempt} {int(self.earlier.total_seconds())}")


def continue_hold() -> tuple[datetime, timedelta]:
    """Begin or continue a hold. Return the hold's start time, and how long to wait before the next attempt."""
    info, hold = activity.info(), _Hold.load()
    if hold.since is None:
        hold = _Hold(info.started_time, info.attempt, hold.earlier)
        hold.save()
    return hold.since or info.started_time, choose_pause(info.attempt - hold.first_attempt + 1, _LONGEST_PAUSE.get())


def has_patience_for(delay: timedelta) -> bool:
    """Return whether the activity can still wait for another `delay`. End any hold that is in progress.

    The time that the activity spent on hold does not count as waiting.
    """
    info, hold = activity.info(), _Hold.load()
    if hold.since is not None:
        hold = _Hold(earlier=hold.earlier + (info.started_time - hold.since))
        hold.save()
    left = remaining_patience(info.schedule_to_close_timeout, info.started_time - info.scheduled_time, hold.earlier)
    return left is None or left > delay


class HoldInterceptor(Interceptor):
    """Sets the longest pause between the attempts of an activity that is on hold.

    Args:
        longest_pause: See `byok.domain.holding.LONGEST_PAUSE`.
    """

    def __init__(self, longest_pause: timedelta) -> None:
        self._longest_pause = longest_pause

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK's `Interceptor`."""
        return _Holding(next, self._longest_pause)


class _Holding(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, longest_pause: timedelta) -> None:
        super().__init__(next)
        self._longest_pause = longest_pause

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        _LONGEST_PAUSE.set(self._longest_pause)
        return await super().execute_activity(input)
