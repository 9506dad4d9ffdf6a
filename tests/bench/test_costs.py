"""Billable actions, counted in a history."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.measures.costs import count_billable_actions


def event(kind: EventType.ValueType, **attributes: object) -> HistoryEvent:
    return HistoryEvent(event_type=kind, **attributes)  # type: ignore[arg-type]


def attempt(number: int) -> HistoryEvent:
    return event(EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, activity_task_started_event_attributes={"attempt": number})


def upsert(*names: str) -> HistoryEvent:
    fields: dict[str, dict[str, dict[str, str]]] = {"indexed_fields": {name: {} for name in names}}
    return event(
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        upsert_workflow_search_attributes_event_attributes={"search_attributes": fields},
    )


def local(task: int) -> HistoryEvent:
    marker = {"marker_name": "core_local_activity", "workflow_task_completed_event_id": task}
    return event(EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes=marker)


def test_start_attempts_timers_and_upserts_are_counted() -> None:
    started = event(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    timer = event(EventType.EVENT_TYPE_TIMER_STARTED)
    assert (
        count_billable_actions([started, attempt(1), attempt(3), timer, upsert("EnvironmentPhase")])
        == 1 + 1 + 3 + 1 + 1
    )


def test_what_is_free_is_not_counted() -> None:
    memo = event(EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED)
    patch = event(EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes={"marker_name": "core_patch"})
    task = event(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    assert count_billable_actions([upsert("TemporalChangeVersion"), memo, patch, task]) == 0


def test_local_activities_of_one_task_are_one_action() -> None:
    assert count_billable_actions([local(4), local(4), local(10)]) == 2
