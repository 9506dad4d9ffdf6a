"""The wheel installs a single package, which contains the documentation and all programs that `byok up` starts."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from byok import __version__
from byok.local.programs import PROGRAMS_ROOT


def test_wheel_installs_one_package(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    for name in ("activities", "byok", "localaws", "workflows"):
        ignored = shutil.ignore_patterns("__pycache__", "_site")
        shutil.copytree(PROGRAMS_ROOT / name, checkout / name, ignore=ignored)
    for name in (".gitignore", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml", "worker.py"):
        shutil.copy(PROGRAMS_ROOT / name, checkout)
    (checkout / "byok/_site").mkdir()
    (checkout / "byok/_site/index.html").write_text("the documentation")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(build, cwd=checkout, check=True, capture_output=True, timeout=60)

    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"byok_environments-{__version__}-py3-none-any.whl"
    assert {name.partition("/")[0] for name in names} == {"byok", f"byok_environments-{__version__}.dist-info"}
    for program in ("worker.py", "activities/keys.py", "workflows/check_keys.py", "localaws/__main__.py"):
        assert f"byok/_programs/{program}" in names
    assert "byok/_site/index.html" in names, "git ignores the documentation, but the wheel contains it"
    assert not [name for name in names if re.search(r"\.pyc$|/tests?/", name)]
