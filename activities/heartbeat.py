"""Heartbeats during AWS calls, and values that one attempt of an activity saves for the next attempt.

boto blocks the activity's thread during a call, so a task on the worker's event loop sends the heartbeats. A heartbeat
thread for each activity would need two wake-ups per heartbeat, and would interrupt the threads that do the work.

With heartbeats, Temporal detects a killed worker after the heartbeat timeout. Without heartbeats, Temporal would wait
for the activity's start-to-close timeout. The heartbeats also contain the saved values, so the next attempt can read
them on any worker.
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
"""The event loop of an async activity. The SDK accepts an async activity's heartbeats only on this loop."""


def load_from_previous_attempt(name: str) -> str | None:
    """Return the value that this or an earlier attempt of the activity saved under a name, or None."""
    return _notes().get(name)


def save_for_retry(name: str, value: str) -> None:
    """Save a value for later attempts of this activity."""
    notes = _notes()
    notes[name] = value
    loop = _LOOP.get()
    if loop is None or _runs_here(loop):
        # Send the heartbeat immediately, because an attempt that fails right after this call ends before the event loop
        # runs any scheduled call.
        activity.heartbeat(dict(notes))
    else:  # in a thread of an async activity, the scheduled call runs on the loop before the attempt can end
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
    """Run a blocking write in a thread, and wait until the write has completed, even if the activity is cancelled."""
    done = asyncio.ensure_future(asyncio.to_thread(write))
    try:
        return await asyncio.shield(done)
    except asyncio.CancelledError:
        return await done


class HeartbeatInterceptor(Interceptor):
    """Sends heartbeats for every activity that is not a local activity.

    Args:
        interval: Time between two heartbeats, which must be well under the heartbeat timeout.
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
            # A local activity needs no heartbeats, because the workflow task's timeout detects a killed worker.
            return await super().execute_activity(input)
        if inspect.iscoroutinefunction(input.fn):
            _LOOP.set(asyncio.get_running_loop())
        # The heartbeat task and the activity share one dictionary of saved values, even if the activity runs in a
        # thread.
        beats = asyncio.create_task(self._beat(_notes()))
        try:
            return await super().execute_activity(input)
        finally:
            beats.cancel()

    async def _beat(self, notes: dict[str, str]) -> None:
        while True:
            await asyncio.sleep(self._interval.total_seconds())
            # Do not call `activity.heartbeat` here: for an activity that runs in a thread, that function waits for this
            # event loop, and would block the loop.
            self._outbound.heartbeat(dict(notes))
