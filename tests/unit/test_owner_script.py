"""Run the key administrator's collection script in real shells, with a fake AWS CLI."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from byok.domain.diagnosis.diagnose import diagnose_collected_keys
from byok.domain.diagnosis.key_facts import CollectedKeys
from byok.onboarding.collection_script import render_collection_script
from tests.collected_keys import KEYS, PLACE
from tests.policy_context import VENDOR

S3, RDS = KEYS.values()
PAYLOAD = json.dumps({"S3KmsKeyArn": S3, "RdsKmsKeyArn": RDS}, separators=(",", ":"))
SHELLS = [shell for shell in ("bash", "dash", "zsh") if shutil.which(shell)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder that has all programs that the script needs, except the AWS CLI."""
    for program in ("mktemp", "rm", "sed", "tr", *SHELLS):
        (tmp_path / program).symlink_to(shutil.which(program) or "")
    return tmp_path


def write_fake_aws(folder: Path, text: str) -> None:
    (folder / "aws").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "aws").chmod(0o755)


def run_script(folder: Path, shell: str, text: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run the script in a shell; `typed` is the input for the script's prompts."""
    file = folder / "byok-keys.sh"
    file.write_text(text)
    environment = {**os.environ, "PATH": str(folder), "S3_KEY_ARN": "of-this-shell"}
    return subprocess.run(
        [shell, str(file)], input=typed, env=environment, capture_output=True, text=True, timeout=60, check=True
    )


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    "typed",
    [
        f"{S3}\n{RDS}\n",
        f"\n  {S3} \n\n{RDS}\n",
        f"{PAYLOAD}\n",  # D4
        f"{json.dumps(json.loads(PAYLOAD), indent=2)}\n",
        f"{json.dumps(PAYLOAD)}\n",  # as the AWS CLI prints the payload with --output json
        f"{S3}\n{PAYLOAD}\n",
    ],
)
def test_script_accepts_arns_and_the_payload(folder: Path, shell: str, typed: str) -> None:
    write_fake_aws(folder, "echo '{}'")

    printed = run_script(folder, shell, render_collection_script(PLACE.role, PLACE.region), typed)

    collected = CollectedKeys.parse(printed.stdout)
    assert (collected.s3.arn, collected.rds.arn) == (S3, RDS)
    assert printed.stderr.startswith("S3 key ARN, or the onboarding payload: ")
    assert printed.stderr.count("RDS key ARN: ") == (typed.strip()[:3] == "arn"), "the payload answers both prompts"


@pytest.mark.parametrize("shell", SHELLS)
def test_script_does_not_ask_for_given_arns(folder: Path, shell: str) -> None:
    write_fake_aws(folder, "echo '{}'")
    printed = run_script(folder, shell, render_collection_script(PLACE.role, PLACE.region, S3, RDS))
    assert printed.stderr == ""
    assert CollectedKeys.parse(printed.stdout).rds.arn == RDS


@pytest.mark.parametrize("shell", SHELLS)
def test_diagnosis_reports_a_missing_aws_cli(folder: Path, shell: str) -> None:
    printed = run_script(folder, shell, render_collection_script(PLACE.role, PLACE.region, S3, RDS))

    (found,) = diagnose_collected_keys(CollectedKeys.parse(printed.stdout), VENDOR)

    assert found.code == "caller.NotSignedIn"
    assert "aws" in found.message


@pytest.mark.parametrize("shell", SHELLS)
def test_script_leaves_nothing_in_the_owners_shell(folder: Path, shell: str) -> None:
    write_fake_aws(folder, "echo '{}'")
    after = """
printf "%s" "$S3_KEY_ARN${REGION:-}${errors:-}" >&2
for one in ask key text part prompt; do command -v $one >&2; done; :
"""
    printed = run_script(folder, shell, render_collection_script(PLACE.role, PLACE.region, S3, RDS) + after)
    assert printed.stderr == "of-this-shell"
