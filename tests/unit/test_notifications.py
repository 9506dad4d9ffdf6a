"""Test which changes cause notifications, what a notification contains, and how often byok retries a delivery."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import ValidationError

from byok.domain.models import (
    Attempt,
    AttemptKind,
    DeliveryRequest,
    Notification,
    NotificationData,
    NotificationType,
    Problem,
    RecordedProgress,
    RecordedRequest,
    RunReport,
)
from byok.domain.notifications import (
    DELIVERY_PERIOD,
    LONGEST_RETRY_PAUSE,
    WebhookEndpoint,
    build_run_notification,
    build_test_notification,
    choose_retry_pause,
    parse_retry_after,
    render_event,
)
from byok.domain.phases import Phase
from byok.domain.remediation import Remediation
from tests.webhook_receiver import NEW_SECRET, SECRET
from workflows.activity_options import DELIVER_OPTIONS

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
REGION = "eu-central-1"
PROBLEM = Problem(
    code="s3.KMS.DisabledException",
    message="The key is disabled.",
    phase=Phase.CREATING_STORAGE,
    region=REGION,
    at=NOW,
    remediation=Remediation(title="The S3 key is disabled"),
)


def build_report(phase: Phase, *, ended_at: datetime | None = NOW, run_id: str = "run-1", **request: Any) -> RunReport:
    recorded = RecordedRequest(deletion=False, environment_id="acme-1", region=REGION, organisation="acme")
    return RunReport(
        progress=RecordedProgress(
            request=recorded.model_copy(update=request),
            phase=phase,
            timeline=(),
            problems=(PROBLEM,) if phase is Phase.STOPPED else (),
        ),
        attempt=Attempt(
            kind=AttemptKind.DELETION if phase is Phase.DELETED else AttemptKind.PROVISIONING,
            run_id=run_id,
            started_at=NOW,
            ended_at=ended_at,
            phase=phase,
        ),
    )


@pytest.mark.parametrize(
    ("phase", "kind"),
    [
        (Phase.READY, NotificationType.PROVISIONED),
        (Phase.STOPPED, NotificationType.STOPPED),
        (Phase.DELETED, NotificationType.DELETED),
    ],
)
def test_end_of_a_run_is_a_notification_of_its_type(phase: Phase, kind: NotificationType) -> None:
    notification = build_run_notification(build_report(phase))

    assert notification is not None
    assert (notification.type, notification.environment_id, notification.organisation) == (kind, "acme-1", "acme")
    assert (notification.region, notification.at, notification.data.phase) == (REGION, NOW, phase)


def test_notification_of_a_stop_has_the_first_problem() -> None:
    notification = build_run_notification(build_report(Phase.STOPPED))

    assert notification is not None
    assert notification.data.problem_code == "s3.KMS.DisabledException"
    assert notification.data.problem_message == "The key is disabled."
    assert notification.data.attempt is AttemptKind.PROVISIONING


@pytest.mark.parametrize("phase", [one for one in Phase if not one.is_final])
def test_run_that_reports_no_final_phase_is_no_notification(phase: Phase) -> None:
    assert build_run_notification(build_report(phase)) is None


@pytest.mark.parametrize("phase", [one for one in Phase if one.is_final])
def test_run_that_has_not_ended_is_no_notification(phase: Phase) -> None:
    assert build_run_notification(build_report(phase, ended_at=None)) is None


def test_repeated_report_has_the_same_id_and_another_run_or_phase_has_another() -> None:
    first = build_run_notification(build_report(Phase.STOPPED))
    again = build_run_notification(build_report(Phase.STOPPED))
    others = [
        build_run_notification(one) for one in (build_report(Phase.READY), build_report(Phase.STOPPED, run_id="run-2"))
    ]

    assert first == again  # contract 144
    assert len({one.id for one in (first, *others) if one is not None}) == 3


def test_event_has_the_attributes_that_cloudevents_requires() -> None:
    notification = build_run_notification(build_report(Phase.STOPPED))
    assert notification is not None

    assert json.loads(render_event(notification)) == {
        "specversion": "1.0",
        "id": notification.id,
        "source": "/byok",
        "type": "byok.environment.stopped",
        "subject": "acme-1",
        "time": "2026-11-30T12:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "environment_id": "acme-1",
            "organisation": "acme",
            "region": REGION,
            "phase": "STOPPED",
            "attempt": "provisioning",
            "problem_code": "s3.KMS.DisabledException",
            "problem_message": "The key is disabled.",
        },
    }


def test_event_contains_the_deadline() -> None:
    notification = Notification(
        id="1", type=NotificationType.CLOCK_RUNNING, at=NOW, data=NotificationData(deadline=NOW + timedelta(days=7))
    )

    assert json.loads(render_event(notification))["data"] == {"deadline": "2026-12-07T12:00:00Z"}


def test_test_notifications_differ_and_belong_to_no_environment() -> None:
    first, second = build_test_notification(), build_test_notification()

    assert first.id != second.id
    event = json.loads(render_event(first))
    assert (event["type"], event["data"]) == ("byok.notification.test", {})
    assert "subject" not in event


def build_endpoint(**changes: Any) -> WebhookEndpoint:
    return WebhookEndpoint.model_validate({"name": "portal", "url": "https://a.test/", "secrets": [SECRET], **changes})


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, True),
        ({"organisation": "acme"}, True),
        ({"organisation": "globex"}, False),
        ({"types": ["byok.environment.stopped", "byok.environment.provisioned"]}, True),
        ({"types": ["byok.environment.stopped"]}, False),
        ({"types": ["byok.environment.provisioned"], "organisation": "globex"}, False),
    ],
)
def test_endpoint_wants_only_its_organisation_and_types(changes: dict[str, Any], wanted: bool) -> None:
    notification = build_run_notification(build_report(Phase.READY))
    assert notification is not None
    assert build_endpoint(**changes).wants(notification) is wanted


def test_endpoint_of_an_organisation_gets_nothing_about_the_vendors_own_environments() -> None:
    notification = build_run_notification(build_report(Phase.READY, organisation=None))
    assert notification is not None
    assert not build_endpoint(organisation="acme").wants(notification)
    assert build_endpoint().wants(notification)


@pytest.mark.parametrize(
    "url",
    [
        *("http://portal.example.com/", "ftp://portal.example.com/", "https:///path", "portal.example.com", ""),
        *("https://user:hunter2@portal.example.com/", "https://portal.example.com/#hunter2", "https://a b.test/"),
        *("https://portal.example.com:99999/", "https://[::1", "https://pörtal.example.com/", "https://a.test/\n"),
    ],
)
def test_url_that_is_not_plain_https_is_refused(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        build_endpoint(url=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "secrets",
    [
        [],
        [SECRET, NEW_SECRET, SECRET],
        ["hunter2hunter2hunter2hunter2hunter2x"],
        ["whsec_"],
        ["whsec_hunter2x"],
        ["whsec_hunter2hunter2hunter2hunter2hunter2"],
        ["whsec_hunter2_" + "-_-_" * 8],
        ["whsec_hunter2x" + "A" * 80],
    ],
)
def test_secrets_that_standard_webhooks_does_not_allow_are_refused_without_repeating_them(secrets: list[str]) -> None:
    with pytest.raises(ValidationError) as caught:
        build_endpoint(secrets=secrets)
    assert "hunter2" not in str(caught.value)
    assert caught.value.errors(include_url=False)[0]["loc"][0] == "secrets"


def test_endpoint_shows_neither_its_url_nor_its_secrets() -> None:
    endpoint = build_endpoint(url="https://a.test/hunter2", secrets=[NEW_SECRET, SECRET])

    for text in (repr(endpoint), str(endpoint), f"{endpoint!r}", str([endpoint])):
        assert "hunter2" not in text  # contract 144
        assert SECRET not in text
        assert NEW_SECRET not in text


def shortest(attempt: int, retry_after: timedelta | None = None) -> timedelta:
    return choose_retry_pause(attempt, retry_after, uniform=min)


def test_pauses_grow_from_seconds_to_hours_and_fill_three_days() -> None:
    assert [shortest(attempt).total_seconds() for attempt in range(1, 10)] == [
        *(5, 20, 80, 320, 1280, 5120, 20480),
        *(12 * 3600, 12 * 3600),
    ]
    elapsed, attempts = timedelta(0), 1
    while elapsed + shortest(attempts) < DELIVERY_PERIOD:
        elapsed += shortest(attempts)
        attempts += 1
    assert attempts == 13
    assert DELIVERY_PERIOD - elapsed < LONGEST_RETRY_PAUSE
    assert shortest(10_000) == LONGEST_RETRY_PAUSE


def test_pause_is_lengthened_by_at_most_a_fifth() -> None:
    assert choose_retry_pause(1, uniform=max) == timedelta(seconds=6)
    assert {choose_retry_pause(3) for _ in range(20)} != {shortest(3)}


def test_policy_of_the_activity_agrees_with_the_pauses() -> None:
    policy = DELIVER_OPTIONS["retry_policy"]
    assert policy is not None
    assert policy.initial_interval == shortest(1)
    assert policy.initial_interval * policy.backoff_coefficient == shortest(2)
    assert policy.maximum_interval == LONGEST_RETRY_PAUSE
    assert policy.maximum_attempts == 0
    assert DELIVER_OPTIONS["schedule_to_close_timeout"] == DELIVERY_PERIOD


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        (timedelta(0), timedelta(seconds=5)),
        (timedelta(seconds=90), timedelta(seconds=90)),
        (timedelta(days=2), LONGEST_RETRY_PAUSE),
    ],
)
def test_endpoint_can_ask_for_a_longer_pause_up_to_a_limit(retry_after: timedelta, pause: timedelta) -> None:
    assert shortest(1, retry_after) == pause


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("0", timedelta(0)),
        (" 120 ", timedelta(minutes=2)),
        ("9" * 5000, LONGEST_RETRY_PAUSE),
        ("Mon, 30 Nov 2026 12:01:00 GMT", timedelta(minutes=1)),
        ("Mon, 30 Nov 2026 12:01:00 -0000", timedelta(minutes=1)),
        ("Mon, 30 Nov 2026 11:00:00 GMT", timedelta(0)),
        ("Mon, 30 Nov 2099 11:00:00 GMT", LONGEST_RETRY_PAUSE),
        ("Mon, 99 Nov 2026 11:00:00 GMT", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(header: str | None, pause: timedelta | None) -> None:
    assert parse_retry_after(header, NOW.astimezone(timezone(timedelta(hours=1)))) == pause


def test_delivery_has_the_organisation_that_decides_the_fairness_key() -> None:
    notification = build_run_notification(build_report(Phase.READY))
    assert notification is not None
    assert DeliveryRequest(endpoint="portal", notification=notification).organisation == "acme"
