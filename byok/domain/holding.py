"""How long and how often byok retries after a fault of the platform's own, such as throttling or expired credentials.

While such a fault lasts, byok holds the environment instead of stopping it (contract 151). Only activities hold; this
module computes the pauses and the limits.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

MAX_HOLD: Final = timedelta(hours=6)
"""How long an activity may hold. An outage of an AWS Region lasts hours, not days. If byok held for longer, an operator
might never notice that nothing works."""

LONGEST_PAUSE: Final = timedelta(minutes=5)
"""The pause between two attempts once a fault has lasted for minutes, so that an activity makes at most twelve attempts
an hour. The setting `BYOK_HOLD_PAUSE_SECONDS` changes this value."""

_STEPS: Final = 300
"""The longest pause is this many times as long as the ceiling of the first pause: 5 minutes and 1 second by default."""

_EXTRA: Final = 0.2
"""How much longer than the longest pause a pause may be, as a fraction, so that held activities do not retry at the
same time."""


def choose_pause(
    attempt: int, longest: timedelta = LONGEST_PAUSE, uniform: Callable[[float, float], float] = random.uniform
) -> timedelta:
    """Return how long to wait before the next attempt.

    The ceiling of the pause doubles with each attempt until it reaches the longest pause. Until then, the pause is a
    random part of the ceiling ("full jitter", AWS Architecture Blog, "Exponential Backoff And Jitter"). From then on,
    the pause is the longest pause or up to a fifth longer.

    Args:
        attempt: The number of the attempt that failed, starting at 1 with the first attempt of this hold.
        longest: The longest pause, without the random extra.
        uniform: Chooses a random number between two numbers.
    """
    ceiling = longest / _STEPS * 2 ** min(attempt - 1, _STEPS.bit_length())
    if ceiling < longest:
        return timedelta(seconds=uniform(0, ceiling.total_seconds()))
    return timedelta(seconds=uniform(longest.total_seconds(), longest.total_seconds() * (1 + _EXTRA)))


def remaining_patience(total: timedelta | None, elapsed: timedelta, held: timedelta) -> timedelta | None:
    """Return how much longer an activity may wait for a resource; None if Temporal alone limits the activity.

    The time limit of an activity that may hold is the time that it may wait for a resource, plus `MAX_HOLD`. The time
    that the activity held does not count as waiting, and holding never lengthens the wait for a resource.

    Args:
        total: The activity's time limit over all attempts (schedule-to-close); None if there is no limit.
        elapsed: The time since the activity was scheduled.
        held: The part of this time that the activity held.
    """
    if total is None or total <= MAX_HOLD:
        return None
    return total - MAX_HOLD - (elapsed - held)
