"""Ends writes in good order: what one did is always known, also when the workflow is told to end meanwhile."""

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.workflow import ActivityHandle

_T = TypeVar("_T")


async def shield_until_done(write: ActivityHandle[_T]) -> _T:
    """Wait until a write has ended, and give what it did.

    Told to end, it asks the activity to stop: one that is waiting for its next try ends at once, one that is at work
    finishes. The SDK alone would drop the result of a write that finishes in the same moment as the workflow is told
    to end, and nobody would know of a cluster that is there. The wish to end stays: `raise_if_cancelled` finds it.
    """
    try:
        return await asyncio.shield(write)
    except asyncio.CancelledError:
        await asyncio.sleep(0)  # a result that has come with the wish reaches the handle
        if not write.done():
            write.cancel()
        return await write


async def cancel_and_wait(branches: Sequence[asyncio.Task[Any]]) -> None:
    """Tell branches to end, and wait until each has: it begins nothing more, and what it has begun is settled.

    It belongs behind `except asyncio.CancelledError`, never into `finally`: a worker that drops a workflow from its
    memory closes its coroutines, and there is nothing to be settled then.
    """
    for branch in branches:
        branch.cancel()
    await workflow.wait(branches)


def is_cancelling() -> bool:
    """Whether this task was told to end, whatever it has heard of that so far."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def raise_if_cancelled() -> None:
    """Raise where this task was told to end while a write was being settled.

    Raises:
        asyncio.CancelledError: It was.
    """
    if is_cancelling():
        raise asyncio.CancelledError
