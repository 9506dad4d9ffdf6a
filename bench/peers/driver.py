"""A peer's own side of the benchmark: what it is asked for, how it answers, and the programs that it starts.

The benchmark starts `python -m bench.peers.<name>.run` in the peer's virtual environment and writes lines, each a JSON
list of environments; the peer provisions all of them, answers a line, and ends when its input ends. This is imported in
every peer's virtual environment, and therefore imports the standard library alone.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypedDict

CONCURRENCY: Final = int(os.environ.get("PEERS_CONCURRENCY", "1"))
"""How many environments may be under way at once."""

HOST: Final = "127.0.0.1"


class EnvironmentSpec(TypedDict):
    """What is asked for: names follow from `name`, and the two keys are there already."""

    name: str
    region: str
    s3_key_arn: str
    rds_key_arn: str


def read_batches() -> Iterator[list[EnvironmentSpec]]:
    """What to provision; asking for the next batch says that the one before is done."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print goes to the log
    for line in sys.stdin:
        yield json.loads(line)
        print("done", file=answers, flush=True)


def provision_in_threads(provision: Callable[[EnvironmentSpec], object]) -> None:
    """Provision every batch with a thread per environment under way."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for batch in read_batches():
            list(pool.map(provision, batch))


@contextmanager
def run_in_background(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs beside the driver, and is ended with it."""
    process = subprocess.Popen([find_program(command[0]), *command[1:]], stdin=subprocess.DEVNULL, stdout=sys.stderr)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run_program(*command: str, folder: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
    """Run a program to its end; what it prints goes to the log.

    Raises:
        RuntimeError: It failed; with the first line in which it speaks of an error.
    """
    ended = subprocess.run(
        [find_program(command[0]), *command[1:]],
        check=False,
        cwd=folder,
        env={**os.environ, **(settings or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(ended.stdout, file=sys.stderr)
    if ended.returncode:
        lines = ended.stdout.splitlines() or ["it says nothing"]
        telling = [line for line in lines if "error" in line.lower()] or lines[-1:]
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}: {telling[0]}")


def find_program(name: str) -> str:
    """A program of the peer's virtual environment, or else of PATH."""
    own = Path(sys.executable).parent / name
    return str(own) if own.exists() else name


def find_free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


def await_port(port: int, seconds: float = 60) -> None:
    """Wait until somebody listens.

    Raises:
        OSError: Nobody did in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((HOST, port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
