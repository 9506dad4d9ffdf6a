"""The wheel installs a single package, which contains all programs that `byok up` starts."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

from byok import __version__
from byok.local.programs import PROGRAMS_ROOT


def test_wheel_installs_one_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=PROGRAMS_ROOT, check=True, capture_output=True, timeout=60)

    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"byok_environments-{__version__}-py3-none-any.whl"
    assert {name.partition("/")[0] for name in names} == {"byok", f"byok_environments-{__version__}.dist-info"}
    for program in ("worker.py", "activities/keys.py", "workflows/check_keys.py", "localaws/__main__.py"):
        assert f"byok/_programs/{program}" in names
    assert not [name for name in names if re.search(r"\.pyc$|/tests?/", name)]
