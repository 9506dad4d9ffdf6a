"""Install a lock file into a virtual environment: `python3 requirements/install.py VENV LOCK [--editable .]`.

pip installs uv from a small separate lock file, and uv installs everything else, ten times as fast as pip. uv does not
read pip's configuration, so this script passes pip's settings (index, mirrors, certificates, proxy) to uv. The script
needs only Python and pip.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
INSTALLER_LOCK = HERE / "installer.lock"
OLDEST = (3, 11)

UNREACHABLE = (
    *("Failed to establish a new connection", "NewConnectionError", "ConnectTimeoutError", "ReadTimeoutError"),
    *("Name or service not known", "name resolution", "Network is unreachable", "Connection refused"),
    *("ProxyError", "dns error", "tcp connect error", "client error (Connect)", "operation timed out"),
)
"""Fragments of the messages that pip 22 to 26 and uv 0.13 print when they cannot reach an index. Neither pip nor uv has
a separate exit code for this error."""

SHOWN_OF_UV = ("Downloading ", "Building ", "Installed ")
"""The beginnings of uv's progress lines. The other lines of uv's output are shown only if uv fails."""


class InstallError(Exception):
    """The installation failed. The message states the reason and what to do next."""


def main() -> int:
    """Install the packages, and print the reason if that fails.

    Returns:
        0 on success, or 1 on failure, after the reason has been printed to standard error.
    """
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("venv", type=Path, help="the virtual environment; created if it does not exist")
    parser.add_argument("lock", type=Path, help="the lock file to install")
    parser.add_argument("--editable", type=Path, help="a project to install on top, in editable mode")
    parser.add_argument("--installer", type=Path, help="the virtual environment that contains uv [default: VENV]")
    parser.add_argument("--without-hashes", action="store_true", help="LOCK pins versions without hashes")
    chosen = parser.parse_args()
    began = time.monotonic()
    try:
        install(chosen.venv, chosen.lock, chosen.editable, chosen.installer or chosen.venv, not chosen.without_hashes)
    except InstallError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stderr.write(f"{chosen.venv} is ready ({chosen.lock.name}, {time.monotonic() - began:.1f} s).\n")
    return 0


def install(venv: Path, lock: Path, editable: Path | None, installer: Path, hashes: bool) -> None:
    """Install the packages of a lock file into a virtual environment, without removing any other packages.

    Raises:
        InstallError: Python is too old, pip is missing, or a package cannot be installed.
    """
    if sys.version_info < OLDEST:
        raise InstallError(
            f"byok needs Python 3.11 or newer, but this is {sys.version.split()[0]}: run make PYTHON=python3.11 …"
        )
    sys.stderr.write(f"Installing {lock.name} into {venv} …\n")
    pip_settings = bootstrap(installer)
    make_venv(venv)
    uv = [str(program(installer, "uv")), "--no-progress", "--color", "never"]
    environment = uv_environment(pip_settings, dict(os.environ))
    if not cache_is_writable(uv, environment):
        environment["UV_NO_CACHE"] = "1"
    into = [*uv, "pip", "install", "--python", str(program(venv, "python"))]
    run([*into, *(["--require-hashes"] if hashes else []), "--requirements", str(lock)], environment)
    if editable is not None:
        run([*into, "--no-deps", "--no-build-isolation", "--editable", str(editable)], environment)


def bootstrap(venv: Path) -> dict[str, str]:
    """Install uv and this project's build tools into a virtual environment, with pip.

    This function uses the pip of the Python that runs the script, so the virtual environment does not need pip.

    Returns:
        pip's settings for that virtual environment, by option.

    Raises:
        InstallError: pip is missing or fails.
    """
    make_venv(venv)
    # An activated .venv has no pip, but the Python that created it does.
    python = sys.executable if importlib.util.find_spec("pip") else getattr(sys, "_base_executable", sys.executable)
    pip = [python, "-m", "pip", "--python", str(program(venv, "python")), "--disable-pip-version-check"]
    listed = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        if "No module named pip" in listed.stderr:
            raise InstallError(f"{python} has no pip: install it (Debian: apt-get install python3-pip).")
        raise InstallError(f"pip cannot read its configuration: {last_line(listed.stderr)}")
    if not is_installed(venv, INSTALLER_LOCK):
        wanted = ["--require-hashes", "--no-compile", "--requirement", str(INSTALLER_LOCK)]
        run([*pip, "install", *wanted], dict(os.environ))
    return effective_settings(listed.stdout)


def is_installed(venv: Path, lock: Path) -> bool:
    """Return whether all packages listed in a lock file are installed in a virtual environment.

    This function looks for the packages' `dist-info` folders, because running pip would take a second.
    """
    heads = [line.split()[0] for line in lock.read_text().splitlines() if line[:1].isalnum()]
    wanted = [head.replace("-", "_").replace("==", "-") for head in heads]
    return all(any(venv.glob(f"[lL]ib/**/site-packages/{name}.dist-info")) for name in wanted)


def make_venv(venv: Path) -> None:
    """Create a virtual environment, unless a working one exists."""
    python = program(venv, "python")
    with contextlib.suppress(OSError):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return
    run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(venv)], dict(os.environ))


def program(venv: Path, name: str) -> Path:
    """Return the path of a program in a virtual environment."""
    return venv / ("Scripts" if os.name == "nt" else "bin") / name


def effective_settings(listed: str) -> dict[str, str]:
    """Return the settings that apply to `pip install`, from the output of `pip config list`.

    The lines read `section.option='value'`, or `:env:.option='value'` for an environment variable `PIP_OPTION`. An
    environment variable overrides the section of the command (`install`), which overrides the section `global`. Source:
    pip's user guide, Configuration, Precedence.
    """
    settings = {}
    for wanted in ("global", "install", ":env:"):
        for line in listed.splitlines():
            name, found, value = line.partition("=")
            section, _, option = name.rpartition(".")
            if found and section == wanted:
                settings[option.replace("_", "-")] = str(ast.literal_eval(value))
    return settings


def uv_environment(pip: dict[str, str], environment: dict[str, str]) -> dict[str, str]:
    """Return the environment variables that make uv install from the same sources as pip.

    Args:
        pip: pip's settings, by option.
        environment: The current environment variables. Variables that are already set override pip's settings.
    """
    several = {name: value.split() for name, value in pip.items()}
    passed = {
        "UV_DEFAULT_INDEX": pip.get("index-url"),
        "UV_INDEX": " ".join(several.get("extra-index-url", [])),
        # pip takes a package from any index that has the version, but uv takes it only from the first index that has
        # the package. Because the lock file contains the hash of every file, pip's strategy is just as safe.
        "UV_INDEX_STRATEGY": "unsafe-best-match" if "extra-index-url" in pip else None,
        "UV_FIND_LINKS": ",".join(several.get("find-links", [])),
        "UV_NO_INDEX": "1" if is_on(pip.get("no-index")) else None,
        "UV_INSECURE_HOST": " ".join(several.get("trusted-host", [])),
        "UV_KEYRING_PROVIDER": "subprocess" if pip.get("keyring-provider") == "subprocess" else None,
        "UV_HTTP_TIMEOUT": pip.get("timeout") or pip.get("default-timeout"),
        "UV_NO_CACHE": "1" if is_on(pip.get("no-cache-dir")) else None,
        "SSL_CERT_FILE": pip.get("cert"),
        "SSL_CLIENT_CERT": pip.get("client-cert"),
        "ALL_PROXY": pip.get("proxy"),
        "UV_PYTHON_DOWNLOADS": "never",
    }
    return {**{name: value for name, value in passed.items() if value}, **environment}


def is_on(value: str | None) -> bool:
    """Return whether a boolean pip option is set."""
    return (value or "").lower() in {"1", "y", "yes", "t", "true", "on"}


def cache_is_writable(uv: list[str], environment: dict[str, str]) -> bool:
    """Return whether uv can write to its cache. uv fails with a read-only cache, but works without a cache."""
    found = subprocess.run([*uv, "cache", "dir"], env=environment, capture_output=True, text=True, check=False)
    if found.returncode != 0:
        return False
    try:
        folder = Path(found.stdout.strip())
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def run(command: list[str], environment: dict[str, str]) -> None:
    """Run a program and show its progress. Show the rest of the output only if the program fails.

    Raises:
        InstallError: The program failed.
    """
    said = []
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if line.lstrip().startswith(SHOWN_OF_UV):
                sys.stderr.write(line)
    if process.returncode == 0:
        return
    text = "".join(said)
    if any(sign in text for sign in UNREACHABLE):
        raise InstallError(
            "Cannot reach the package index: check the network, and the index and proxy in `pip config list`."
        )
    raise InstallError(f"{Path(command[0]).name} failed:\n{text.rstrip()}")


def last_line(text: str) -> str:
    """Return the last line of a program's output."""
    return (text.strip().splitlines() or ["no output"])[-1]


if __name__ == "__main__":
    sys.exit(main())
