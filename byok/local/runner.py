"""Runs work on a local stack until the work is done or the user presses Ctrl-C, and then stops the stack."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

from byok.local.stack import DevStack

Result = TypeVar("Result")


async def run_on_stack(stack: DevStack, work: Callable[[DevStack], Awaitable[Result]]) -> Result | None:
    """Start the stack, do the work, and stop the stack.

    The first SIGINT or SIGTERM cancels the work and lets the child processes clean up. A second signal kills the child
    processes.

    Args:
        stack: The stack to start.
        work: The work to do on the stack.

    Returns:
        The work's result, or None if a signal interrupted the work.

    Raises:
        DevStackError: A child process could not start, or exited during the work.
    """
    loop, task = asyncio.get_running_loop(), asyncio.create_task(_run(stack, work))
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        if interrupted:
            stack.hurry.set()
        else:
            interrupted = True
            task.cancel()

    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        if not interrupted:
            raise
        return None
    finally:
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(name)


async def _run(stack: DevStack, work: Callable[[DevStack], Awaitable[Result]]) -> Result:
    async with stack:
        ended = asyncio.create_task(stack.wait_for_unexpected_exit())
        done = asyncio.ensure_future(work(stack))
        try:
            await asyncio.wait([ended, done], return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                await ended
            return await done
        finally:
            for one in (ended, done):
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await one
