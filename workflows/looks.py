"""Looks: steps that leave nothing behind, and are therefore taken at once where that succeeds."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio.exceptions import FailureError
from temporalio.workflow import ActivityHandle

from workflows.cancellation import raise_if_cancelled
from workflows.failures import is_cancellation

_T = TypeVar("_T")


async def at_once(look: ActivityHandle[_T], otherwise: Callable[[], Awaitable[_T]]) -> _T:
    """Look within the workflow task, and as a step where that fails.

    Nearly every look succeeds, and then costs one event in place of six. One that does not is taken again as a step:
    that is seen while it is tried again, ends in words, and is where a replay goes on (decision 0025).

    Args:
        look: The local activity, begun.
        otherwise: The same as a step.

    Raises:
        ActivityError: The step failed.
        FailureError: The workflow is to end.
        asyncio.CancelledError: Likewise.
    """
    try:
        return await look
    except FailureError as error:  # a local activity that is tried once fails with its own error, in no wrapper
        if is_cancellation(error):
            raise
    raise_if_cancelled()  # the wish may come with the failure
    return await otherwise()
