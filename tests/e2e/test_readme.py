"""What README shows works as it stands there."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from byok.local.stack import PROGRAMS_ROOT
from tests.e2e.conftest import StackHarness

README = (PROGRAMS_ROOT / "README.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line and not line.startswith(". ")
]


async def test_every_command_works(machine: StackHarness, tmp_path: Path) -> None:
    pair = machine.stack.customer.ensure_key_pair("readme")
    exports = {**machine.stack.environment, "S3_KEY_ARN": pair.s3_key_arn, "RDS_KEY_ARN": pair.rds_key_arn}
    assert len(COMMANDS) > 6

    for command in COMMANDS:
        here = command.replace(".byok/", f"{tmp_path}/").replace(".venv/bin/", f"{PROGRAMS_ROOT}/.venv/bin/")
        finished = subprocess.run(  # noqa: ASYNC221 - one after another, as a person types them
            ["bash", "-c", here],
            cwd=PROGRAMS_ROOT,
            env={**os.environ, **exports},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert finished.returncode == 0, f"{command}\n{finished.stdout}{finished.stderr}"
    assert (await machine.wait_until_ended("acme")).phase == "READY"


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (PROGRAMS_ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`make ([a-z]+)`", README)) <= targets


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)]+)\)", README))))
def test_every_link_leads_somewhere(link: str) -> None:
    assert (PROGRAMS_ROOT / link).exists()


def test_every_setting_is_described() -> None:
    from byok.settings import ENV_PREFIX, Settings

    for name in Settings.model_fields:
        assert f"{ENV_PREFIX}{name.upper()}" in README
