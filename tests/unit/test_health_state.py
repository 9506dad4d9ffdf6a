"""The health to show follows from the last report and the latest sweep (contract 139)."""

from datetime import UTC, datetime, timedelta

import pytest

from byok.domain.models import HealthSummary, Problem, SweepOutcome, SweepPage
from byok.domain.models.health import MAX_LISTED_UNPROVED, MAX_PROOF_AGE, compute_state, find_proof_time
from byok.domain.phases import HealthState, Phase
from byok.service.health import build_health

REPORTED = datetime(2026, 3, 1, 12, tzinfo=UTC)
SWEPT = REPORTED + timedelta(hours=1)
LAST = HealthSummary(state=HealthState.KEY_LOST, since=REPORTED, checked_at=REPORTED, digest="0a1b2c3d4e5f")
FAULT = Problem(
    code="s3.SlowDown",
    message="Please reduce your request rate.",
    operation="GetObject",
    phase=Phase.READY,
    region="eu-central-1",
    at=SWEPT,
    remediation="Wait.",
)


def sweep(*unproved: str) -> SweepOutcome:
    page = SweepPage(checked=1, unproved=unproved, cause=FAULT if unproved else None)
    return SweepOutcome(region="eu-central-1", swept_at=SWEPT).add(page)


@pytest.mark.parametrize("state", HealthState)
def test_health_is_unknown_once_its_proof_is_older_than_ten_minutes(state: HealthState) -> None:
    assert timedelta(minutes=10) == MAX_PROOF_AGE  # contract 139
    assert compute_state(state, REPORTED, REPORTED + MAX_PROOF_AGE) is state
    assert compute_state(state, REPORTED, REPORTED + MAX_PROOF_AGE + timedelta(seconds=1)) is HealthState.UNKNOWN


def test_sweep_without_news_proves_the_last_report_again() -> None:
    assert find_proof_time(LAST, "acme", sweep()) == SWEPT
    assert find_proof_time(LAST, "acme", sweep("globex")) == SWEPT
    assert find_proof_time(LAST, "acme", sweep("globex", "acme")) == REPORTED
    assert find_proof_time(LAST, "acme", None) == REPORTED
    later = LAST.model_copy(update={"checked_at": SWEPT + timedelta(minutes=1)})
    assert find_proof_time(later, "acme", sweep()) == later.checked_at


def test_sweep_with_too_many_unproved_environments_to_list_proves_none() -> None:
    outcome = sweep(*(f"e{number}" for number in range(MAX_LISTED_UNPROVED + 1)))
    assert (outcome.unproved_count, outcome.unproved) == (MAX_LISTED_UNPROVED + 1, ())
    assert not outcome.proves("acme")


def test_unknown_health_keeps_the_last_state_and_says_why_aws_did_not_answer() -> None:
    health = build_health("acme", LAST, None, sweep("acme"), SWEPT)
    assert (health.state, health.last_state) == (HealthState.UNKNOWN, HealthState.KEY_LOST)
    assert health.since == REPORTED + MAX_PROOF_AGE
    assert health.unreachable is not None
    assert (health.unreachable.code, health.unreachable.key) == ("s3.SlowDown", None)  # contract 140
    assert build_health("acme", LAST, None, sweep("globex"), SWEPT).unreachable is None
