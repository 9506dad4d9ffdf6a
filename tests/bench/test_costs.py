"""Count the billable actions in a workflow history."""

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

from bench.measures.costs import count_billable_actions


def make_event(kind: EventType.ValueType, **attributes: object) -> HistoryEvent:
    return HistoryEvent(event_type=kind, **attributes)  # type: ignore[arg-type]


def make_attempt_event(number: int) -> HistoryEvent:
    return make_event(
        EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, activity_task_started_event_attributes={"attempt": number}
    )


def make_upsert_event(*names: str) -> HistoryEvent:
    fields: dict[str, dict[str, dict[str, str]]] = {"indexed_fields": {name: {} for name in names}}
    return make_event(
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        upsert_workflow_search_attributes_event_attributes={"search_attributes": fields},
    )


def make_local_activity_event(task: int) -> HistoryEvent:
    marker = {"marker_name": "core_local_activity", "workflow_task_completed_event_id": task}
    return make_event(EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes=marker)


def test_starts_attempts_timers_and_upserts_are_counted() -> None:
    started = make_event(EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    timer = make_event(EventType.EVENT_TYPE_TIMER_STARTED)
    assert (
        count_billable_actions(
            [started, make_attempt_event(1), make_attempt_event(3), timer, make_upsert_event("EnvironmentPhase")]
        )
        == 1 + 1 + 3 + 1 + 1
    )


def test_free_events_are_not_counted() -> None:
    memo = make_event(EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED)
    patch = make_event(
        EventType.EVENT_TYPE_MARKER_RECORDED, marker_recorded_event_attributes={"marker_name": "core_patch"}
    )
    task = make_event(EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    assert count_billable_actions([make_upsert_event("TemporalChangeVersion"), memo, patch, task]) == 0


def test_local_activities_of_one_task_are_one_action() -> None:
    assert (
        count_billable_actions(
            [make_local_activity_event(4), make_local_activity_event(4), make_local_activity_event(10)]
        )
        == 2
    )
