"""The commands' output and exit codes, without a Temporal server."""

import csv
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from byok import __version__
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Encryption, Phase
from byok.domain.remediation import Remediation, RemedyStep
from byok.service.errors import KeyCheckFailedError
from tests.cli.conftest import Run
from tests.cli.fakes import RDS_KEY, REGION, S3_KEY, FakeService, make_problem, make_status
from tests.key_faults import KEY_FAULTS

BYOK = str(Path(sys.executable).with_name("byok"))
CHECK = ("check", "--region", REGION, "--s3-key-arn", S3_KEY, "--rds-key-arn", RDS_KEY)


def test_status_of_a_running_environment_shows_its_phase_and_exits_0(run: Run, service: FakeService) -> None:
    service.statuses = [make_status(Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER)]
    ended = run("status", "acme")
    assert ended.code == 0
    assert "✓ VALIDATING_KEYS" in ended.out
    assert "• CREATING_CLUSTER" in ended.out


def test_status_says_that_the_keys_are_platform_managed(run: Run, service: FakeService) -> None:
    shown = {"encryption": Encryption.PLATFORM_MANAGED, "tenant_name": "acme"}
    service.statuses = [make_status(Phase.VALIDATING_KEYS, Phase.READY).model_copy(update=shown)]
    ended = run("status", "acme")
    assert f"acme  {REGION}  platform-managed" in ended.out  # contract 132
    assert "Tenant name: acme" in ended.out
    assert "byok tenant" not in ended.out, "there is no key of the customer to put the name on"
    assert run("status", "acme", "-o", "json").json["encryption"] == "platform-managed"


def test_status_of_an_unknown_environment_fails(run: Run, service: FakeService) -> None:
    ended = run("status", "missing", "-o", "json")
    assert ended.code == 1
    assert ended.json["error"] == {
        "code": "byok.EnvironmentNotFound",
        "message": "Environment missing not found.",
        "help_url": "/docs/problems/byok.EnvironmentNotFound",
    }


def test_list_has_one_line_per_environment(run: Run, service: FakeService) -> None:
    lines = run("list").out.splitlines()
    assert [line.split()[:3] for line in lines[1:]] == [
        ["acme", "READY", "HEALTHY"],
        ["globex", "STOPPED", "-"],
        ["hooli", "DELETED", "-"],
        ["initech", "READY", "KEY_LOST"],
    ]
    assert [item["environment_id"] for item in run("list", "-o", "json").json] == ["acme", "globex", "hooli", "initech"]


def test_list_reads_one_page_after_the_other_and_says_that_there_are_more(run: Run, service: FakeService) -> None:
    service.page_limit = 1
    whole = run("list")
    assert [line.split()[0] for line in whole.out.splitlines()] == ["ENVIRONMENT", "acme", "globex", "hooli", "initech"]
    assert (whole.err, run("list", "--limit", "4").err) == ("", "")
    cut = run("list", "--limit", "3")
    assert len(cut.out.splitlines()) == 4
    assert cut.err == "These are the newest 3. To list more, use --limit.\n"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--phase", "STOPPED"), ["globex"]),
        (("--phase", "DELETED", "--limit", "1"), ["hooli"]),
        (("--phase", "DELETING"), []),
        (("--health", "KEY_LOST", "--limit", "1"), ["initech"]),
        (("--health", "KEY_LOST", "--phase", "STOPPED"), []),
        (("--problem", "s3.KMS.DisabledException", "--region", "eu-central-1"), ["globex"]),
        (("--region", "us-east-1"), []),
        (("--sort", "phase"), ["hooli", "acme", "initech", "globex"]),
        (("--sort", "problem", "--limit", "2"), ["globex", "acme"]),
    ],
    ids=" ".join,
)
def test_list_filters_by_phase_and_health(
    run: Run, service: FakeService, options: tuple[str, ...], names: list[str]
) -> None:
    assert [item["environment_id"] for item in run("list", "-o", "json", *options).json] == names


