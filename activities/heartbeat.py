"""Heartbeats beside a call, and what an attempt leaves to the next one.

boto blocks its thread, so an activity cannot beat by itself: a task on the worker's event loop beats for it. (A thread
for each would be woken twice, and take the interpreter from those that work.) A worker that was killed is then noticed
after the heartbeat timeout, and not only after the longest time that a step may take. What an attempt notes travels
with the heartbeats and is there for the next attempt, on whichever worker.
"""

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, Final, TypeVar

from temporalio import activity
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

HEARTBEAT_INTERVAL: Final = timedelta(seconds=3)

_T = TypeVar("_T")

_NOTES: ContextVar[dict[str, str] | None] = ContextVar("notes", default=None)
_LOOP: ContextVar[asyncio.AbstractEventLoop | None] = ContextVar("loop", default=None)
"""Of an activity that is a coroutine: the SDK takes its heartbeats nowhere else."""


def load_from_previous_attempt(name: str) -> str | None:
    """What an earlier attempt of this activity noted under a name, None where none did."""
    return _notes().get(name)


def save_for_retry(name: str, value: str) -> None:
    """Leave something to the attempts that follow this one."""
    notes = _notes()
    notes[name] = value
    loop = _LOOP.get()
    if loop is None or _runs_here(loop):
        # At once: an attempt that fails now ends before anything else that waits for the loop.
        activity.heartbeat(dict(notes))
    else:  # from a thread of the coroutine's; what ends the attempt comes to the loop after it
        loop.call_soon_threadsafe(activity.heartbeat, dict(notes), context=contextvars.copy_context())


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


def _notes() -> dict[str, str]:
    notes = _NOTES.get()
    if notes is None:
        details = activity.info().heartbeat_details
        notes = dict(details[0]) if details and isinstance(details[0], dict) else {}
        _NOTES.set(notes)
    return notes


async def run_to_completion(write: Callable[[], _T]) -> _T:
    """What a blocking write does, in a thread: one that has begun is finished, also where the activity is to end."""
    done = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        return await done


class HeartbeatInterceptor(Interceptor):
    """Beats for every activity.

    Args:
        interval: Between two beats; well under the heartbeat timeout.
    """

    def __init__(self, interval: timedelta = HEARTBEAT_INTERVAL) -> None:
        self._interval = interval

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the SDK's `Interceptor`."""
        return _Beating(next, self._interval)


class _Beating(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, interval: timedelta) -> None:
        super().__init__(next)
        self._interval = interval

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        if activity.info().is_local:
            return await super().execute_activity(input)  # the workflow task that it is done in has its own timeout
        if inspect.iscoroutinefunction(input.fn):
            _LOOP.set(asyncio.get_running_loop())
        beats = asyncio.create_task(self._beat(_notes()))  # shared with the activity, in whichever thread that is
        try:
            return await super().execute_activity(input)
        finally:
            beats.cancel()

    async def _beat(self, notes: dict[str, str]) -> None:
        while True:
            await asyncio.sleep(self._interval.total_seconds())
            # Not `activity.heartbeat`: for an activity in a thread, that waits for this loop.
            self._outbound.heartbeat(dict(notes))
