"""`byok history` and `byok status -o json` show every attempt of an environment (contract 148)."""

from datetime import timedelta

from byok.domain.models import Attempt, AttemptKind
from byok.domain.phases import Phase
from byok.service.errors import EnvironmentNotFoundError
from tests.cli.conftest import Run
from tests.cli.fakes import BEGAN, FakeService

STOPPED = Attempt(
    number=1,
    kind=AttemptKind.PROVISIONING,
    run_id="run-1",
    started_at=BEGAN,
    ended_at=BEGAN + timedelta(minutes=2),
    phase=Phase.STOPPED,
    problem_code="s3.KMS.DisabledException",
    problem_phase=Phase.CREATING_STORAGE,
    by="849@ops",
)
REPLAY = Attempt(
    number=2,
    kind=AttemptKind.REPLAY,
    run_id="run-2",
    started_at=BEGAN + timedelta(minutes=30),
    phase=Phase.CREATING_STORAGE,
    reason="the key is enabled",
)


def test_history_shows_each_attempt_with_its_problem_times_and_requester(run: Run, service: FakeService) -> None:
    service.attempts = (STOPPED, REPLAY)

    ended = run("history", "acme")

    assert ended.code == 0
    heading, first, second = [line.split("  ") for line in ended.out.splitlines()]
    cells = [[cell.strip() for cell in line if cell.strip()] for line in (heading, first, second)]
    assert cells == [
        ["NO", "ATTEMPT", "FROM", "UNTIL", "PHASE", "PROBLEM", "BY", "REASON"],
        [
            *("1", "provisioning", f"{BEGAN:%Y-%m-%d %H:%M:%S} UTC"),
            *(f"{BEGAN + timedelta(minutes=2):%Y-%m-%d %H:%M:%S} UTC", "STOPPED"),
            *("s3.KMS.DisabledException in CREATING_STORAGE", "849@ops"),
        ],
        [
            *("2", "replay", f"{BEGAN + timedelta(minutes=30):%Y-%m-%d %H:%M:%S} UTC"),
            *("CREATING_STORAGE", "the key is enabled"),
        ],
    ]


def test_history_and_status_as_json_have_the_same_attempts(run: Run, service: FakeService) -> None:
    service.attempts = (STOPPED, REPLAY)
    shown = run("history", "acme", "-o", "json").json
    assert [Attempt.model_validate(one) for one in shown] == [STOPPED, REPLAY]
    assert run("status", "acme", "-o", "json").json["attempts"] == shown


def test_history_of_an_unknown_environment_is_an_error(run: Run, service: FakeService) -> None:
    service.refuse = EnvironmentNotFoundError("Environment acme not found.")
    ended = run("history", "acme")
    assert (ended.code, "not found" in ended.err) == (1, True)