def test_empty_list_names_the_phase_and_the_health(run: Run, service: FakeService) -> None:
    assert run("list", "--phase", "DELETING").err == "No environment in DELETING.\n"
    both = ("--health", "UNKNOWN", "--problem", "rds.Throttling")
    assert (
        run("list", *both).err == "No environment with the health status UNKNOWN and with the problem rds.Throttling.\n"
    )


def test_list_is_printed_wide_and_as_csv_with_times_in_utc(run: Run, service: FakeService) -> None:
    heading, first, *_ = run("list", "-o", "wide").out.splitlines()
    assert heading.split()[-5:] == ["ORGANISATION", "ENCRYPTION", "TENANT", "STARTED", "ENDED"]
    assert "2026-03-01 12:00:00 UTC" in first
    rows = list(csv.DictReader(io.StringIO(run("list", "-o", "csv").out)))
    listed = run("list", "-o", "json").json
    assert [{name: value or "" for name, value in one.items()} for one in listed] == rows
    assert rows[0]["created_at"] == "2026-03-01T12:00:00Z"  # RFC 3339


def test_check_with_two_proved_keys_exits_0_and_says_who_used_them_when(run: Run, service: FakeService) -> None:
    ended = run(*CHECK, "-o", "json")  # contract 126
    assert ended.code == 0
    assert [ended.json["keys"][key]["verdict"] for key in ("s3", "rds")] == ["verified", "verified"]
    told = run(*CHECK).out
    assert f"✓ Aurora key {RDS_KEY}: verified. RDS used it at 2026-03-01 12:00:00 UTC, request id a-request-id" in told
    assert told.endswith("These keys can be used.\n")


def test_check_without_a_proof_of_the_aurora_key_does_not_say_that_it_can_be_used(
    run: Run, service: FakeService
) -> None:
    ended = run(*CHECK, "--no-aurora-proof", "--name", "acme")  # contract 126
    assert ended.code == 4
    assert f"? Aurora key {RDS_KEY}: not verified. The check was requested without it." in ended.out
    assert "can be used." not in ended.out
    assert [(one.prove_aurora_key, one.environment_id) for one in service.checked] == [(False, "acme")]


@pytest.mark.parametrize(
    ("key", "code", "verdicts"),
    [
        (KeyPurpose.S3, 3, ["cannot be used", "verified"]),
        (KeyPurpose.RDS, 3, ["verified", "cannot be used"]),
        (None, 4, ["not verified", "not verified"]),
    ],
)
def test_exit_code_of_a_failed_check_depends_on_the_cause(
    run: Run, service: FakeService, key: KeyPurpose | None, code: int, verdicts: list[str]
) -> None:
    service.findings = (make_problem(key),)
    assert run(*CHECK).code == code
    ended = run(*CHECK, "-o", "json")
    assert ended.code == code
    assert ended.json["problem"] == ended.json["problems"][0] == ended.json["findings"][0]
    assert [ended.json["keys"][name]["verdict"] for name in ("s3", "rds")] == verdicts


@pytest.mark.parametrize("which", KeyPurpose)
@pytest.mark.parametrize("fault", ["disabled", "nonexistent", "statement of the other key"])
def test_check_refuses_a_broken_key_with_its_code(
    run: Run, service: FakeService, fault: str, which: KeyPurpose
) -> None:
    (code,) = (one.code_for(which) for one in KEY_FAULTS if one.name == fault)
    arn = S3_KEY if which is KeyPurpose.S3 else RDS_KEY
    service.findings = (make_problem().model_copy(update={"code": code, "key": which, "key_arn": arn}),)
    ended = run(*CHECK)
    assert ended.code == 3
    assert f"✗ {which.display_name} {arn}: cannot be used. {code}" in ended.out
    assert "These keys cannot be used." in ended.out


def test_exchanged_arns_are_offered_swapped(run: Run, service: FakeService) -> None:
    service.findings = (make_problem().model_copy(update={"code": "byok.KeysExchanged"}),)  # contract 127
    assert f"byok check --region {REGION} --s3-key-arn {RDS_KEY} --rds-key-arn {S3_KEY}\n" in run(*CHECK).out


