"""The installer honours pip's configuration, works without a cache, and reports in one line why it fails."""

import hashlib
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from requirements.install import effective_settings, uv_environment

ROOT = Path(__file__).resolve().parents[2]
WHEEL = "greeting-1.0-py3-none-any.whl"


def run_installer(venv: Path, lock: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the installer with the uv of this virtual environment, and with only the given pip configuration."""
    outside = ("PIP_", "UV_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(outside)}
    command = [sys.executable, "requirements/install.py", "--installer", sys.prefix, str(venv), str(lock)]
    given = {**kept, "PIP_CONFIG_FILE": os.devnull, **environment}
    return subprocess.run(command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """Create the files of a package index that has one package."""
    folder = tmp_path / "index" / "greeting"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("greeting.py", 'WORDS = "hello"\n')
        wheel.writestr("greeting-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
        wheel.writestr("greeting-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("greeting-1.0.dist-info/RECORD", "")
    (folder / "index.html").write_text(f'<a href="{WHEEL}">{WHEEL}</a>')
    return folder.parent


@pytest.fixture
def lock(tmp_path: Path, index: Path) -> Path:
    """Create a lock file that pins the package of the index."""
    digest = hashlib.sha256((index / "greeting" / WHEEL).read_bytes()).hexdigest()
    path = tmp_path / "greeting.lock"
    path.write_text(f"greeting==1.0 \\\n    --hash=sha256:{digest}\n")
    return path


class QuietHandler(SimpleHTTPRequestHandler):
    """A request handler that serves files without logging."""

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serve_files(folder: Path) -> Iterator[str]:
    """Serve a folder over HTTP, and yield the server's URL."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietHandler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def is_package_installed(venv: Path) -> bool:
    """Return whether the package is installed in a virtual environment."""
    command = [str(venv / "bin" / "python"), "-c", "import greeting; print(greeting.WORDS)"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return bool(ended.stdout == "hello\n")


def test_index_of_pips_configuration_file_is_used(tmp_path: Path, index: Path, lock: Path) -> None:
    with serve_files(index) as url:
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {url}\n")
        ended = run_installer(tmp_path / "venv", lock, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert ended.returncode == 0, ended.stderr
    assert is_package_installed(tmp_path / "venv")


def test_folder_of_wheels_is_used_and_an_unwritable_cache_is_ignored(tmp_path: Path, index: Path, lock: Path) -> None:
    (tmp_path / "file").touch()
    cache = str(tmp_path / "file" / "cache")
    ended = run_installer(
        tmp_path / "venv", lock, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index / "greeting"), UV_CACHE_DIR=cache
    )
    assert ended.returncode == 0, ended.stderr
    assert is_package_installed(tmp_path / "venv")


def test_file_with_another_hash_is_not_installed(tmp_path: Path, index: Path, lock: Path) -> None:
    lock.write_text(lock.read_text()[:-9] + "00000000\n")
    ended = run_installer(tmp_path / "venv", lock, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index / "greeting"))
    assert ended.returncode == 1
    assert "uv failed" in ended.stderr
    assert "Hash mismatch" in ended.stderr
    assert not is_package_installed(tmp_path / "venv")


def test_entry_without_a_hash_is_not_installed(tmp_path: Path, index: Path, lock: Path) -> None:
    lock.write_text("greeting==1.0\n")
    ended = run_installer(tmp_path / "venv", lock, PIP_NO_INDEX="1", PIP_FIND_LINKS=str(index / "greeting"))
    assert ended.returncode == 1
    assert "--require-hashes" in ended.stderr
    assert not is_package_installed(tmp_path / "venv")


def test_unreachable_index_is_reported_in_one_line(tmp_path: Path, lock: Path) -> None:
    with serve_files(tmp_path) as url:
        pass  # closing the server frees the port
    ended = run_installer(tmp_path / "venv", lock, PIP_INDEX_URL=url, UV_HTTP_RETRIES="0")
    assert ended.returncode == 1
    _, *reasons = ended.stderr.splitlines()
    assert reasons == [
        "Cannot reach the package index: check the network, and the index and proxy in `pip config list`."
    ]


def test_pip_variable_wins_over_files_and_command_section_over_global() -> None:
    listed = (
        ":env:.index-url='https://variable/'\n"
        "global.index-url='https://global/'\nglobal.timeout='7'\nglobal.cert='/global'\n"
        "install.index-url='https://install/'\ninstall.timeout='9'\n"
        "freeze.timeout='11'\n"
    )
    assert effective_settings(listed) == {"index-url": "https://variable/", "timeout": "9", "cert": "/global"}


def test_every_pip_setting_is_translated_for_uv() -> None:
    pip = effective_settings(
        "global.extra-index-url='https://one/\\nhttps://two/'\nglobal.find-links='/a /b'\nglobal.no-index='true'\n"
        "global.trusted-host='one two'\nglobal.proxy='http://proxy:1'\nglobal.cert='/ca'\nglobal.client-cert='/me'\n"
        "global.timeout='30'\nglobal.no-cache-dir='yes'\nglobal.keyring-provider='subprocess'\n"
    )
    assert uv_environment(pip, {}) == {
        "UV_INDEX": "https://one/ https://two/",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/a,/b",
        "UV_NO_INDEX": "1",
        "UV_INSECURE_HOST": "one two",
        "ALL_PROXY": "http://proxy:1",
        "SSL_CERT_FILE": "/ca",
        "SSL_CLIENT_CERT": "/me",
        "UV_HTTP_TIMEOUT": "30",
        "UV_NO_CACHE": "1",
        "UV_KEYRING_PROVIDER": "subprocess",
        "UV_PYTHON_DOWNLOADS": "never",
    }


def test_uv_variable_wins_over_pip_setting() -> None:
    found = uv_environment({"index-url": "https://pip/"}, {"UV_DEFAULT_INDEX": "https://uv/"})
    assert found["UV_DEFAULT_INDEX"] == "https://uv/"
