"""The wheel is a single package with the documentation and all programs, and works without a checkout."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from byok import __version__
from byok.local.programs import PROGRAMS_ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    checkout = folder / "checkout"
    for name in ("activities", "byok", "localaws", "workflows"):
        ignored = shutil.ignore_patterns("__pycache__", "_site")
        shutil.copytree(PROGRAMS_ROOT / name, checkout / name, ignore=ignored)
    for name in (".gitignore", "LICENSE", "README.md", "hatch_build.py", "pyproject.toml", "worker.py"):
        shutil.copy(PROGRAMS_ROOT / name, checkout)
    (checkout / "byok/_site").mkdir()
    (checkout / "byok/_site/index.html").write_text("the documentation")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(build, cwd=checkout, check=True, capture_output=True, timeout=60)
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_installs_one_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name == f"byok_environments-{__version__}-py3-none-any.whl"
    assert {name.partition("/")[0] for name in names} == {"byok", f"byok_environments-{__version__}.dist-info"}
    for program in ("worker.py", "activities/keys.py", "workflows/check_keys.py", "localaws/__main__.py"):
        assert f"byok/_programs/{program}" in names
    assert "byok/_site/index.html" in names, "git ignores the documentation, but the wheel contains it"
    assert not [name for name in names if re.search(r"\.pyc$|/tests?/", name)]


@dataclass(frozen=True)
class Installation:
    """A virtual environment that contains the wheel and the packages of the image's lock file, and nothing else."""

    venv: Path
    folder: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the installed command line in an empty folder."""
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("BYOK_", "TEMPORAL_"))}
        bare = {**outside, "PATH": os.defpath, "AWS_CONFIG_FILE": os.devnull, "TEMPORAL_ADDRESS": "127.0.0.1:1"}
        bare.pop("PYTHONPATH", None)
        return subprocess.run(
            [self.venv / "bin" / "byok", *arguments],
            cwd=self.folder,
            env=bare,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    venv, lock = tmp_path_factory.mktemp("installed") / "venv", "requirements/image.lock"
    uv = [
        str(Path(sys.executable).with_name("uv")),
        "pip",
        "install",
        "--quiet",
        "--python",
        str(venv / "bin" / "python"),
    ]
    for command in (
        [sys.executable, "requirements/install.py", "--installer", sys.prefix, str(venv), lock],
        [*uv, "--no-deps", str(wheel)],
    ):
        subprocess.run(command, cwd=PROGRAMS_ROOT, check=True, capture_output=True, timeout=300)
    return Installation(venv, tmp_path_factory.mktemp("folder"))


def test_installed_wheel_runs_every_kind_of_program(installed: Installation) -> None:
    version = installed.run("--version")
    assert (version.returncode, version.stdout) == (0, f"byok {__version__}\n")
    doctor = installed.run("doctor")
    assert doctor.returncode == 1
    assert "Cannot reach the Temporal server at 127.0.0.1:1" in doctor.stdout
    assert "✓ blueprint" in doctor.stdout
    worker = installed.run("worker")
    assert worker.returncode == 1
    assert "error: The worker cannot start" in worker.stderr
    for ended in (version, doctor, worker):
        assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("command", "receipt", "program"),
    [
        ("up", "uv-receipt.toml", lambda _: "uv tool install --force"),
        ("demo", "pipx_metadata.json", lambda _: "pipx install --force"),
        ("demo", None, lambda venv: f"{venv}/bin/python -m pip install"),
    ],
    ids=["uv tool", "pipx", "pip"],
)
def test_missing_extra_is_said_in_one_line_with_the_command(
    installed: Installation, wheel: Path, command: str, receipt: str | None, program: Callable[[Path], str]
) -> None:
    if receipt is not None:
        (installed.venv / receipt).touch()
    try:
        ended = installed.run(command)
    finally:
        if receipt is not None:
            (installed.venv / receipt).unlink()
    wanted = f"'byok-environments[local] @ {wheel.as_uri()}'"
    assert ended.returncode == 1
    told = f'error: The local stack needs the extra "local". Install it with: {program(installed.venv)} {wanted}'
    assert ended.stderr.splitlines() == [told]
