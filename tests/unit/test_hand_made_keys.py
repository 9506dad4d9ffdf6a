"""Run the printed commands that create keys and put a tenant name on them, in real shells with a fake AWS CLI."""

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.vendor import VendorProfile

REGION = "eu-central-1"
ROLE = "arn:aws:iam::111122223333:role/Platform"
VENDOR = VendorProfile()
COMMANDS = CustomerCommands(ROLE, REGION, VENDOR, "keys", profile="my profile")
SHELLS = [shell for shell in ("bash", "dash", "zsh") if shutil.which(shell)]
MADE = ["get-caller-identity", "create-key", "create-key", "enable-key-rotation", "enable-key-rotation"]

# The fake AWS CLI records its arguments, prints the same output as the AWS CLI with --output text, and fails at the
# configured call.
AWS = """#!/bin/sh
count=$(($(cat "$CALLS/count" 2>/dev/null || echo 0) + 1))
echo $count > "$CALLS/count"
printf '%s\\000' "$@" > "$CALLS/$count"
[ "$count" = "$FAILS" ] && { echo 'An error occurred' >&2; exit 254; }
case "$2" in
  get-caller-identity) echo 444455556666 ;;
  create-key) echo "arn:aws:kms:eu-central-1:444455556666:key/$count" ;;
esac
"""


@dataclass(frozen=True)
class ShellWithFakeAws:
    """A shell with the fake AWS CLI on its PATH."""

    program: str
    folder: Path

    def run(self, text: str, fails: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a script in the shell.

        At the end, stderr contains the script's exit code and the values of variables that the script has not unset.
        """
        (self.folder / "aws").write_text(AWS)
        (self.folder / "aws").chmod(0o755)
        environment = {**os.environ, "CALLS": str(self.folder), "FAILS": str(fails)}
        environment["PATH"] = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        after = "\nprintf '%s' \"ended with $?; knows${ACCOUNT:-}${S3_KEY_ARN:-}$#\" >&2"
        return subprocess.run(
            [self.program, "-c", text + after],
            env=environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    @property
    def aws_calls(self) -> list[list[str]]:
        """The arguments of each call to the fake AWS CLI."""
        count = int((self.folder / "count").read_text())
        return [(self.folder / str(number)).read_text().split("\0")[:-1] for number in range(1, count + 1)]

    def get_option(self, call: int, name: str) -> str:
        """Return the value of an option in one of the calls."""
        words = self.aws_calls[call]
        return words[words.index(name) + 1]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> ShellWithFakeAws:
    return ShellWithFakeAws(request.param, tmp_path)


def test_keys_are_created_with_their_policies_and_the_payload_is_printed(shell: ShellWithFakeAws) -> None:
    ended = shell.run(COMMANDS.create_keys_commands())

    assert [call[1] for call in shell.aws_calls] == MADE
    arns = [f"arn:aws:kms:eu-central-1:444455556666:key/{number}" for number in (2, 3)]
    assert json.loads(ended.stdout) == dict(zip(("S3KmsKeyArn", "RdsKmsKeyArn"), arns, strict=True))
    assert [shell.get_option(call, "--key-id") for call in (3, 4)] == arns
    for number in range(len(MADE)):
        assert (shell.get_option(number, "--profile"), shell.get_option(number, "--region")) == ("my profile", REGION)
    owner = build_owner_statement("arn:aws:iam::444455556666:root")
    for call, which in ((1, KeyPurpose.S3), (2, KeyPurpose.RDS)):
        appended = build_key_statements(which, StatementParameters.for_platform_role(ROLE, REGION), VENDOR)
        policy = json.loads(shell.get_option(call, "--policy"))
        assert policy["Statement"] == [owner, *appended]  # contract 56-58


@pytest.mark.parametrize("fails", range(1, len(MADE) + 1))
def test_first_failure_ends_the_script_without_a_payload(shell: ShellWithFakeAws, fails: int) -> None:
    ended = shell.run(COMMANDS.create_keys_commands(), fails)

    assert ended.stdout == ""
    assert len(shell.aws_calls) == fails
    assert "ended with 254" in ended.stderr
    made = [f"key/{number}" for number in (2, 3) if number < fails]
    assert [key for key in ("key/2", "key/3") if key in ended.stderr] == made, "the keys created so far are reported"


def test_script_leaves_nothing_in_the_owners_shell(shell: ShellWithFakeAws) -> None:
    for fails in (0, 2):
        assert shell.run(COMMANDS.create_keys_commands(), fails).stderr.endswith("; knows0")


def test_key_without_its_alias_gets_no_tags(shell: ShellWithFakeAws) -> None:
    by_hand = COMMANDS.name_keys_commands(KeyPair("s3-key", "rds-key"), "acme", "its-id")[1]

    shell.run(by_hand, fails=3)

    assert [call[1] for call in shell.aws_calls] == ["create-alias", "tag-resource", "create-alias"]
    assert "AlreadyExistsException" in by_hand.splitlines()[0]


def test_both_keys_get_their_alias_and_tags(shell: ShellWithFakeAws) -> None:
    by_hand = COMMANDS.name_keys_commands(KeyPair("s3-key", "rds-key"), "acme", "its-id")[1]

    shell.run(by_hand)

    assert [call[1] for call in shell.aws_calls] == ["create-alias", "tag-resource"] * 2  # contract D10
    keys = [shell.get_option(call, option) for call, option in enumerate(("--target-key-id", "--key-id") * 2)]
    assert keys == ["s3-key", "s3-key", "rds-key", "rds-key"]


def test_role_for_the_tenant_name_is_created_and_its_arn_printed(shell: ShellWithFakeAws) -> None:
    keys = KeyPair("s3-key", "rds-key")

    shell.run(COMMANDS.name_keys_commands(keys, "acme", "its-id")[3])

    deploy, describe = shell.aws_calls
    common = ["--profile", "my profile", "--region", REGION, "--stack-name", "keys-tenant-role"]
    for call in (deploy, describe):
        assert {option: call[call.index(option) + 1] for option in common[::2]} == dict(
            zip(common[::2], common[1::2], strict=True)
        )
    assert deploy[:2] == ["cloudformation", "deploy"]
    overrides = deploy.index("--parameter-overrides") + 1
    assert deploy[overrides : overrides + 4] == [
        f"AtaccamaPlatformRoleArn={ROLE}",
        "S3KmsKeyArn=s3-key",
        "RdsKmsKeyArn=rds-key",
        "ExternalId=its-id",
    ]
    assert deploy[deploy.index("--capabilities") + 1] == "CAPABILITY_IAM"
    assert describe[:2] == ["cloudformation", "describe-stacks"]
    assert describe[describe.index("--output") + 1] == "text"
