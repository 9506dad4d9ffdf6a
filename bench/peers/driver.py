"""Functions that every peer's `run.py` uses to read batches, report completion, and start other programs.

The benchmark starts `python -m bench.peers.<name>.run` in the peer's virtual environment, and writes batches to the
peer's standard input. Each line is a JSON list of environments. After each batch, the peer prints a line. The peer
exits when its standard input ends. Every peer imports this module, so this module uses only the standard library.
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
"""The maximum number of concurrent environments."""

HOST: Final = "127.0.0.1"


class EnvironmentSpec(TypedDict):
    """A requested environment.

    The names of all resources are derived from `name`, and the two keys already exist.
    """

    name: str
    region: str
    s3_key_arn: str
    rds_key_arn: str


def read_batches() -> Iterator[list[EnvironmentSpec]]:
    """Yield the batches to provision.

    When the caller asks for the next batch, this function reports that the previous batch is done.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # send library output to the log
    for line in sys.stdin:
        yield json.loads(line)
        print("done", file=answers, flush=True)


def provision_in_threads(provision: Callable[[EnvironmentSpec], object]) -> None:
    """Provision every batch with one thread per concurrent environment."""
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        for batch in read_batches():
            list(pool.map(provision, batch))


@contextmanager
def run_in_background(*command: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program in the background until the context exits."""
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


def run_program_or_raise(*command: str, folder: Path | None = None, settings: Mapping[str, str] | None = None) -> None:
    """Run a program, and wait until it exits. The program's output goes to the log.

    Raises:
        RuntimeError: The program failed. The message contains the first line of output that mentions an error.
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
        lines = ended.stdout.splitlines() or ["no output"]
        telling = [line for line in lines if "error" in line.lower()] or lines[-1:]
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}: {telling[0]}")


def find_program(name: str) -> str:
    """Find a program in the peer's virtual environment, or else on PATH."""
    own = Path(sys.executable).parent / name
    return str(own) if own.exists() else name


def find_free_port() -> int:
    """Return a free port."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        port: int = one.getsockname()[1]
        return port


def await_port(port: int, seconds: float = 60) -> None:
    """Wait until a process is listening on the port.

    Raises:
        OSError: No process was listening when the timeout expired.
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
