"""Cancels writes safely: a workflow always receives the result of a write, even if it is cancelled during the write."""

import asyncio
import contextlib
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.workflow import ActivityHandle

_T = TypeVar("_T")


async def shield_until_done(write: ActivityHandle[_T]) -> _T:
    """Wait until a write has ended, and return its result.

    If the workflow is cancelled during the write, this function cancels the activity too. An activity that is waiting
    for its next retry then ends immediately, but a running activity finishes. Without this function, the SDK would drop
    the result of a write that finishes at the moment of the cancellation, and a new cluster would go unnoticed. The
    task stays cancelled; call `raise_if_cancelled` afterwards to act on the cancellation.
    """
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError:
        # If a result arrived together with the cancellation, the handle receives it only after this task yields.
        await asyncio.sleep(0)
        if not write.done():
            write.cancel()
        return await write


async def finish_despite_cancellation(work: Awaitable[_T]) -> _T:
    """Wait until some work has ended, and return its result. Further cancellation requests are ignored."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


async def cancel_and_wait(branches: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel the branches, and wait until every branch has ended.

    A cancelled branch finishes its write in progress, but starts no new work.

    Call this function after `except asyncio.CancelledError`, never in `finally`. When a worker evicts a workflow from
    its cache, it closes the workflow's coroutines. Closing the coroutines runs their `finally` blocks, although there
    is nothing left to wait for.
    """
    for branch in branches:
        branch.cancel()
    await workflow.wait(branches)


def is_cancelling() -> bool:
    """Return whether this task was cancelled, even if the CancelledError has not been raised in the task yet."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def raise_if_cancelled() -> None:
    """Raise CancelledError if this task was cancelled while it waited for a write.

    Raises:
        asyncio.CancelledError: The task was cancelled.
    """
    if is_cancelling():
        raise asyncio.CancelledError
