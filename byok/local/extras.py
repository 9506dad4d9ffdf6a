"""Checks that byok is installed with what the local stack needs, and says how to install it."""

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
    """Return one line that says how to install the packages of the extra `local`; None if they are installed."""
    if importlib.util.find_spec("moto") is not None and find_temporal_program() is not None:
        return None
    return f'The local stack needs the extra "{_EXTRA}". Install it with: {_install_command()}'


def _install_command() -> str:
    """Return the command that adds the extra, for the installer that made this virtual environment."""
    if (PROGRAMS_ROOT / "Makefile").is_file():
        return "make up"
    wanted = f"'{_requirement()}'"
    if (Path(sys.prefix) / "uv-receipt.toml").is_file():
        return f"uv tool install --force {wanted}"
    if (Path(sys.prefix) / "pipx_metadata.json").is_file():
        return f"pipx install --force {wanted}"
    return f"{sys.executable} -m pip install {wanted}"


def _requirement() -> str:
    """Return what to install: the same wheel, if byok was installed from a file or a URL."""
    origin = importlib.metadata.distribution(_DISTRIBUTION).read_text("direct_url.json")
    source = f" @ {json.loads(origin)['url']}" if origin else ""
    return f"{_DISTRIBUTION}[{_EXTRA}]{source}"
