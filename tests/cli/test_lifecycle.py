"""`byok replay`, `byok cancel` and `byok delete`: the requests that they send, their output and their exit codes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.models import BucketResource, ClusterResource, DeletionResult, Problem, Resources
from byok.domain.models.resources import ClusterSnapshot
from byok.domain.phases import Encryption, Phase
from byok.service.bulk_replay import BulkReplayOutcome
from byok.service.errors import (
    DeletionDiffersError,
    EnvironmentBusyError,
    EnvironmentNotFoundError,
    KeyCannotChangeError,
    NotReplayableError,
    NotRunningError,
    ServiceError,
)
from byok.service.lifecycle import ReplayResult
from byok.service.status import EnvironmentStatus
from tests.cli.conftest import Run
from tests.cli.fakes import BEGAN, RDS_KEY, REGION, S3_KEY, FakeService, make_problem, make_status

PAYLOAD = json.dumps({"S3KmsKeyArn": S3_KEY, "RdsKmsKeyArn": RDS_KEY})
BOTH = {"s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
SNAPSHOT = ClusterSnapshot(
    identifier="acme-final-20260301120000",
    arn=f"arn:aws:rds:{REGION}:111122223333:cluster-snapshot:acme-final-20260301120000",
    status="available",
    key_arn=RDS_KEY,
)
CLUSTER = ClusterResource(
    identifier="byok-acme", arn=f"arn:aws:rds:{REGION}:111122223333:cluster:byok-acme", status="available",
    key_arn=RDS_KEY, created=True,
)  # fmt: skip
BUCKET = BucketResource(
    purpose="catalog", name="byok-acme-catalog", arn="arn:aws:s3:::byok-acme-catalog", key_arn=S3_KEY, created=True,
    objects=("README.md",),
)  # fmt: skip


def make_stopped_status(
    *problems: Problem, phases: tuple[Phase, ...] = (Phase.VALIDATING_KEYS,), **more: Any
) -> EnvironmentStatus:
    return make_status(*phases, Phase.STOPPED, problems=problems).model_copy(update=more)


def make_deleted_status(
    snapshot: ClusterSnapshot | None = SNAPSHOT, removed: tuple[str, ...] = ("byok-acme",)
) -> EnvironmentStatus:
    done = DeletionResult(environment_id="acme", removed=removed, final_snapshot=snapshot, collected_at=BEGAN)
    return make_status(Phase.DELETING, Phase.DELETED).model_copy(update={"deletion": done})


def make_problem_with_code(code: str, key: KeyPurpose | None = None) -> Problem:
    return make_problem(key).model_copy(update={"code": code})


def parse_next_commands(text: str) -> list[str]:
    """Return the commands that retry provisioning.

    If the output shows one problem, the remedy's last step contains the commands. If the output shows several
    problems, the commands follow the last problem.
    """
    _, _, after = text.replace("  Once all problems are fixed\n", "  2. Retry.\n").rpartition("  2. Retry.\n")
    return [line.strip() for line in f"\n{after}".partition("\n\n")[0].splitlines() if line]


def test_replay_names_the_step_it_resumes_at(run: Run, service: FakeService) -> None:
    ended = run("replay", "acme")
    assert (ended.code, ended.out, service.replayed) == (0, "", [{}])
    assert 'Resuming acme at "ensure bucket"; completed steps are not repeated.' in ended.err
    assert "Follow it with: byok status acme" in ended.err


def test_replay_that_starts_over_says_so(run: Run, service: FakeService) -> None:
    service.step = None
    assert "Starting over; existing resources are adopted." in run("replay", "acme").err


OUTCOMES = (
    BulkReplayOutcome("acme", ReplayResult("acme", "environment/acme", "run-2", "ensure_bucket")),
    BulkReplayOutcome("globex", ReplayResult("globex", "environment/globex", "run-2")),
)
REFUSED = BulkReplayOutcome("initech", refusal="Nothing to replay: initech is running.")


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch, service: FakeService) -> list[BulkReplayOutcome]:
    """The outcomes of a bulk replay; a test can add further outcomes."""
    found = list(OUTCOMES)

    async def replay_all(_: object, code: str, *, dry_run: bool) -> AsyncIterator[BulkReplayOutcome]:
        assert code == "rds.Throttling"
        for outcome in found:
            yield BulkReplayOutcome(outcome.environment_id, refusal=outcome.refusal) if dry_run else outcome

    monkeypatch.setattr("byok.service.bulk_replay.replay_all", replay_all)
    return found


@pytest.mark.usefixtures("outcomes")
def test_replay_of_all_prints_each_environment(run: Run) -> None:
    ended = run("replay", "--all", "--code", "rds.Throttling")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        'acme  resumes at "ensure bucket"',
        "globex  starts over; existing resources are adopted",
    ]


@pytest.mark.usefixtures("outcomes")
def test_dry_run_says_what_would_be_replayed(run: Run) -> None:
    ended = run("replay", "--all", "--code", "rds.Throttling", "--dry-run")

    assert (ended.code, ended.out.splitlines()) == (0, ["acme  would be replayed", "globex  would be replayed"])


def test_replay_of_all_exits_1_if_one_is_refused(run: Run, outcomes: list[BulkReplayOutcome]) -> None:
    outcomes.append(REFUSED)
    ended = run("replay", "--all", "--code", "rds.Throttling", "-o", "json")

    assert ended.code == 1
    assert [(one["environment_id"], one["refusal"]) for one in ended.json] == [
        ("acme", None),
        ("globex", None),
        ("initech", REFUSED.refusal),
    ]


def test_replay_of_all_without_any_says_so(run: Run, outcomes: list[BulkReplayOutcome]) -> None:
    outcomes.clear()
    ended = run("replay", "--all", "--code", "rds.Throttling")

    assert (ended.code, ended.out) == (0, "")
    assert "No stopped environment has the problem code rds.Throttling." in ended.err


@pytest.mark.usefixtures("outcomes")
@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--all",),
        ("--code", "rds.Throttling"),
        ("acme", "--dry-run"),
        ("acme", "--code", "rds.Throttling"),
        ("acme", "--all", "--code", "rds.Throttling"),
        ("--all", "--code", "rds.Throttling", "--wait"),
        ("--all", "--code", "rds.Throttling", "--s3-key-arn", S3_KEY),
    ],
)
def test_replay_takes_one_environment_or_all_with_a_code(run: Run, service: FakeService, options: tuple[str]) -> None:
    assert run("replay", *options).code == 2
    assert service.replayed == []


@pytest.mark.parametrize(
    ("options", "keys"),
    [
        (("--s3-key-arn", f" {S3_KEY}\n"), {"s3_key_arn": S3_KEY}),
        (("--rds-key-arn", RDS_KEY), {"rds_key_arn": RDS_KEY}),
        (("--s3-key-arn", S3_KEY, "--rds-key-arn", RDS_KEY), BOTH),
        (("--payload", PAYLOAD), BOTH),
        (("--s3-key-arn", PAYLOAD), BOTH),
    ],
)
def test_replay_accepts_other_keys_in_every_form(
    run: Run, service: FakeService, options: tuple[str, ...], keys: dict[str, str]
) -> None:
    assert run("replay", "acme", *options).code == 0
    assert service.replayed == [keys]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--payload", PAYLOAD, "--s3-key-arn", S3_KEY), "leave out --s3-key-arn and --rds-key-arn"),
        (("--payload", "{}"), "S3KmsKeyArn"),
    ],
)
def test_replay_with_invalid_keys_does_not_call_the_service(
    run: Run, service: FakeService, options: tuple[str, ...], words: str
) -> None:
    ended = run("replay", "acme", *options, "-o", "json")
    assert (ended.code, ended.json["error"]["code"], service.replayed) == (2, "byok.InvalidInput", [])
    assert words in ended.err


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (make_status(Phase.VALIDATING_KEYS, Phase.READY), 0),
        (make_stopped_status(make_problem(KeyPurpose.S3)), 3),
        (make_stopped_status(make_problem(None)), 1),
    ],
)
def test_waiting_replay_exits_with_the_environments_outcome(
    run: Run, service: FakeService, last: EnvironmentStatus, code: int
) -> None:
    service.statuses = [make_status(Phase.VALIDATING_KEYS), last]
    assert run("replay", "acme", "--wait").code == code
    ended = run("replay", "acme", "--wait", "-o", "json")
    assert (ended.code, ended.json["phase"]) == (code, last.phase)


@pytest.mark.parametrize("command", ["replay", "cancel"])
@pytest.mark.parametrize(
    "error",
    [
        NotReplayableError("Nothing to replay: acme is ready."),
        KeyCannotChangeError("The cluster byok-acme is encrypted with it."),
        NotRunningError("Nothing to cancel: acme is READY."),
        EnvironmentNotFoundError("Environment acme not found."),
    ],
)
def test_service_error_exits_1_with_its_reason(
    run: Run, service: FakeService, command: str, error: ServiceError
) -> None:
    service.refuse = error
    ended = run(command, "acme", "-o", "json")
    told = {"code": error.code, "message": str(error), "help_url": f"/docs/problems/{error.code}"}
    assert (ended.code, ended.json["error"]) == (1, told)
    assert str(error) in ended.err


def test_cancel_exits_0_with_and_without_waiting(run: Run, service: FakeService) -> None:
    service.statuses = [make_stopped_status(make_problem_with_code("byok.Cancelled"))]
    ended = run("cancel", "acme")
    assert (ended.code, ended.out) == (0, "")
    assert "Cancellation of acme requested." in ended.err
    ended = run("cancel", "acme", "--wait")
    assert ended.code == 0
    assert "acme stopped in" in ended.out
    assert run("cancel", "acme", "--wait", "-o", "json").json["problem"]["code"] == "byok.Cancelled"
    assert service.cancelled == ["acme"] * 3


def test_confirmed_delete_takes_a_final_snapshot(run: Run, service: FakeService) -> None:
    ended = run("delete", "acme", "--confirm", "acme")
    assert (ended.code, ended.out) == (0, "")
    assert [(one.environment_id, one.final_snapshot) for one in service.deleted] == [("acme", True)]
    assert service.located == [{"region": None, "s3_key_arn": None, "rds_key_arn": None}]


@pytest.mark.parametrize(
    ("confirm", "words"),
    [
        ((), "To confirm, repeat the environment's id: --confirm acme"),
        (("--confirm", "globex"), "'globex' is not 'acme'; nothing was deleted"),
        (("--confirm", "ACME"), "'ACME' is not 'acme'; nothing was deleted"),
    ],
)
def test_unconfirmed_delete_exits_2_and_deletes_nothing(
    run: Run, service: FakeService, confirm: tuple[str, ...], words: str
) -> None:
    ended = run("delete", "acme", *confirm, "-o", "json", stdin="acme\n")  # not a terminal, so byok does not prompt
    assert (ended.code, ended.json["error"]["code"], service.deleted) == (2, "byok.InvalidInput", [])
    assert words in ended.err


def test_delete_skips_the_final_snapshot_only_on_request(run: Run, service: FakeService) -> None:
    assert run("delete", "acme", "--confirm", "acme", "--no-final-snapshot").code == 0
    assert [one.final_snapshot for one in service.deleted] == [False]


def test_delete_of_an_environment_unknown_to_temporal_takes_region_and_keys(run: Run, service: FakeService) -> None:
    options = ("--region", "eu-west-1", "--payload", PAYLOAD)
    assert run("delete", "acme", "--confirm", "acme", *options).code == 0
    assert service.located == [{"region": "eu-west-1", **BOTH}]


def test_delete_can_say_that_the_keys_are_platform_managed(run: Run, service: FakeService) -> None:
    options = ("delete", "acme", "--confirm", "acme", "--region", "eu-west-1", "--platform-managed")
    assert run(*options).code == 0
    assert [(one.region, one.encryption) for one in service.deleted] == [("eu-west-1", Encryption.PLATFORM_MANAGED)]
    mixed = run(*options, "--payload", PAYLOAD)
    assert (mixed.code, "leave out --payload" in mixed.err) == (2, True)  # contract 9


def test_delete_of_another_region_than_the_known_one_is_refused(run: Run, service: FakeService) -> None:
    service.refuse = DeletionDiffersError("Nothing was deleted. Its Region is eu-central-1, not us-east-1.")
    ended = run("delete", "acme", "--confirm", "acme", "--region", "us-east-1", "-o", "json")
    assert (ended.code, ended.json["error"]["code"], service.deleted) == (1, "byok.DeletionDiffers", [])


def test_repeated_delete_says_that_deletion_is_running(run: Run, service: FakeService) -> None:
    service.started, service.statuses = False, [make_status(Phase.DELETING)]
    ended = run("delete", "acme", "--confirm", "acme")
    assert (ended.code, "acme is already being deleted." in ended.err) == (0, True)


def test_delete_of_a_running_provisioning_is_refused(run: Run, service: FakeService) -> None:
    service.refuse = EnvironmentBusyError("acme is being provisioned. Cancel it with `byok cancel acme`.")
    ended = run("delete", "acme", "--confirm", "acme", "-o", "json")
    assert (ended.code, ended.json["error"]["code"]) == (1, "byok.EnvironmentBusy")


def test_finished_deletion_shows_removed_resources_and_the_snapshot_with_its_key(
    run: Run, service: FakeService
) -> None:
    service.statuses = [make_deleted_status(removed=("byok-acme-writer", "byok-acme", "byok-acme-catalog"))]
    ended = run("delete", "acme", "--confirm", "acme", "--wait")
    assert ended.code == 0
    _, _, shown = ended.out.partition("acme is deleted.\n")
    assert shown.splitlines() == [
        "  removed   byok-acme-writer",
        "  removed   byok-acme",
        "  removed   byok-acme-catalog",
        f"  kept      final snapshot {SNAPSHOT.arn}",
        f"            encrypted with {RDS_KEY}",
        "  The KMS keys were not changed.",
    ]
    assert run("status", "acme").code == 0
    assert (
        run("delete", "acme", "--confirm", "acme", "-o", "json", "--wait").json["deletion"]["removed"][1] == "byok-acme"
    )


def test_finished_deletion_of_nothing_says_so(run: Run, service: FakeService) -> None:
    service.statuses = [make_deleted_status(None, ())]
    shown = run("status", "acme").out
    assert "✓ DELETED" in shown
    assert "Nothing was left to remove." in shown
    assert "This run took no snapshot of the database." in shown


@pytest.mark.parametrize(("key", "code"), [(None, 1), (KeyPurpose.RDS, 3)])
def test_stopped_deletion_shows_leftovers_and_suggests_no_replay(
    run: Run, service: FakeService, key: KeyPurpose | None, code: int
) -> None:
    left = ("byok-acme-catalog: it holds 3 objects that provisioning did not write",)
    service.statuses = [
        make_stopped_status(make_problem_with_code("byok.LeftBehind", key), phases=(Phase.DELETING,), left_behind=left)
    ]
    ended = run("delete", "acme", "--confirm", "acme", "--wait")
    assert ended.code == code
    assert f"  Left behind:\n    {left[0]}\n" in ended.out
    assert parse_next_commands(ended.out) == ["byok delete acme"]


def test_deletion_without_an_inventory_does_not_claim_that_nothing_is_left(run: Run, service: FakeService) -> None:
    service.statuses = [make_stopped_status(make_problem(None), phases=(Phase.DELETING,))]
    shown = run("status", "acme").out
    assert "byok did not check which resources are left." in shown
    assert "created nothing" not in shown


@pytest.mark.parametrize(
    ("phases", "words"),
    [
        ((Phase.VALIDATING_KEYS,), "This run created nothing."),
        ((Phase.CREATING_CLUSTER, Phase.ROLLING_BACK), "All created resources were removed."),
    ],
)
def test_stop_without_resources_says_why(run: Run, service: FakeService, phases: tuple[Phase, ...], words: str) -> None:
    service.statuses = [make_stopped_status(make_problem(None), phases=phases)]
    assert f"  {words}\n" in run("status", "acme").out


@pytest.mark.parametrize(
    ("last", "commands"),
    [
        (make_stopped_status(make_problem(None)), ["byok replay acme"]),
        (
            make_stopped_status(make_problem(KeyPurpose.S3)),
            ["byok replay acme", "byok replay acme --s3-key-arn <S3 key ARN>  with another key"],
        ),
        (
            make_stopped_status(make_problem(KeyPurpose.RDS), make_problem(KeyPurpose.S3)),
            [
                "byok replay acme",
                "byok replay acme --s3-key-arn <S3 key ARN> --rds-key-arn <RDS key ARN>  with another key",
            ],
        ),
        # A key that already encrypts resources cannot be replaced.
        (
            make_stopped_status(make_problem(KeyPurpose.S3), resources=Resources(cluster=CLUSTER, buckets=(BUCKET,))),
            ["byok replay acme"],
        ),
        # A replay with the same ARN would be rejected again.
        (
            make_stopped_status(make_problem_with_code("arn.AliasNotAllowed", KeyPurpose.RDS)),
            ["byok replay acme --rds-key-arn <RDS key ARN>  with another key"],
        ),
        (
            make_stopped_status(make_problem_with_code("byok.InvalidInput")),
            ["byok create --name acme --region <Region> --s3-key-arn <S3 key ARN> --rds-key-arn <RDS key ARN>"],
        ),
        (make_stopped_status(make_problem_with_code("tenant.IllegalName")), []),
    ],
)
def test_stopped_environment_shows_the_command_that_continues_it(
    run: Run, service: FakeService, last: EnvironmentStatus, commands: list[str]
) -> None:
    service.statuses = [last]
    assert parse_next_commands(run("status", "acme").out) == commands


def test_rollback_shows_what_it_could_not_remove(run: Run, service: FakeService) -> None:
    phases = (Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER, Phase.ROLLING_BACK)
    service.statuses = [make_stopped_status(make_problem(None), phases=phases, left_behind=("byok-acme: rds.X: no",))]
    shown = run("status", "acme").out
    assert "  Left behind:\n    byok-acme: rds.X: no\n" in shown
    assert parse_next_commands(shown) == ["byok replay acme"]


def test_phases_are_aligned(run: Run, service: FakeService) -> None:
    service.statuses = [make_status(*[phase for phase in Phase if not phase.is_final], Phase.DELETED)]
    rows = [line for line in run("status", "acme").out.splitlines() if line.endswith("2.0 s")]
    assert len(rows) == 8
    assert {len(row) for row in rows} == {len(rows[0])}
