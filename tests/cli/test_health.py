"""`byok verify` and `byok status` show the health of a READY environment (contract 139-142)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.durations import format_duration
from byok.domain.models import EnvironmentHealth, KeyDeletion, KeyHealth, KeyUse, Problem
from byok.domain.phases import HealthState, Phase
from byok.domain.rds_statuses import KEY_LOST_RECOVERABLE
from byok.domain.remediation import Remediation, RetryRequest
from byok.service import verification
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import (
    EnvironmentNotFoundError,
    EnvironmentNotReadyError,
    NoWorkerError,
    ServiceError,
    VerificationFailedError,
)
from tests.cli.conftest import Run
from tests.cli.fakes import BEGAN, RDS_KEY, REGION, S3_KEY, FakeService, make_problem, make_status

NOT_ANSWERED = make_problem(None).model_copy(
    update={
        "code": "network.ConnectTimeoutError",
        "message": "Connect timeout on s3.",
        "remediation": Remediation(title="No answer"),
    }
)
DRIFT = make_problem(None).model_copy(
    update={"code": "byok.Drift", "message": "The writer does not exist.", "operation": None}
)


def make_health(
    state: HealthState = HealthState.HEALTHY,
    *,
    age: timedelta = timedelta(minutes=3, seconds=5),
    problems: tuple[Problem, ...] = (),
    **changes: Any,
) -> EnvironmentHealth:
    """Build the health of an environment that byok last verified `age` ago."""
    proved_at = datetime.now(UTC) - age
    use = KeyUse.REFUSED if any(one.key is not None for one in problems) else KeyUse.PROVED
    values = {
        "state": state,
        "last_state": state,
        "since": BEGAN,
        "proved_at": proved_at,
        "cluster_status": "available",
        "keys": (
            KeyHealth(key=KeyPurpose.S3, key_arn=S3_KEY, use=use),
            KeyHealth(key=KeyPurpose.RDS, key_arn=RDS_KEY, use=KeyUse.IN_USE),
        ),
        "problems": problems,
    }
    return EnvironmentHealth.model_validate(values | changes)


CASES = {
    "healthy": (make_health(), 0),
    "degraded": (make_health(HealthState.DEGRADED, problems=(DRIFT,)), 5),
    "key lost": (make_health(HealthState.KEY_LOST, problems=(make_problem(),)), 3),
    "platform's key lost": (make_health(HealthState.KEY_LOST, problems=(make_problem(None),)), 5),
    "recovering": (make_health(HealthState.RECOVERING, cluster_status="starting"), 5),
    "unknown": (make_health(HealthState.UNKNOWN, last_state=HealthState.HEALTHY), 4),
    "healthy at the last proof, but AWS did not answer": (make_health(unreachable=NOT_ANSWERED), 4),
    "lost at the last proof, but AWS did not answer": (
        make_health(HealthState.KEY_LOST, problems=(make_problem(),), unreachable=NOT_ANSWERED),
        4,
    ),
}
"""For each case, the health of the environment, and the exit code of `byok verify`."""


@pytest.fixture
def answer(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> list[EnvironmentHealth | ServiceError]:
    """A list whose last element is the result of a verification, or the error that the verification raises."""
    answers: list[EnvironmentHealth | ServiceError] = []

    async def verify(reader: EnvironmentReader, environment_id: str) -> EnvironmentHealth:
        assert (reader.requester and reader.requester.reason, environment_id) == ("ticket 42", "acme")
        found = answers[-1]
        if isinstance(found, ServiceError):
            raise found
        return found

    monkeypatch.setattr(verification, "verify_environment", verify)
    return answers


VERIFY = ("verify", "acme", "--reason", "ticket 42")


@pytest.mark.parametrize("name", CASES)
def test_exit_code_of_verify_depends_on_the_health(
    run: Run, answer: list[EnvironmentHealth | ServiceError], name: str
) -> None:
    health, code = CASES[name]
    answer.append(health)

    shown, as_json = run(*VERIFY), run(*VERIFY, "-o", "json")

    assert (shown.code, as_json.code) == (code, code)
    assert shown.out.startswith(f"Health of acme: {health.state}, since 2026-03-01 12:00:00 UTC")
    assert as_json.json == health.model_dump(mode="json")


@pytest.mark.parametrize(
    "error",
    [
        EnvironmentNotFoundError("Environment acme not found."),
        EnvironmentNotReadyError("acme is STOPPED. Only a READY environment has a health."),
        NoWorkerError("The verification of acme was requested, but no worker is polling the task queue."),
        VerificationFailedError("acme cannot be verified: Activity task timed out"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_verification_that_did_not_take_place_is_an_error(
    run: Run, answer: list[EnvironmentHealth | ServiceError], error: ServiceError
) -> None:
    answer.append(error)

    ended = run(*VERIFY, "-o", "json")

    assert (ended.code, ended.json["error"]["code"], ended.err) == (1, error.code, f"error: {error}\n")


def show(run: Run, service: FakeService, health: EnvironmentHealth | None) -> tuple[int, str]:
    """Run `byok status` for a READY environment, and return the exit code and the health section of the output."""
    ready = make_status(Phase.VALIDATING_KEYS, Phase.READY)
    service.statuses = [ready.model_copy(update={"health": health})]
    ended, waited = run("status", "acme"), run("status", "acme", "--wait")
    _, found, shown = ended.out.partition("\nHealth of ")
    assert waited.out.partition("\nHealth of ")[1:] == (found, shown)
    assert waited.code == ended.code
    return ended.code, found.lstrip() + shown


@pytest.mark.parametrize("name", CASES)
def test_status_fails_only_if_a_customer_key_is_lost(run: Run, service: FakeService, name: str) -> None:
    health, _ = CASES[name]
    code, _ = show(run, service, health)
    assert code == (3 if health.state is HealthState.KEY_LOST and health.problems[0].key else 0)
    assert run("status", "acme", "-o", "json").json["health"] == health.model_dump(mode="json")


def test_status_without_a_health_shows_none(run: Run, service: FakeService) -> None:
    assert show(run, service, None) == (0, "")


def test_healthy_environment_shows_the_proof_of_each_key(run: Run, service: FakeService) -> None:
    health = make_health()
    _, shown = show(run, service, health)
    assert shown.splitlines() == [
        "Health of acme: HEALTHY, since 2026-03-01 12:00:00 UTC",
        f"  last verified 3 minutes ago ({health.proved_at:%Y-%m-%d %H:%M:%S} UTC)",  # contract 139
        f"  ✓ S3 key {S3_KEY}: verified",
        f"  ✓ Aurora key {RDS_KEY}: in use by grant; new use not verified",
    ]


def test_lost_key_shows_the_problem_and_what_to_do(run: Run, service: FakeService) -> None:
    _, shown = show(run, service, make_health(HealthState.KEY_LOST, problems=(make_problem(),)))
    assert f"  ✗ S3 key {S3_KEY}: cannot be used" in shown
    assert f"AWS said    {S3_KEY} is disabled." in shown
    assert f"  What to do\n  1. Enable the key.\n     aws kms enable-key --key-id {S3_KEY}\n" in shown


def test_lost_cluster_shows_how_long_it_can_be_recovered(run: Run, service: FakeService) -> None:
    lost: dict[str, Any] = {"cluster_status": KEY_LOST_RECOVERABLE, "problems": (make_problem(KeyPurpose.RDS),)}
    until = datetime.now(UTC) + timedelta(days=6, hours=23, minutes=30)
    _, shown = show(run, service, make_health(HealthState.KEY_LOST, recoverable_until=until, **lost))
    assert f"  The cluster is {KEY_LOST_RECOVERABLE}.\n" in shown
    deadline = f"{until:%Y-%m-%d %H:%M:%S} UTC"
    assert f"The cluster can be recovered until {deadline} (6 days 23 hours left).\n" in shown  # contract 142

    past = datetime.now(UTC) - timedelta(minutes=1)
    _, shown = show(run, service, make_health(HealthState.KEY_LOST, recoverable_until=past, **lost))
    assert f"can no longer be recovered: the deadline was {past:%Y-%m-%d %H:%M:%S} UTC." in shown


def test_key_that_kms_deletes_is_shown_as_reported(run: Run, service: FakeService) -> None:
    at, reported = datetime.now(UTC) + timedelta(days=6, hours=1, minutes=30), datetime.now(UTC) - timedelta(days=1)
    deletion = KeyDeletion(key=KeyPurpose.S3, key_arn=S3_KEY, delete_at=at, reported_at=reported)
    cancelled = deletion.model_copy(update={"key": KeyPurpose.RDS, "delete_at": None})
    _, shown = show(run, service, make_health(deletions=(deletion, cancelled)))
    words = " ".join(shown.split())
    assert f"S3 key is scheduled for deletion on {at:%Y-%m-%d %H:%M:%S} UTC (in 6 days 1 hour)" in words  # contract 142
    assert f"reported by CloudTrail in the customer's account at {reported:%Y-%m-%d %H:%M:%S} UTC." in words
    assert "Aurora key is scheduled" not in words


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (HealthState.HEALTHY, "acme is ready."),
        (HealthState.UNKNOWN, "acme is ready, but AWS does not let byok use a key: see its health below."),
        (HealthState.KEY_LOST, "acme is ready, but AWS does not let byok use a key: see its health below."),
        (HealthState.DEGRADED, "acme is ready, but a resource is not as byok left it: see its health below."),
    ],
)
def test_first_line_of_the_outcome_does_not_hide_what_is_wrong(
    run: Run, service: FakeService, state: HealthState, line: str
) -> None:
    last = HealthState.KEY_LOST if state is HealthState.UNKNOWN else state
    ready = make_status(Phase.VALIDATING_KEYS, Phase.READY)
    service.statuses = [ready.model_copy(update={"health": make_health(state, last_state=last)})]

    assert line in run("status", "acme").out.splitlines()


def test_unknown_health_says_that_no_check_has_completed(run: Run, service: FakeService) -> None:
    age = timedelta(hours=2, minutes=1, seconds=5)
    health = make_health(HealthState.UNKNOWN, age=age, last_state=HealthState.HEALTHY)
    _, shown = show(run, service, health)
    assert shown.startswith("Health of acme: UNKNOWN, since 2026-03-01 12:00:00 UTC; HEALTHY at the last proof\n")
    assert "last verified 2 hours 1 minute ago" in shown
    assert f"No check has completed since {health.proved_at:%Y-%m-%d %H:%M:%S} UTC" in shown
    assert f"whether the schedule key-health/{REGION} is paused." in shown


@pytest.mark.parametrize("state", [HealthState.HEALTHY, HealthState.UNKNOWN])
def test_unanswered_check_says_why_and_blames_no_key(run: Run, service: FakeService, state: HealthState) -> None:
    _, shown = show(run, service, make_health(state, unreachable=NOT_ANSWERED))
    assert (  # contract 140
        "AWS did not answer the latest check, so the current state of the keys is unknown:\n"
        "    network.ConnectTimeoutError: Connect timeout on s3.\n"
    ) in shown
    assert "What to do" not in shown
    assert "No check has completed" not in shown


def test_unanswered_verification_says_what_to_do(run: Run, answer: list[EnvironmentHealth | ServiceError]) -> None:
    remedy = Remediation.of_retry("AWS was busy", "Try again later.", RetryRequest.NONE)
    answer.append(make_health(unreachable=NOT_ANSWERED.model_copy(update={"remediation": remedy})))
    shown = run(*VERIFY).out
    assert "\n  AWS was busy\n  code " in shown
    assert "\n  What to do\n  1. Try again later.\n" in shown


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(hours=23, minutes=59), "23 hours 59 minutes"),
        (timedelta(days=1, minutes=5), "1 day"),
        (timedelta(days=6, hours=23, minutes=59), "6 days 23 hours"),
    ],
)
def test_duration_has_its_two_largest_units(span: timedelta, words: str) -> None:
    assert format_duration(span) == words