def test_check_refuses_two_aliases_without_calling_the_service(run: Run, service: FakeService) -> None:
    ended = run("check", "--region", REGION, "--s3-key-arn", "alias/x", "--rds-key-arn", "alias/y", "-o", "json")
    assert (ended.code, [one["code"] for one in ended.json["problems"]]) == (2, ["arn.AliasNotAllowed"] * 2)
    assert service.checked == []  # contract 82


def test_alias_for_one_key_does_not_prevent_the_check_of_the_other(run: Run, service: FakeService) -> None:
    alias = ("check", "--region", REGION, "--s3-key-arn", "alias/x", "--rds-key-arn", RDS_KEY, "-o", "json")
    assert run(*alias).code == 2  # contract 128
    assert [one.rds_key_arn for one in service.checked] == [RDS_KEY]
    service.refuse = KeyCheckFailedError("The key check failed: x")
    ended = run(*alias)
    assert (ended.code, ended.json["keys"]["rds"]["reason"]) == (2, "The key check failed: x")


def test_failed_check_reports_no_findings(run: Run, service: FakeService) -> None:
    service.refuse = KeyCheckFailedError("The key check failed: x")
    ended = run(*CHECK)
    assert (ended.code, ended.out) == (1, "")


def run_byok(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BYOK_", "TEMPORAL_"))}
    return subprocess.run(
        [BYOK, *arguments], env=inherited | environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_unreachable_temporal_is_reported_without_a_traceback() -> None:
    ended = run_byok("status", "acme", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Cannot reach the Temporal server at 127.0.0.1:1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_version_matches_the_source() -> None:
    ended = run_byok("--version")
    assert (ended.returncode, ended.stdout) == (0, f"byok {__version__}\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completes_commands(shell: str) -> None:
    typed = {"COMP_WORDS": "byok dia", "COMP_CWORD": "1"}  # for bash; the next line is for zsh and fish
    typed |= {"_TYPER_COMPLETE_ARGS": "byok dia", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    ended = run_byok(_BYOK_COMPLETE=f"complete_{shell}", **typed)
    assert ended.returncode == 0
    assert "diagnose" in ended.stdout
    assert "doctor" not in ended.stdout


def test_help_loads_no_heavy_modules() -> None:
    heavy = ("asyncio", "boto3", "moto", "pydantic", "rich", "temporalio")
    code = f"import sys, byok.cli.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


def test_service_errors_do_not_load_the_temporal_client() -> None:
    code = "import sys, byok.cli.app, byok.service.errors; print('temporalio' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


def test_captured_output_has_no_colours() -> None:
    ended = run_byok("create", "--name", "x", "--region", REGION, "--s3-key-arn", "alias/x", "--rds-key-arn", RDS_KEY)
    assert ended.returncode == 2
    assert "\x1b[" not in ended.stderr


def test_long_remedy_is_folded_unless_it_is_asked_for(run: Run, service: FakeService) -> None:
    steps = tuple(RemedyStep(text=f"Step {number}.", command=f"aws step-{number}") for number in range(1, 7))
    remedy = Remediation(title="The S3 key is disabled", steps=(*steps, make_problem().remediation.steps[-1]))
    problem = make_problem().model_copy(update={"remediation": remedy})
    service.statuses = [make_status(Phase.VALIDATING_KEYS, Phase.STOPPED, problems=(problem,))]
    folded = run("status", "acme").out
    assert "  1. Step 1.\n     aws step-1\n  … " in folded
    assert "more lines. To see all, run byok status acme --explain" in folded
    assert "aws step-2" not in folded
    assert "byok replay acme" in folded, "the retry stays"
    whole = run("status", "acme", "--explain").out
    assert "aws step-6" in whole
    assert "--explain" not in whole
    assert "more lines" in run("status", "acme").out, "the option holds for one command"
