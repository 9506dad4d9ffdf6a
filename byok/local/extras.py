"""Checks that the packages for the local stack are installed, and returns the command that installs them."""

import importlib.metadata
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Final

from byok.local.programs import PROGRAMS_ROOT

_DISTRIBUTION: Final = "byok-environments"
_EXTRA: Final = "local"


def find_temporal_program() -> Path | None:
    """Return the path of Temporal's command line, which contains the dev server; None if it is not installed."""
    program = Path(sys.executable).with_name("temporal")
    if program.exists():
        return program
    found = shutil.which("temporal")
    return Path(found) if found else None


def find_missing_extra() -> str | None:
    """Return a message with the command that installs the extra `local`; None if the extra is installed."""
    if importlib.util.find_spec("moto") is not None and find_temporal_program() is not None:
        return None
    return f'The local stack needs the extra "{_EXTRA}". Install it with: {_install_command()}'


def _install_command() -> str:
    """Return the command that installs the extra with the tool that created this virtual environment."""
    if (PROGRAMS_ROOT / "Makefile").is_file():
        return "make up"
    wanted = f"'{_requirement()}'"
    if (Path(sys.prefix) / "uv-receipt.toml").is_file():
        return f"uv tool install --force {wanted}"
    if (Path(sys.prefix) / "pipx_metadata.json").is_file():
        return f"pipx install --force {wanted}"
    return f"{sys.executable} -m pip install {wanted}"


def _requirement() -> str:
    """Return the requirement for the installer.

    If byok was installed from a file or a URL, the requirement contains this file or URL.
    """
    origin = importlib.metadata.distribution(_DISTRIBUTION).read_text("direct_url.json")
    source = f" @ {json.loads(origin)['url']}" if origin else ""
    return f"{_DISTRIBUTION}[{_EXTRA}]{source}"
