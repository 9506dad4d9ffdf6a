"""The pauses between retries while an environment is on hold, and the time limits for holding and waiting."""

from datetime import timedelta

import pytest

from byok.domain.holding import LONGEST_PAUSE, MAX_HOLD, choose_pause, remaining_patience


def pause_range(attempt: int, longest: timedelta = LONGEST_PAUSE) -> tuple[float, float]:
    """Return the shortest and the longest possible pause after an attempt, in seconds."""
    shortest = choose_pause(attempt, longest, lambda low, _: low)
    return shortest.total_seconds(), choose_pause(attempt, longest, lambda _, high: high).total_seconds()


def test_pauses_grow_from_a_second_to_ten_minutes_with_full_jitter() -> None:
    assert [pause_range(attempt) for attempt in range(1, 11)] == [(0, 2**power) for power in range(10)]


@pytest.mark.parametrize("attempt", [11, 12, 100, 100_000])
def test_pause_is_ten_to_twelve_minutes_once_backed_off(attempt: int) -> None:
    assert pause_range(attempt) == (600, 720)


def test_two_activities_make_at_most_twelve_attempts_an_hour_once_backed_off() -> None:
    shortest, _ = pause_range(11)

    assert 2 * 3600 / shortest <= 12


def test_random_pauses_stay_in_their_range_and_differ() -> None:
    pauses = {choose_pause(11).total_seconds() for _ in range(100)}

    assert len(pauses) > 1
    assert min(pauses) >= 600
    assert max(pauses) <= 720


def test_setting_scales_all_pauses() -> None:
    assert pause_range(1, timedelta(seconds=3)) == (0.0, 0.005)
    assert pause_range(11, timedelta(seconds=3)) == (3.0, 3.6)


HOUR = timedelta(hours=1)


def test_hold_does_not_use_up_the_wait_for_a_resource() -> None:
    assert remaining_patience(HOUR + MAX_HOLD, timedelta(hours=5), held=timedelta(hours=4.5)) == HOUR / 2


def test_hold_limit_does_not_lengthen_the_wait_for_a_resource() -> None:
    assert remaining_patience(HOUR + MAX_HOLD, timedelta(hours=1.5), held=timedelta(0)) == -HOUR / 2


@pytest.mark.parametrize("total", [None, timedelta(minutes=15), MAX_HOLD])
def test_temporal_alone_limits_an_activity_that_may_not_hold(total: timedelta | None) -> None:
    assert remaining_patience(total, timedelta(days=1), held=timedelta(0)) is None
