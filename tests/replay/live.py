"""Replay the histories on a running Temporal server with this checkout's workflows: `python -m tests.replay.live`.

CI has no access to the histories of a production server, so run this program before an upgrade. The program does not
change any workflows or call any AWS services. Temporal's environment configuration selects the server.
"""

import asyncio
import sys
from typing import Final

from temporalio.client import Client
from temporalio.worker import Replayer

from byok.contracts import TASK_QUEUE
from byok.temporal import connect, make_plugin
from workflows.registry import list_workflows

REPLAYABLE_RUNS_QUERY: Final = "ExecutionStatus IN ('Running', 'Failed', 'Canceled')"
"""Matches running workflows, and stopped workflows that a replay can resume."""


def build_replayer() -> Replayer:
    """Build a replayer for all workflows."""
    return Replayer(workflows=list_workflows(versioned=False), plugins=[make_plugin()])


async def find_replay_failures(client: Client, task_queue: str = TASK_QUEUE) -> dict[str, Exception | None]:
    """Replay each running or stopped workflow run, and return the error of each replay, or None."""
    runs = client.list_workflows(f"TaskQueue = '{task_queue}' AND {REPLAYABLE_RUNS_QUERY}")
    async with build_replayer().workflow_replay_iterator(runs.map_histories()) as results:
        return {f"{one.history.workflow_id} {one.history.run_id}": one.replay_failure async for one in results}


async def main() -> int:
    """Print whether each run replays.

    Returns:
        0 if all runs replay, otherwise 1.
    """
    found = await find_replay_failures(await connect())
    for run, failure in found.items():
        sys.stdout.write(f"{run}: {failure or 'replays'}\n")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
