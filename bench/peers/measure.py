"""Measures one peer: installs it, starts its driver, creates one environment and then many, and checks the result."""

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.peers import processes
from bench.peers.account import ROOT, MotoAccount, run_fresh_account
from bench.peers.catalogue import Peer
from bench.peers.driver import EnvironmentSpec
from bench.peers.report import PeerFigures

PEERS_DIR: Final = ROOT / ".tools" / "peers"
POLL_SECONDS: Final = 0.25
MAX_MESSAGE_CHARS: Final = 300
_NOT_OURS: Final = ("AWS_", "PYTHON", "VIRTUAL_ENV", "CELERY_", "DBOS_", "PREFECT_", "TEMPORAL_", "ANSIBLE_", "TF_VAR_")


class PeerError(Exception):
    """A peer cannot be measured. The message gives the reason."""


@dataclass(frozen=True)
class MeasurementLimits:
    """The amount of work that a peer must do, and the time limits for it.

    Attributes:
        seconds: Time limit for the measurement, excluding the installation.
        install_seconds: Time limit for installing the peer.
    """

    environments: int
    concurrency: int
    seconds: float
    install_seconds: float = 900


@dataclass
class Driver:
    """A peer's running driver (`bench.peers.driver`)."""

    process: subprocess.Popen[bytes]
    log: Path
    deadline: float
    account: MotoAccount
    peak_mib: float = 0

    def provision(self, environments: list[EnvironmentSpec]) -> None:
        """Make the peer create all environments.

        Raises:
            PeerError: The driver exited, or the time limit was exceeded.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(environments).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(self._last_words()) from None
        while not select.select([self.process.stdout], [], [], POLL_SECONDS)[0]:
            self.peak_mib = max(self.peak_mib, processes.measure_memory_mib([self.account.pid]))
            if time.monotonic() > self.deadline:
                raise PeerError("did not finish in time")
        if not self.process.stdout.readline():
            raise PeerError(self._last_words())

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)  # the driver logs the reason after it has closed its output
        lines = [line.strip() for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return f"exited, last output: {(lines or ['none'])[-1][-MAX_MESSAGE_CHARS:]}"


def install_peer(peer: Peer, seconds: float) -> Path:
    """Create the peer's virtual environment, and return the path of its Python interpreter.

    If a virtual environment with the same requirements already exists, it is reused.

    Raises:
        PeerError: The peer cannot be installed.
    """
    folder, requirements = PEERS_DIR / peer.name, ROOT / "bench" / "peers" / peer.name / "requirements.txt"
    python, stamp = folder / "bin" / "python", folder / ".installed"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return python
    print(f"{peer.title}: installing", file=sys.stderr, flush=True)
    stamp.unlink(missing_ok=True)
    installer = [sys.executable, str(ROOT / "requirements" / "install.py"), "--installer", sys.prefix]
    try:
        subprocess.run(
            [*installer, "--without-hashes", str(folder), str(requirements)],
            check=True,
            capture_output=True,
            timeout=seconds,
            text=True,
        )
    except subprocess.TimeoutExpired:
        raise PeerError(f"not installed within {seconds:g} s") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.strip().splitlines()[-1:] or ["no output"]
        raise PeerError(f"cannot be installed: {said[0][:MAX_MESSAGE_CHARS]}") from None
    stamp.write_text(requirements.read_text())
    return python


@contextmanager
def start_driver(
    peer: Peer, python: Path, account: MotoAccount, folder: Path, limits: MeasurementLimits
) -> Iterator[Driver]:
    """Run a peer's driver in a new folder, and terminate the peer's processes on exit.

    The folder also serves as the driver's home directory.
    """
    work, log = folder / "work", folder / f"{peer.name}.log"
    work.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_OURS)}
    environment |= account.build_sdk_environment() | {
        "HOME": str(work),
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONPATH": str(ROOT),
        "PEERS_CONCURRENCY": str(limits.concurrency),
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-m", f"bench.peers.{peer.name}.run"],
            cwd=work,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Driver(process, log, time.monotonic() + limits.seconds, account)
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(15)  # give the driver time to clean up, before any remaining processes are ended
    finally:
        processes.end_descendants(without=[account.pid])
        process.wait()


def measure(peer: Peer, folder: Path, limits: MeasurementLimits) -> tuple[PeerFigures, dict[str, int]]:
    """Measure a peer in a fresh account, and return its figures and the total number of AWS calls by service.

    Raises:
        PeerError: The peer cannot be installed, fails, takes too long, or does not create everything.
    """
    python = install_peer(peer, limits.install_seconds)
    folder.mkdir()
    with run_fresh_account(folder) as account:
        asked = account.create_environment_specs(1 + limits.environments)
        calls_before = account.count_calls()
        began, cpu_before = time.monotonic(), processes.measure_cpu_seconds([account.pid])
        with start_driver(peer, python, account, folder, limits) as driver:
            driver.provision(asked[:1])
            warm, cpu_warm = time.monotonic(), processes.measure_cpu_seconds([account.pid])
            driver.provision(asked[1:])
            ended, cpu_ended = time.monotonic(), processes.measure_cpu_seconds([account.pid])
            peak_mib = max(driver.peak_mib, processes.measure_memory_mib([account.pid]))
            calls = {name: count - calls_before.get(name, 0) for name, count in account.count_calls().items()}
        lacks = account.find_missing(asked, peer.exempt)
    if lacks:
        raise PeerError(f"did not create everything: {len(lacks)} parts are missing, the first: {lacks[0]}")
    shutil.rmtree(folder, ignore_errors=True)
    figures = PeerFigures(
        cold_wall_seconds=warm - began,
        cold_cpu_seconds=cpu_warm - cpu_before,
        per_second=limits.environments / (ended - warm),
        cpu_seconds=(cpu_ended - cpu_warm) / limits.environments,
        peak_mib=peak_mib,
        calls=sum(calls.values()) / len(asked),
    )
    return figures, {name: count for name, count in sorted(calls.items()) if count}
