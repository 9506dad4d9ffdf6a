"""Waits for an environment's status, with a deadline."""

import asyncio
from collections.abc import Callable

from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from tests.workflows.temporal_env import WorkflowHarness

_DEADLINE = 30


async def wait_until_ended(service: EnvironmentService, environment_id: str) -> EnvironmentStatus:
    """Return the last status of an environment."""

    async def watched() -> EnvironmentStatus:
        return [status async for status in service.watch_status(environment_id)][-1]

    return await asyncio.wait_for(watched(), _DEADLINE)


async def wait_until(
    service: EnvironmentService, environment_id: str, fact: Callable[[EnvironmentStatus], bool]
) -> EnvironmentStatus:
    """Return the first status for which a condition holds.

    Raises:
        AssertionError: The environment ended without it.
    """

    async def found() -> EnvironmentStatus:
        async for status in service.watch_status(environment_id):
            if fact(status):
                return status
        raise AssertionError("the environment ended without meeting the condition")

    return await asyncio.wait_for(found(), _DEADLINE)


async def wait_until_called(harness: WorkflowHarness, step: str) -> None:
    """Wait until an activity has begun: this alone changes no status, so `wait_until` would miss it."""

    async def called() -> None:
        while step not in harness.activities.calls:  # noqa: ASYNC110 - another thread counts
            await asyncio.sleep(0.01)

    await asyncio.wait_for(called(), _DEADLINE)
