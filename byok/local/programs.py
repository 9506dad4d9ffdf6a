"""Finds the files of the programs that byok runs as child processes: `worker.py` and `localaws`."""

from pathlib import Path
from typing import Final

_PACKAGE: Final = Path(__file__).resolve().parents[1]
PROGRAMS_ROOT: Final = next(
    folder for folder in (_PACKAGE.parent, _PACKAGE / "_programs") if (folder / "worker.py").is_file()
)
"""The folder that contains `worker.py` and `localaws`.

This folder is the checkout or, if byok is installed from a wheel, `byok/_programs`.
"""
