"""How long and how often byok retries after a fault on the platform's side, such as throttling or expired credentials.

While such a fault lasts, byok holds the environment (waits and retries) instead of stopping it (contract 151). Only
activities hold environments; this module computes the pauses and the limits.
"""

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Final

MAX_HOLD: Final = timedelta(hours=6)
"""The maximum time that an activity may hold an environment. An outage of an AWS Region lasts hours, not days. If byok
held an environment for longer, an operator might never notice the fault."""

LONGEST_PAUSE: Final = timedelta(minutes=10)
"""The longest pause between two attempts, which byok reaches if a fault lasts for several minutes. At most two
activities of an environment run at the same time, so with this pause byok makes at most twelve attempts per hour for
each environment. The setting `BYOK_HOLD_PAUSE_SECONDS` changes this value."""

_STEPS: Final = 600
"""The ratio of the longest pause to the ceiling of the first pause: by default, 10 minutes to 1 second."""

_EXTRA: Final = 0.2
"""The maximum jitter, as a fraction of the longest pause. Jitter prevents held activities from retrying at the same
time."""


def choose_pause(
    attempt: int, longest: timedelta = LONGEST_PAUSE, uniform: Callable[[float, float], float] = random.uniform
) -> timedelta:
    """Return how long to wait before the next attempt.

    The ceiling of the pause doubles with each attempt until it reaches the longest pause. While the ceiling is shorter
    than the longest pause, the pause is a random time between zero and the ceiling ("full jitter", AWS Architecture
    Blog, "Exponential Backoff And Jitter"). From then on, the pause is `longest` plus random jitter of up to 20 % of
    `longest`.

    Args:
        attempt: The number of the attempt that failed, counted from 1 since the hold began.
        longest: The longest pause, without jitter.
        uniform: The function that returns a random number between its two arguments.
    """
    ceiling = longest / _STEPS * 2 ** min(attempt - 1, _STEPS.bit_length())
    if ceiling < longest:
        return timedelta(seconds=uniform(0, ceiling.total_seconds()))
    return timedelta(seconds=uniform(longest.total_seconds(), longest.total_seconds() * (1 + _EXTRA)))


def remaining_patience(total: timedelta | None, elapsed: timedelta, held: timedelta) -> timedelta | None:
    """Return how much longer an activity may wait for a resource; None if only Temporal limits the wait.

    The time limit of an activity that may hold an environment is the time that the activity may wait for a resource,
    plus `MAX_HOLD`. Time that the activity spends holding the environment does not count as waiting for the resource.

    Args:
        total: The activity's time limit over all attempts (schedule-to-close); None if there is no limit.
        elapsed: The time since the activity was scheduled.
        held: The part of `elapsed` that the activity spent holding the environment.
    """
    if total is None or total <= MAX_HOLD:
        return None
    return total - MAX_HOLD - (elapsed - held)
