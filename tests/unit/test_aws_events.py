"""Find the environment or the key that an AWS event is about (contract 141)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from byok.domain.aws_events import (
    KMS_DETAIL_TYPES,
    KMS_OPERATIONS,
    RDS_EVENT_IDS,
    AwsEvent,
    EventSubject,
    ReportedDeletion,
    find_subject,
)
from byok.domain.vendor import VendorProfile
from tests.aws_events import (
    CUSTOMER_ACCOUNT,
    PLATFORM_ACCOUNT,
    build_cloudtrail_event,
    build_kms_event,
    build_rds_event,
)
from tests.workflows.fake_activities import RDS_KEY, REGION

KEY_ID = RDS_KEY.rpartition("/")[2]
ABOUT_THE_KEY = EventSubject(REGION, key_arns=frozenset({RDS_KEY}))


def find(event: dict[str, Any]) -> EventSubject | None:
    return find_subject(AwsEvent.model_validate(event), VendorProfile(), PLATFORM_ACCOUNT)


@pytest.mark.parametrize(
    ("event_id", "name", "environment_id"),
    [
        ("RDS-EVENT-0418", "byok-acme-prod-writer", "acme-prod"),
        ("RDS-EVENT-0419", "byok-acme-prod-writer", "acme-prod"),
        ("RDS-EVENT-0420", "byok-acme-prod-writer", "acme-prod"),
        ("RDS-EVENT-0150", "byok-acme-prod", "acme-prod"),
        ("RDS-EVENT-0151", "byok-acme-prod", "acme-prod"),
        ("RDS-EVENT-0151", "byok-acme-writer", "acme-writer"),  # a cluster whose environment's id ends in -writer
        ("RDS-EVENT-0418", "byok-acme-writer-writer", "acme-writer"),
    ],
)
def test_rds_event_is_about_the_environment_in_the_name(event_id: str, name: str, environment_id: str) -> None:
    assert event_id in RDS_EVENT_IDS
    assert find(build_rds_event(event_id, name)) == EventSubject(REGION, environment_id)  # contract 141


@pytest.mark.parametrize(
    "event",
    [
        build_rds_event("RDS-EVENT-0001", "byok-acme-prod-writer"),
        build_rds_event("RDS-EVENT-0418", "byok-acme-prod"),
        build_rds_event("RDS-EVENT-0418", "another-database"),
        build_rds_event("RDS-EVENT-0418", "byok--writer"),
        build_rds_event("RDS-EVENT-0418", f"byok-{'a' * 33}-writer"),
        build_rds_event("RDS-EVENT-0150", "byok-Acme"),
        build_rds_event("RDS-EVENT-0150", "byok-acme-prod", account=CUSTOMER_ACCOUNT),
        build_rds_event("RDS-EVENT-0150", "byok-acme-prod") | {"detail-type": "RDS DB Snapshot Event"},
        build_rds_event("RDS-EVENT-0150", "byok-acme-prod", source="acme.rds"),
        build_rds_event("RDS-EVENT-0150", "byok-acme-prod", detail={"EventID": ["x"], "SourceIdentifier": {}}),
        build_kms_event("KMS CMK Creation", RDS_KEY),
        build_kms_event("KMS CMK Deletion", RDS_KEY, resources=["nonsense"]),
        build_kms_event("KMS CMK Deletion", RDS_KEY, account="999999999999"),
        build_kms_event("KMS CMK Deletion", RDS_KEY, region="us-west-2"),
        build_kms_event("KMS CMK Deletion", RDS_KEY, source="acme.kms"),
        build_cloudtrail_event("Decrypt", RDS_KEY),
        build_cloudtrail_event("DisableKey", RDS_KEY, errorCode="AccessDenied"),
        build_cloudtrail_event("DisableKey", "alias/mine"),
        build_cloudtrail_event("DisableKey", RDS_KEY.replace(CUSTOMER_ACCOUNT, "999999999999")),
        build_cloudtrail_event("DisableKey", RDS_KEY, requestParameters=None),
        build_cloudtrail_event("DisableKey", RDS_KEY, requestParameters={"keyId": 1}, resources=({},)),  # type: ignore[arg-type]
    ],
)
def test_other_events_are_about_nothing(event: dict[str, Any]) -> None:
    assert find(event) is None


@pytest.mark.parametrize("detail_type", sorted(KMS_DETAIL_TYPES))
def test_event_of_kms_is_about_its_key(detail_type: str) -> None:
    assert find(build_kms_event(detail_type, RDS_KEY)) == ABOUT_THE_KEY  # contract 141


@pytest.mark.parametrize("operation", sorted(KMS_OPERATIONS))
def test_call_of_kms_is_about_its_key(operation: str) -> None:
    by_resource = build_cloudtrail_event(operation, KEY_ID, resources=(RDS_KEY,), requestParameters=None)
    events = [by_resource, build_cloudtrail_event(operation, RDS_KEY), build_cloudtrail_event(operation, KEY_ID)]
    for event in events:
        found = find(event)
        assert found is not None
        assert replace(found, deletion=None) == ABOUT_THE_KEY  # contract 141


# contract 142
@pytest.mark.parametrize(
    ("operation", "requested", "answered", "days"),
    [
        ("ScheduleKeyDeletion", {"pendingWindowInDays": 20}, {"deletionDate": "Apr 12, 2021 18:58:30 PM"}, 20),
        ("ScheduleKeyDeletion", {}, {"deletionDate": "Apr 22, 2021 6:58:30 PM"}, 30),
        ("ScheduleKeyDeletion", {"pendingWindowInDays": 7}, {"keyState": "PendingReplicaDeletion"}, None),
        ("ScheduleKeyDeletion", {"pendingWindowInDays": 10**9}, {"deletionDate": "soon"}, None),
        ("ScheduleKeyDeletion", {"pendingWindowInDays": "7"}, {"deletionDate": "soon"}, None),
        ("ScheduleKeyDeletion", {}, None, None),
        ("DisableKey", {}, {"deletionDate": "Apr 22, 2021 6:58:30 PM"}, None),
    ],
)
def test_date_of_a_deletion_follows_from_the_call(
    operation: str, requested: dict[str, Any], answered: dict[str, Any] | None, days: int | None
) -> None:
    event = build_cloudtrail_event(
        operation, RDS_KEY, requestParameters={"keyId": RDS_KEY, **requested}, responseElements=answered
    )
    found, at = find(event), AwsEvent.model_validate(event).time
    assert found is not None
    assert found.deletion == (None if days is None else ReportedDeletion(at + timedelta(days=days), at))


@pytest.mark.parametrize("operation", ["CancelKeyDeletion", "EnableKey"])
def test_key_that_is_enabled_is_not_deleted(operation: str) -> None:
    event = build_cloudtrail_event(operation, RDS_KEY)
    found = find(event)
    assert found is not None
    assert found.deletion == ReportedDeletion(None, AwsEvent.model_validate(event).time)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(["aws.rds", "aws.kms"]),
    st.sampled_from(["RDS DB Instance Event", "KMS CMK Deletion", "AWS API Call via CloudTrail"]),
    st.dictionaries(
        st.sampled_from(
            [
                "EventID",
                "SourceIdentifier",
                "eventName",
                "errorCode",
                "requestParameters",
                "responseElements",
                "resources",
            ]
        ),
        _JSON | st.sampled_from(["RDS-EVENT-0418", "DisableKey", "ScheduleKeyDeletion"]),
    ),
)
def test_no_content_of_an_event_causes_an_error(source: str, detail_type: str, detail: dict[str, Any]) -> None:
    event = build_kms_event(detail_type, "nonsense", source=source, detail=detail)
    found = find(event)
    assert found is None or found.environment_id or found.key_arns


@pytest.mark.parametrize(
    ("age", "timely"),
    [
        (timedelta(), True),
        (timedelta(minutes=15), True),
        (timedelta(minutes=15, seconds=1), False),
        (timedelta(minutes=-5), True),
        (timedelta(minutes=-5, seconds=-1), False),
    ],
)
def test_event_is_timely_within_the_replay_window(age: timedelta, timely: bool) -> None:
    now = datetime(2026, 11, 29, 12, tzinfo=UTC)
    event = build_kms_event("KMS CMK Rotation", RDS_KEY, time=f"{now - age:%Y-%m-%dT%H:%M:%SZ}")
    assert AwsEvent.model_validate(event).is_timely(now) is timely


@pytest.mark.parametrize("change", [{"time": "2026-11-29T12:00:00"}, {"account": "x"}, {"region": "../x"}, {"id": ""}])
def test_malformed_event_is_invalid(change: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        AwsEvent.model_validate(build_kms_event("KMS CMK Rotation", RDS_KEY) | change)
