"""The token bucket that limits the rate of AWS calls."""

import threading
from dataclasses import dataclass, field

from activities.call_rate import TokenBucket


@dataclass
class FakeClock:
    """A clock that advances only during a sleep.

    Attributes:
        slept: The duration of each sleep, in seconds.
    """

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


def make_bucket(clock: FakeClock, per_second: float) -> TokenBucket:
    return TokenBucket(per_second, clock, clock.sleep)


def test_tokens_of_one_second_are_available_at_once() -> None:
    clock = FakeClock()
    bucket = make_bucket(clock, 8)

    for _ in range(8):
        bucket.acquire()

    assert clock.slept == []


def test_calls_beyond_the_rate_are_spread_evenly() -> None:
    clock = FakeClock()
    bucket = make_bucket(clock, 8)

    for _ in range(13):
        bucket.acquire()

    assert clock.slept == [0.125] * 5


def test_idle_bucket_holds_no_more_than_the_tokens_of_one_second() -> None:
    clock = FakeClock()
    bucket = make_bucket(clock, 8)
    for _ in range(8):
        bucket.acquire()
    clock.now += 3600

    for _ in range(9):
        bucket.acquire()

    assert clock.slept == [0.125]


def test_waiting_call_does_not_block_other_calls() -> None:
    """Every caller reserves a token immediately, although all callers sleep until the test ends."""
    released, sleeping = threading.Event(), threading.Semaphore(0)

    def sleep(_: float) -> None:
        sleeping.release()
        released.wait(60)

    bucket = TokenBucket(1, lambda: 0.0, sleep)
    bucket.acquire()
    threads = [threading.Thread(target=bucket.acquire) for _ in range(20)]
    for thread in threads:
        thread.start()

    assert all(sleeping.acquire(timeout=10) for _ in threads)
    released.set()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)
