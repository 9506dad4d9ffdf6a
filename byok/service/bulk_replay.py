"""Replays every environment that stopped with the same problem, for example after an outage."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from byok import contracts
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.errors import EnvironmentNotFoundError, InvalidRequestError, ServiceError
from byok.service.lifecycle import ReplayResult
from byok.service.replay import require_replayable
from byok.service.temporal_errors import translate_temporal_errors

MAX_CONCURRENT_REPLAYS: Final = 5
"""The maximum number of concurrent replays. A replay makes half a dozen calls to Temporal, and the workflow of
each replayed environment then calls AWS."""

_QUOTE: Final = "'"


@dataclass(frozen=True)
class BulkReplayOutcome:
    """The outcome for one environment.

    Attributes:
        result: How the environment continues; None if it was not replayed.
        refusal: Why the environment was not replayed; None if it was replayed or, in a dry run, would be replayed.
    """

    environment_id: str
    result: ReplayResult | None = None
    refusal: str | None = None


async def find_stopped_environments(service: EnvironmentService, code: str) -> list[str]:
    """Return the ids of the stopped environments whose first problem has this code, in alphabetical order.

    Some of these environments may no longer be stopped, because Temporal's list is eventually consistent and also
    contains earlier runs. Read each environment's latest run before you replay the environment.

    Raises:
        InvalidRequestError: The code contains a quotation mark, so it is not a problem code.
    """
    if _QUOTE in code:
        raise InvalidRequestError(f"{code!r} is not a problem code.")
    query = (
        f"WorkflowType = '{contracts.PROVISION_ENVIRONMENT_WORKFLOW}' "
        f"AND {contracts.PROBLEM_CODE_ATTRIBUTE.name} = '{code}' "
        f"AND {contracts.PHASE_ATTRIBUTE.name} = '{Phase.STOPPED}'"
    )
    prefix = contracts.environment_workflow_id("")
    found: set[str] = set()
    with translate_temporal_errors():
        async for execution in service.client.list_workflows(query):
            if execution.id.startswith(prefix):
                found.add(contracts.environment_id_from_workflow_id(execution.id))
    return sorted(found)


async def replay_all(
    service: EnvironmentService, code: str, *, dry_run: bool = False
) -> AsyncIterator[BulkReplayOutcome]:
    """Replay every stopped environment whose first problem has this code, a few at a time.

    Args:
        service: The service.
        code: The problem code.
        dry_run: Whether to report which environments would be replayed, without replaying them.

    Yields:
        The outcome for each environment, as soon as it is known. Environments that no longer have this problem are
        omitted.
    """
    slots = asyncio.Semaphore(MAX_CONCURRENT_REPLAYS)

    async def replay(environment_id: str) -> BulkReplayOutcome | None:
        async with slots:
            try:
                status = await service.read_status(environment_id)
                if status.phase is not Phase.STOPPED or status.problem is None or status.problem.code != code:
                    return None
                if dry_run:
                    require_replayable(status, other_keys=False)
                    return BulkReplayOutcome(environment_id)
                return BulkReplayOutcome(environment_id, await service.replay(environment_id))
            except EnvironmentNotFoundError:
                return None
            except ServiceError as error:
                return BulkReplayOutcome(environment_id, refusal=str(error))

    replays = [asyncio.create_task(replay(one)) for one in await find_stopped_environments(service, code)]
    try:
        for done in asyncio.as_completed(replays):
            outcome = await done
            if outcome is not None:
                yield outcome
    finally:
        for task in replays:
            task.cancel()
