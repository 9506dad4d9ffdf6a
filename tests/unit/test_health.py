"""byok computes an environment's health from the last report, the last sweep and the current time."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    EnvironmentHealth,
    HealthReport,
    HealthState,
    HealthSummary,
    HealthTarget,
    KeyDeletion,
    KeyHealth,
    KeyUse,
    Notification,
    NotificationType,
    Problem,
    RecordedHealth,
    SweepOutcome,
    SweepPage,
)
from byok.domain.models.health import MAX_LISTED_UNPROVED, MAX_PROOF_AGE, RECOVERABLE_FOR
from byok.domain.models.key_deletions import is_disproved
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH
from byok.domain.notifications import (
    REMINDER_PERIOD,
    build_change_notifications,
    build_missed_notifications,
    build_reminders,
)
from byok.domain.phases import Phase
from byok.domain.rds_statuses import KEY_LOST_RECOVERABLE
from byok.domain.remediation import Remediation, RemedyStep
from byok.service.health import build_health

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
OUTAGE = Problem(
    code="network.EndpointConnectionError",
    message="Could not connect.",
    phase=Phase.READY,
    region="eu-central-1",
    at=NOW,
    remediation=Remediation(title="AWS did not answer", steps=(RemedyStep(text="Nothing to do. " * 100),)),
)


def build_report(state: HealthState, at: datetime = NOW, **changes: Any) -> HealthReport:
    return HealthReport(environment_id="acme-1", checked_at=at, state=state, **changes)


def lose_cluster(at: datetime = NOW) -> HealthReport:
    return build_report(HealthState.KEY_LOST, at, cluster_status=KEY_LOST_RECOVERABLE)


def build_target(last: HealthSummary | None) -> HealthTarget:
    return HealthTarget(environment_id="acme-1", region="eu-central-1", last=last)


def read(proof_age: timedelta, state: HealthState = HealthState.HEALTHY, **sweep: Any) -> EnvironmentHealth:
    """Return the health that byok shows if a check reported it an hour ago, and a sweep ran `proof_age` ago."""
    recorded = RecordedHealth.following(None, build_report(state, NOW - timedelta(hours=1)))
    outcome = SweepOutcome(region="eu-central-1", swept_at=NOW - proof_age, **sweep)
    return build_health("acme-1", recorded.summarise(), recorded, outcome, NOW)


# contract 139
@pytest.mark.parametrize("state", [one for one in HealthState if one is not HealthState.UNKNOWN])
def test_health_is_unknown_once_its_proof_is_too_old(state: HealthState) -> None:
    recent, old = read(MAX_PROOF_AGE, state), read(MAX_PROOF_AGE + timedelta(seconds=1), state)

    assert (recent.state, recent.since) == (state, NOW - timedelta(hours=1))
    assert (old.state, old.last_state) == (HealthState.UNKNOWN, state)
    assert old.since == old.proved_at + MAX_PROOF_AGE


# contract 139, 140
def test_sweep_without_an_answer_from_aws_is_no_proof_and_says_why() -> None:
    health = read(MINUTE, unproved=("acme-1",), unproved_count=1, cause=OUTAGE)

    assert (health.state, health.proved_at, health.unreachable) == (
        HealthState.UNKNOWN,
        NOW - timedelta(hours=1),
        OUTAGE,
    )
    other = read(MINUTE, unproved=("acme-2",), unproved_count=1, cause=OUTAGE)
    assert (other.state, other.unreachable) == (HealthState.HEALTHY, None)


def test_later_report_counts_more_than_an_earlier_sweep() -> None:
    recorded = RecordedHealth.following(None, build_report(HealthState.HEALTHY, NOW - MINUTE))
    sweep = SweepOutcome(region="eu-central-1", swept_at=NOW - 5 * MINUTE, unproved=("acme-1",), unproved_count=1)

    assert build_health("acme-1", recorded.summarise(), recorded, sweep, NOW).proved_at == NOW - MINUTE
    assert build_health("acme-1", recorded.summarise(), recorded, None, NOW).proved_at == NOW - MINUTE


def test_sweep_that_gets_no_answer_about_a_whole_page_ends_and_proves_nothing() -> None:
    start = SweepOutcome(region="eu-central-1", swept_at=NOW).add(SweepPage(checked=500, after="2"))
    last = start.add(SweepPage(checked=0, unproved=("acme-2",), cause=OUTAGE))
    middle = start.add(SweepPage(checked=0, unproved=("acme-2",), cause=OUTAGE, after="3"))

    assert (last.abandoned, last.proves("acme-1"), last.proves("acme-2")) == (False, True, False)
    assert (middle.abandoned, middle.proves("acme-1")) == (True, False)


def test_outcome_of_a_sweep_fits_into_a_memo_whatever_happens() -> None:
    outcome = SweepOutcome(region="eu-central-1", swept_at=NOW)
    for page in range(20):
        names = tuple(f"environment-{page}-{number}" for number in range(500))
        outcome = outcome.add(SweepPage(checked=0, unproved=names, cause=OUTAGE))

    assert (outcome.unproved_count, outcome.unproved, outcome.proves("acme-1")) == (10_000, (), False)
    few = SweepOutcome(region="eu-central-1", swept_at=NOW).add(
        SweepPage(
            checked=0,
            unproved=("e" * ENVIRONMENT_ID_MAX_LENGTH,) * MAX_LISTED_UNPROVED,
            cause=OUTAGE.model_copy(update={"message": "no answer " * 100, "request_id": "r" * 60}),
        )
    )
    assert len(few.model_dump_json()) < 2048  # the SDK logs a warning about larger memos


def test_state_keeps_its_beginning_and_the_deadline_while_nothing_changes() -> None:
    first = RecordedHealth.following(None, lose_cluster())
    second = RecordedHealth.following(first, lose_cluster(NOW + MINUTE))
    recovered = RecordedHealth.following(second, build_report(HealthState.HEALTHY, NOW + 2 * MINUTE))

    assert (second.since, second.recoverable_until) == (NOW, NOW + RECOVERABLE_FOR)  # contract 142
    assert (recovered.since, recovered.recoverable_until) == (NOW + 2 * MINUTE, None)


def test_same_fact_with_another_message_of_aws_is_no_news() -> None:
    one, other = (OUTAGE.model_copy(update={"message": text}) for text in ("request 1", "request 2"))

    def digest(*problems: Problem) -> str:
        return build_report(HealthState.KEY_LOST, problems=problems).digest

    assert digest(one) == digest(other) != digest()
    drift = [OUTAGE.model_copy(update={"code": "byok.Drift", "message": text}) for text in ("bucket a", "bucket b")]
    assert digest(drift[0]) != digest(drift[1])


def build_notifications(target: HealthTarget, report: HealthReport) -> list[Notification]:
    return [*build_change_notifications(target, report), *build_reminders(target, report)]


def list_types(last: HealthSummary | None, report: HealthReport) -> list[NotificationType]:
    return [one.type for one in build_notifications(build_target(last), report)]


# contract 144
def test_loss_and_return_of_a_key_are_notified_once() -> None:
    healthy = RecordedHealth.following(None, build_report(HealthState.HEALTHY, NOW - MINUTE)).summarise()
    refused = build_report(HealthState.KEY_LOST)
    lost = RecordedHealth.following(None, refused).summarise()
    back = build_report(HealthState.HEALTHY, NOW + MINUTE)
    starting = build_report(HealthState.RECOVERING, NOW + MINUTE)

    assert list_types(healthy, refused) == [NotificationType.KEY_LOST]
    assert list_types(lost, refused) == list_types(lost, starting) == list_types(healthy, back) == []
    assert list_types(lost, back) == [NotificationType.RECOVERED]
    assert list_types(None, back) == []
    again = build_notifications(build_target(healthy), build_report(HealthState.KEY_LOST, NOW + MINUTE))
    assert again[0].id == build_notifications(build_target(healthy), refused)[0].id


# contract 144
def test_two_checks_that_find_the_same_loss_have_the_same_notifications() -> None:
    healthy = RecordedHealth.following(None, build_report(HealthState.HEALTHY, NOW - MINUTE)).summarise()
    one, other = (build_notifications(build_target(healthy), lose_cluster(at)) for at in (NOW, NOW + MINUTE))

    assert [each.id for each in one] == [each.id for each in other]
    assert len({each.id for each in one}) == len(one) == 2


# contract 144
def test_unannounced_change_has_the_notifications_that_were_missed() -> None:
    healthy = RecordedHealth.following(None, build_report(HealthState.HEALTHY, NOW - MINUTE)).summarise()
    lost = lose_cluster()
    first = RecordedHealth.following(None, lost.model_copy(update={"unannounced": healthy}))
    announced = RecordedHealth.following(first, lost)
    missed = build_missed_notifications(build_target(first.summarise()))
    told = build_change_notifications(build_target(healthy), lost)

    assert [(one.id, one.type, one.at) for one in missed] == [(one.id, one.type, one.at) for one in told]
    assert [one.data.deadline for one in missed] == [NOW + RECOVERABLE_FOR] * 2
    assert build_missed_notifications(build_target(announced.summarise())) == ()
    assert (announced.since, announced.report.digest) == (first.since, first.report.digest)


# contract 142
def test_reminders_come_at_stated_points_before_the_deadline() -> None:
    first = lose_cluster()
    last = RecordedHealth.following(None, first).summarise()
    assert list_types(None, first) == [NotificationType.KEY_LOST, NotificationType.CLOCK_RUNNING]

    started = build_notifications(build_target(None), first)[1]
    sent = {started.id: started.at}
    step = timedelta(hours=1)
    for hours in range(24 * 8):
        for one in build_notifications(build_target(last), lose_cluster(NOW + hours * step)):
            sent.setdefault(one.id, one.at)
            assert one.data.deadline == NOW + RECOVERABLE_FOR

    left = [NOW + RECOVERABLE_FOR - at for at in sent.values()]
    assert left == [RECOVERABLE_FOR, timedelta(days=3), timedelta(days=1), timedelta(hours=6)]
    assert timedelta(hours=6) >= REMINDER_PERIOD, "each reminder must be over before the next one begins"


S3_ARN, RDS_ARN = (f"arn:aws:kms:eu-central-1:444455556666:key/{one}" for one in ("s3", "rds"))


def check_keys(at: datetime, rds: KeyUse = KeyUse.IN_USE, s3: KeyUse = KeyUse.PROVED) -> HealthReport:
    uses = {KeyPurpose.S3: (S3_ARN, s3), KeyPurpose.RDS: (RDS_ARN, rds)}
    keys = tuple(KeyHealth(key=key, key_arn=arn, use=use) for key, (arn, use) in uses.items())
    return build_report(HealthState.HEALTHY, at, keys=keys)


# contract 142
def test_reported_deletion_is_disproved_only_by_a_proof_that_kms_cannot_contradict() -> None:
    s3 = KeyDeletion(key=KeyPurpose.S3, key_arn=S3_ARN, delete_at=NOW + 7 * DAY, reported_at=NOW)
    rds = s3.model_copy(update={"key": KeyPurpose.RDS, "key_arn": RDS_ARN})

    assert not is_disproved(s3, check_keys(NOW + MINUTE)), "KMS is eventually consistent"
    assert not is_disproved(s3, check_keys(NOW - MINUTE))
    assert not is_disproved(s3, check_keys(NOW + DAY, s3=KeyUse.REFUSED))
    assert not is_disproved(s3.model_copy(update={"key_arn": RDS_ARN}), check_keys(NOW + DAY))
    assert is_disproved(s3, check_keys(NOW + 5 * MINUTE))

    assert not is_disproved(rds, check_keys(NOW + DAY)), "a running cluster uses its grant"
    assert not is_disproved(rds, check_keys(NOW + DAY), check_keys(NOW - MINUTE, KeyUse.REFUSED)), "lost before"
    assert is_disproved(rds, check_keys(NOW + DAY), check_keys(NOW + MINUTE, KeyUse.REFUSED))


# contract 142, 144
def test_reminders_come_before_kms_deletes_a_key() -> None:
    deletion = KeyDeletion(key=KeyPurpose.S3, key_arn=S3_ARN, delete_at=NOW + 7 * DAY, reported_at=NOW)
    target = build_target(None).model_copy(update={"deletions": (deletion,)})
    sent: dict[str, Notification] = {}
    for hours in range(24 * 8):
        at = NOW + timedelta(hours=hours)
        for one in build_reminders(target, check_keys(at, s3=KeyUse.REFUSED)):
            sent.setdefault(one.id, one)

    assert [(NOW + 7 * DAY - one.at, one.type) for one in sent.values()] == [
        (left, NotificationType.CLOCK_RUNNING) for left in (7 * DAY, 3 * DAY, DAY, DAY / 4)
    ]
    assert {(one.data.deadline, one.data.key_to_be_deleted) for one in sent.values()} == {
        (NOW + 7 * DAY, KeyPurpose.S3)
    }
    assert build_reminders(target, check_keys(NOW + 4 * DAY)) == ()
