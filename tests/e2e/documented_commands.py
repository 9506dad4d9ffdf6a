"""Finds the commands in the documents, and runs them in a shell as a user would."""

import asyncio
import os
import re
from collections.abc import Mapping
from pathlib import Path

from byok.local.programs import PROGRAMS_ROOT
from tests.e2e.conftest import StackHarness


def commands_in(page: str) -> list[str]:
    """Return the commands in the `sh` blocks of a page."""
    return [
        line
        for block in re.findall(r"```sh\n(.*?)```", (PROGRAMS_ROOT / page).read_text(), re.DOTALL)
        for line in block.splitlines()
        if line and not line.startswith(". ")
    ]


async def run_documented_command(
    web: StackHarness, command: str, folder: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command, which must succeed.

    Args:
        web: The stack that the command uses.
        command: The command as written in the document.
        folder: The folder to use instead of `.byok`.
        environment: Additional environment variables.
    """
    here = command.replace(".byok/", f"{folder}/").replace(".venv/bin/", f"{PROGRAMS_ROOT}/.venv/bin/")
    exports = {**web.stack.environment, **web.stack.settings, **(environment or {})}
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", here.replace("http://127.0.0.1:8000", web.stack.web_url)),
        cwd=PROGRAMS_ROOT,
        env={**os.environ, **exports},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, f"{command}\n{out.decode()}"
