"""The commands' output and exit codes, without a Temporal server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from byok import __version__
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Phase
from byok.service.errors import KeyCheckFailedError
from tests.cli.conftest import Run
from tests.cli.fakes import RDS_KEY, REGION, S3_KEY, FakeService, make_problem, make_status

BYOK = str(Path(sys.executable).with_name("byok"))
CHECK = ("check", "--region", REGION, "--s3-key-arn", S3_KEY, "--rds-key-arn", RDS_KEY)


def test_status_of_a_running_environment_shows_its_phase_and_exits_0(run: Run, service: FakeService) -> None:
    service.statuses = [make_status(Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER)]
    ended = run("status", "acme")
    assert ended.code == 0
    assert "✓ VALIDATING_KEYS" in ended.out
    assert "• CREATING_CLUSTER" in ended.out


def test_status_of_an_unknown_environment_fails(run: Run, service: FakeService) -> None:
    ended = run("status", "missing", "--json")
    assert ended.code == 1
    assert ended.json["error"] == {"code": "byok.EnvironmentNotFound", "message": "Environment missing not found."}


def test_list_has_one_line_per_environment(run: Run, service: FakeService) -> None:
    lines = run("list").out.splitlines()
    assert [line.split()[:2] for line in lines[1:]] == [["acme", "READY"], ["globex", "STOPPED"], ["hooli", "DELETED"]]
    assert [item["environment_id"] for item in run("list", "--json").json] == ["acme", "globex", "hooli"]


@pytest.mark.parametrize(("phase", "names"), [("STOPPED", ["globex"]), ("DELETED", ["hooli"]), ("DELETING", [])])
def test_list_filters_by_phase(run: Run, service: FakeService, phase: str, names: list[str]) -> None:
    assert [item["environment_id"] for item in run("list", "--json", "--phase", phase).json] == names


def test_empty_list_names_the_phase(run: Run, service: FakeService) -> None:
    assert run("list", "--phase", "DELETING").err == "No environment is in DELETING.\n"


def test_check_without_findings_says_what_is_verified_and_what_is_not(run: Run, service: FakeService) -> None:  # D2
    ended = run(*CHECK)
    assert ended.code == 0
    assert f"S3 wrote and read an object with {S3_KEY}" in ended.out
    assert "Only creating a cluster proves" in ended.out


@pytest.mark.parametrize(("key", "code"), [(KeyPurpose.S3, 3), (None, 1)])
def test_exit_code_of_a_failed_check_depends_on_the_cause(
    run: Run, service: FakeService, key: KeyPurpose | None, code: int
) -> None:
    service.findings = (make_problem(key),)
    assert run(*CHECK).code == code
    ended = run(*CHECK, "--json")
    assert ended.code == code
    assert ended.json["problem"] == ended.json["problems"][0] == ended.json["findings"][0]


def test_check_refuses_an_alias_without_calling_the_service(run: Run, service: FakeService) -> None:  # contract 82
    ended = run("check", "--region", REGION, "--s3-key-arn", "alias/x", "--rds-key-arn", RDS_KEY, "--json")
    assert (ended.code, ended.json["problem"]["code"]) == (2, "arn.AliasNotAllowed")
    assert service.checked == []


def test_failed_check_reports_no_findings(run: Run, service: FakeService) -> None:
    service.refuse = KeyCheckFailedError("The key check failed: x")
    ended = run(*CHECK)
    assert (ended.code, ended.out) == (1, "")


def run_byok(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BYOK_", "TEMPORAL_"))}
    return subprocess.run(
        [BYOK, *arguments], env=inherited | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "command", ["status", "create", "list", "replay", "cancel", "delete", "check", "doctor", "up", "demo"]
)
def test_every_command_has_help(command: str) -> None:
    ended = run_byok(command, "--help")
    assert ended.returncode == 0
    assert f"byok {command}" in ended.stdout


def test_unreachable_temporal_is_reported_without_a_traceback() -> None:
    ended = run_byok("status", "acme", TEMPORAL_ADDRESS="127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "Cannot reach the Temporal server at 127.0.0.1:1" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_describes_each_command_in_one_line() -> None:
    _, _, commands = run_byok("--help").stdout.partition("Commands:\n")
    assert len(commands.splitlines()) == 15
    for line in commands.splitlines():
        assert line.endswith("."), line
        assert not line.endswith("..."), f"too long: {line}"


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
