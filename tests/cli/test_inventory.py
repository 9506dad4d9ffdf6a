"""`byok inventory rebuild` rebuilds lost records from the resources that AWS reports (contract 136)."""

import pytest

from byok.domain.models import RebuildResult, RebuiltRecord
from byok.domain.phases import Phase
from byok.service import rebuilding
from byok.service.environment_reader import EnvironmentReader
from byok.service.errors import RebuildFailedError
from tests.cli.conftest import Run
from tests.cli.fakes import FakeService

DRIFTED = RebuiltRecord(
    environment_id="globex", region="eu-west-1", phase=Phase.STOPPED, problem="byok.VerificationFailed: …"
)
UNKNOWN = RebuiltRecord(environment_id="initech", region="eu-west-1", problem="s3_key_arn: Field required")


@pytest.fixture
def answer(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> list[RebuildResult | Exception]:
    """A list with the result of the next call, or with the error that the call raises."""
    answers: list[RebuildResult | Exception] = []

    async def rebuild(_: EnvironmentReader) -> RebuildResult:
        found = answers.pop()
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(rebuilding, "rebuild_records", rebuild)
    return answers


def test_each_environment_and_what_aws_does_not_show_are_listed(
    run: Run, answer: list[RebuildResult | Exception]
) -> None:
    answer.append(RebuildResult(ready=4, stopped=1, skipped=3, problems=(DRIFTED,)))

    ended = run("inventory", "rebuild")

    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "globex  eu-west-1  STOPPED  byok.VerificationFailed: …"
    assert " ".join(lines[1:3]).startswith("Records rebuilt: 5 (4 READY, 1 STOPPED). Not rebuilt: 0. Already recorded")
    assert all(one in ended.out for one in rebuilding.UNKNOWN_AFTER_REBUILD)


def test_environment_without_a_record_is_an_error(run: Run, answer: list[RebuildResult | Exception]) -> None:
    answer.append(RebuildResult(missing=1, problems=(UNKNOWN,)))

    ended = run("inventory", "rebuild", "-o", "json")

    assert ended.code == 1
    assert ended.json["problems"][0]["problem"] == "s3_key_arn: Field required"
    assert ended.json["unknown"] == list(rebuilding.UNKNOWN_AFTER_REBUILD)


def test_refusal_by_aws_is_an_error(run: Run, answer: list[RebuildResult | Exception]) -> None:
    answer.append(RebuildFailedError("The records cannot be rebuilt: rds.AccessDenied: …"))

    ended = run("inventory", "rebuild")

    assert (ended.code, ended.err) == (1, "error: The records cannot be rebuilt: rds.AccessDenied: …\n")


def test_long_list_of_problems_is_cut(run: Run, answer: list[RebuildResult | Exception]) -> None:
    answer.append(RebuildResult().add([DRIFTED] * 300, skipped=0))

    assert "… and 100 more" in run("inventory", "rebuild").out
