"""Cancel writes safely: the workflow always learns their result, even if it is cancelled in the meantime."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.workflow import ActivityHandle

_T = TypeVar("_T")


async def shield_until_done(write: ActivityHandle[_T]) -> _T:
    """Wait until a write has ended, and return its result.

    On cancellation, it asks the activity to cancel: an activity that waits for its next retry ends at once, a running
    one finishes. The SDK alone would drop the result of a write that finishes at the moment of the cancellation, and a
    new cluster would go unnoticed. The task stays cancelled: `raise_if_cancelled` detects that later.
    """
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # lets a result that arrived together with the cancellation reach the handle
        if not write.done():
            write.cancel()
        return await write


async def cancel_and_wait(branches: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel branches and wait until each has ended. They start nothing new, and the writes in progress finish.

    Call it after `except asyncio.CancelledError`, never in `finally`: when a worker evicts a workflow from its cache,
    it closes the coroutines, and there is nothing to wait for.
    """
    for branch in branches:
        branch.cancel()
    await workflow.wait(branches)


def is_cancelling() -> bool:
    """Return whether this task was cancelled, even if it has not seen the CancelledError yet."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def raise_if_cancelled() -> None:
    """Raise if this task was cancelled while it waited for a write.

    Raises:
        asyncio.CancelledError: The task was cancelled.
    """
    if is_cancelling():
        raise asyncio.CancelledError
