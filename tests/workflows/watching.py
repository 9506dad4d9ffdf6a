"""Wait, up to a deadline, until an environment reaches a status."""

import asyncio
from collections.abc import Callable

from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from tests.workflows.temporal_env import WorkflowHarness

_DEADLINE = 30


async def wait_until_ended(service: EnvironmentService, environment_id: str) -> EnvironmentStatus:
    """Wait until an environment's workflow ends, and return the last status."""

    async def watched() -> EnvironmentStatus:
        return [status async for status in service.watch_status(environment_id)][-1]

    return await asyncio.wait_for(watched(), _DEADLINE)


async def wait_until(
    service: EnvironmentService, environment_id: str, fact: Callable[[EnvironmentStatus], bool]
) -> EnvironmentStatus:
    """Wait until an environment's status satisfies a condition, and return this status.

    Raises:
        AssertionError: The environment's workflow ended, but no status satisfied the condition.
    """

    async def found() -> EnvironmentStatus:
        async for status in service.watch_status(environment_id):
            if fact(status):
                return status
        raise AssertionError("the environment ended without meeting the condition")

    return await asyncio.wait_for(found(), _DEADLINE)


async def wait_until_called(harness: WorkflowHarness, step: str) -> None:
    """Wait until an activity has begun, which `wait_until` cannot detect because the status does not change."""

    async def called() -> None:
        while step not in harness.activities.calls:  # noqa: ASYNC110 - another thread adds it
            await asyncio.sleep(0.01)

    await asyncio.wait_for(called(), _DEADLINE)
