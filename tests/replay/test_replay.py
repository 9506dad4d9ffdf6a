"""The saved histories replay with the current workflows, so a running environment survives a worker upgrade.

`BYOK_TEST_RECORD=1 pytest tests/replay` records the histories of all outcomes again; `-k` selects some outcomes. Until
0.1.0 is tagged, every commit that changes a workflow must include newly recorded histories. Once 0.1.0 is tagged, a
saved history never changes, and a change to a workflow's activities must be guarded by `workflow.patched()`.
"""

import asyncio
import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError, WorkflowHistory
from temporalio.workflow import NondeterminismError

from byok.contracts import record_workflow_id
from byok.domain.phases import Phase
from tests.replay.live import build_replayer, find_replay_failures
from tests.replay.outcomes import NOT_ACCESSIBLE, OUTCOMES, Outcome
from tests.workflows.fake_activities import build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness

HISTORIES = Path(__file__).with_name("histories")


def load_history(outcome: str) -> str:
    return (HISTORIES / f"{outcome}.json").read_text()


def parse_history(text: str) -> WorkflowHistory:
    started = json.loads(text)["events"][0]["workflowExecutionStartedEventAttributes"]
    return WorkflowHistory.from_json(started["workflowId"], text)


if "BYOK_TEST_RECORD" in os.environ:

    @pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.__name__)
    async def test_record(outcome: Outcome, harness: WorkflowHarness) -> None:
        handle = await outcome(harness)
        with contextlib.suppress(WorkflowFailureError):
            await handle.result()
        events = json.loads((await handle.fetch_history()).to_json())
        HISTORIES.mkdir(exist_ok=True)
        (HISTORIES / f"{outcome.__name__}.json").write_text(json.dumps(without_stack_traces(events), indent=1) + "\n")


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.__name__)
async def test_saved_history_replays(outcome: Outcome) -> None:
    await build_replayer().replay_workflow(parse_history(load_history(outcome.__name__)))


def test_every_saved_history_belongs_to_an_outcome() -> None:
    assert {path.stem for path in HISTORIES.iterdir()} == {outcome.__name__ for outcome in OUTCOMES}


@pytest.mark.parametrize(
    ("outcome", "one", "other"),
    [("ready", "ensure_cluster", "probe_s3_key"), ("deleted", "remove_writer", "remove_cluster")],
)
async def test_history_with_swapped_activities_does_not_replay(outcome: str, one: str, other: str) -> None:
    swapped = load_history(outcome).replace(f'"{one}"', '"-"').replace(f'"{other}"', f'"{one}"')
    swapped = swapped.replace('"-"', f'"{other}"')

    with pytest.raises(NondeterminismError):
        await build_replayer().replay_workflow(parse_history(swapped))


async def test_histories_of_a_running_temporal_are_replayed(harness: WorkflowHarness, environment_id: str) -> None:
    """The stopped run and the open record of its environment."""
    harness.activities.script["ensure_cluster"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.CREATING_CLUSTER)]
    stopped = await harness.start_provision(build_provision_request(environment_id))
    with pytest.raises(WorkflowFailureError):
        await stopped.result()

    async def replay_all() -> dict[str, Exception | None]:
        while True:
            found = await find_replay_failures(harness.client, harness.task_queue)
            if len(found) > 1:
                return found
            await asyncio.sleep(0.05)

    found = await asyncio.wait_for(replay_all(), 20)  # visibility is eventually consistent
    record = await harness.client.get_workflow_handle(record_workflow_id(environment_id)).describe()
    assert found == {f"{stopped.id} {stopped.first_execution_run_id}": None, f"{record.id} {record.run_id}": None}


def without_stack_traces(value: Any) -> Any:
    """Return a history without stack traces.

    Stack traces contain paths from the recording machine and do not affect replays.
    """
    if isinstance(value, dict):
        return {name: without_stack_traces(item) for name, item in value.items() if name != "stackTrace"}
    return [without_stack_traces(item) for item in value] if isinstance(value, list) else value
