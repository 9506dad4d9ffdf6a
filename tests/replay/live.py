"""Replays the histories of a running Temporal on this checkout's workflows: `python -m tests.replay.live`.

What CI cannot know is which histories there are out there. Nothing is changed, and no AWS call is made. Temporal is
found by its own environment configuration.
"""

import asyncio
import sys
from typing import Final

from temporalio.client import Client
from temporalio.worker import Replayer

from byok.contracts import TASK_QUEUE
from byok.temporal import connect, make_plugin
from workflows.check_keys import CheckKeys
from workflows.delete_environment import DeleteEnvironment
from workflows.provision_environment import ProvisionEnvironment
from workflows.reconcile_tenant import ReconcileTenant

REPLAYABLE_RUNS_QUERY: Final = "ExecutionStatus IN ('Running', 'Failed', 'Canceled')"
"""What is going on, and what a replay can continue."""


def build_replayer() -> Replayer:
    """Takes histories of every workflow there is."""
    workflows = [ProvisionEnvironment, DeleteEnvironment, CheckKeys, ReconcileTenant]
    return Replayer(workflows=workflows, plugins=[make_plugin()])


async def find_replay_failures(client: Client, task_queue: str = TASK_QUEUE) -> dict[str, Exception | None]:
    """Of each run that goes on or can be continued, why it does not replay; None where it does."""
    runs = client.list_workflows(f"TaskQueue = '{task_queue}' AND {REPLAYABLE_RUNS_QUERY}")
    async with build_replayer().workflow_replay_iterator(runs.map_histories()) as results:
        return {f"{one.history.workflow_id} {one.history.run_id}": one.replay_failure async for one in results}


async def main() -> int:
    """Say of each run whether it replays.

    Returns:
        0 where all do, else 1.
    """
    found = await find_replay_failures(await connect())
    for run, failure in found.items():
        sys.stdout.write(f"{run}: {failure or 'replays'}\n")
    return 1 if any(found.values()) else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
