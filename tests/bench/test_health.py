"""Counts the calls that a sweep made, from the stand-in's log, and its heartbeats, from the workflow's history."""

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import ActivityTaskCompletedEventAttributes, HistoryEvent

from bench.measures.sweeps import count_heartbeats, count_service_calls
from bench.stand_in.copies import CopyTexts


def make_activity(number: int, began: int, ended: int) -> list[HistoryEvent]:
    """Build the start event and the completion event of an activity; `began` and `ended` are in seconds."""
    return [
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED, event_id=number, event_time=Timestamp(seconds=began)
        ),
        HistoryEvent(
            event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
            event_id=number + 1,
            event_time=Timestamp(seconds=ended),
            activity_task_completed_event_attributes=ActivityTaskCompletedEventAttributes(started_event_id=number),
        ),
    ]


def test_activities_send_a_heartbeat_every_three_seconds() -> None:
    assert (
        count_heartbeats([*make_activity(6, 100, 102), *make_activity(12, 102, 114), *make_activity(18, 114, 119)]) == 5
    )


def test_calls_of_one_service_are_counted() -> None:
    log = {
        "calls": {"s3:GetObject": 300, "s3:PutObject": 20, "rds:DescribeDBClusters": 4},
        "per_second": [
            {"second": 1_764_460_800, "s3:GetObject": 100, "rds:DescribeDBClusters": 3},
            {"second": 1_764_460_801, "s3:GetObject": 90, "s3:PutObject": 20},
        ],
    }
    assert count_service_calls(log, "s3") == (320, 110)
    assert count_service_calls(log, "rds") == (4, 3)
    assert count_service_calls({"calls": {}, "per_second": []}, "s3") == (0, 0)


def test_copies_differ_in_every_text_of_the_original() -> None:
    texts = CopyTexts([("env-1", "env-2"), ("0a1b", "2c3d")])
    assert texts.changes("byok-env-1-data-0a1b")
    assert not texts.changes("byok-key-probes")
    assert texts.replace("byok-env-1-data-0a1b") == "byok-env-2-data-2c3d"
    assert texts.replace(b"<Id>env-1</Id>") == b"<Id>env-2</Id>"
    fields = {"TagList": ("Tag", [{"Key": "byok:environment-id", "Value": "env-1"}]), "Port": 5432}
    assert texts.replace(fields) == {
        "TagList": ("Tag", [{"Key": "byok:environment-id", "Value": "env-2"}]),
        "Port": 5432,
    }
