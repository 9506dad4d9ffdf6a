"""Async activities send heartbeats and load the details that earlier attempts saved.

If an async activity is cancelled during a write, the write still completes.
"""

import asyncio
import threading
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ActivityOutboundInterceptor, ExecuteActivityInput

from activities.heartbeat import HeartbeatInterceptor, load_from_previous_attempt, run_to_completion, save_for_retry


class InnermostInboundInterceptor(ActivityInboundInterceptor):
    """The last inbound interceptor, which runs the activity."""

    def __init__(self) -> None:
        pass

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        pass

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await input.fn(*input.args)


class HeartbeatRecorder(ActivityOutboundInterceptor):
    """Records heartbeats."""

    def __init__(self, beats: list[Any]) -> None:
        self._beats = beats

    def heartbeat(self, *details: Any) -> None:
        self._beats.append(details)


async def run_with_heartbeats(beats: list[Any], work: Any) -> Any:
    """Run a coroutine as an activity with automatic heartbeats."""
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: beats.append(details)

    async def executed() -> Any:
        beating = HeartbeatInterceptor(timedelta(milliseconds=5)).intercept_activity(InnermostInboundInterceptor())
        beating.init(HeartbeatRecorder(beats))
        return await beating.execute_activity(ExecuteActivityInput(fn=work, args=[], executor=None, headers={}))

    return await environment.run(executed)


async def test_coroutine_heartbeats_carry_its_saved_details() -> None:
    beats: list[Any] = []

    async def work() -> str | None:
        save_for_retry("seen", "once")
        while len(beats) < 4:  # noqa: ASYNC110 - no event exists
            await asyncio.sleep(0.005)
        return load_from_previous_attempt("seen")

    assert await asyncio.wait_for(run_with_heartbeats(beats, work), 10) == "once"
    assert beats[-1] == ({"seen": "once"},)


async def test_details_saved_in_a_thread_are_sent_from_the_event_loop() -> None:
    told: list[tuple[int, Any]] = []
    environment = ActivityEnvironment()
    environment.on_heartbeat = lambda *details: told.append((threading.get_ident(), details))

    async def work() -> None:
        await asyncio.to_thread(save_for_retry, "first-refusal", "now")

    async def executed() -> None:
        beating = HeartbeatInterceptor(timedelta(seconds=60)).intercept_activity(InnermostInboundInterceptor())
        beating.init(HeartbeatRecorder([]))
        await beating.execute_activity(ExecuteActivityInput(fn=work, args=[], executor=None, headers={}))

    await environment.run(executed)

    assert told == [(threading.get_ident(), ({"first-refusal": "now"},))]


async def test_coroutine_sends_no_heartbeat_after_it_ends() -> None:
    beats: list[Any] = []

    async def work() -> None:
        assert activity.in_activity()

    await run_with_heartbeats(beats, work)
    known = len(beats)
    await asyncio.sleep(0.03)
    assert len(beats) == known


async def test_cancellation_lets_a_started_write_finish() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def write() -> str:
        begun.set()
        assert go_on.wait(60)
        return "written"

    writing = asyncio.create_task(run_to_completion(write))
    assert await asyncio.to_thread(begun.wait, 10)
    writing.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await writing == "written"


async def test_failed_write_raises_its_error() -> None:
    def write() -> None:
        raise ValueError("refused")

    with pytest.raises(ValueError, match="refused"):
        await run_to_completion(write)
