"""(f) The number of history events, billable actions and AWS calls per environment.

(g) The number of history events, billable actions and AWS calls for environments with more buckets.
"""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.machine import run_bench_stack
from byok.contracts import environment_workflow_id

_VERSIONS = "TemporalChangeVersion"


class EnvironmentCost(BaseModel):
    """The cost of creating one environment without errors.

    Attributes:
        buckets: Number of buckets.
        looks: Number of status polls, for the cluster and the writer together.
        seconds: Wall time from the request to the result, including the wait for the database.
        events: Number of events in the history.
        history_bytes: Size of the history in bytes.
        activities: Number of activities.
        actions: Number of billable actions.
        calls: Number of AWS calls.
    """

    buckets: int
    looks: int
    seconds: float
    events: int
    history_bytes: int
    activities: int
    actions: int
    calls: int


def count_billable_actions(events: Iterable[HistoryEvent]) -> int:
    """Count the billable actions in a history as Temporal Cloud does (docs.temporal.io, "Temporal Cloud Actions").

    The billable actions are the start of the workflow, every attempt of an activity, every timer, and every upsert of
    search attributes, except an upsert that sets only the versioning attribute. Memos are free, and so are search
    attributes set at the start. All local activities of one workflow task count as one action. Heartbeats are not
    counted, because a heartbeat adds no event to the history. The benchmark's activities send no heartbeats, because
    each activity takes less than three seconds.
    """
    actions, tasks_with_local = 0, set[int]()
    for event in events:
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED | EventType.EVENT_TYPE_TIMER_STARTED:
                actions += 1
            case EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
                actions += event.activity_task_started_event_attributes.attempt
            case EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES:
                fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
                actions += set(fields) != {_VERSIONS}
            case EventType.EVENT_TYPE_MARKER_RECORDED:
                marker = event.marker_recorded_event_attributes
                if marker.marker_name == "core_local_activity":
                    tasks_with_local.add(marker.workflow_task_completed_event_id)
    return actions + len(tasks_with_local)


async def measure(folder: Path, buckets: Iterable[int]) -> list[EnvironmentCost]:
    """Create one environment for each number of buckets, and poll each database twice."""
    found = []
    for number in buckets:
        # The first poll is immediate, and the second poll finds the database available.
        async with run_bench_stack(
            folder / f"costs-{number}", database_seconds=0.6, buckets=number, poll_seconds=1.2
        ) as one:
            await one.start_worker()
            made = await one.run_client(
                "-m", "bench.client", "--environments", "1"
            )  # this first run only warms up the worker
            one.call_stand_in("DELETE", "calls")
            made = await one.run_client("-m", "bench.client", "--environments", "1")
            calls = sum(one.count_calls().values())
            service = await one.connect_service()
            handle = service.client.get_workflow_handle(environment_workflow_id(made.names[0]))
            events = (await handle.fetch_history()).events
        attempts = Counter(
            event.activity_task_started_event_attributes.attempt
            for event in events
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
        )
        found.append(
            EnvironmentCost(
                buckets=number,
                looks=sum(attempt * times for attempt, times in attempts.items() if attempt > 1),
                seconds=made.each_seconds[0],
                events=len(events),
                history_bytes=sum(event.ByteSize() for event in events),
                activities=sum(attempts.values()),
                actions=count_billable_actions(events),
                calls=calls // 2,
            )
        )
    return found
