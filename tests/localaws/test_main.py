"""Run the local AWS emulator as a process, and check its output, its address and how it exits."""

import signal
import socket
import subprocess
import sys
import threading
import time
from configparser import ConfigParser
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.localaws.server import AwsHarness
from tests.localaws.test_persistence import LocalAwsProcess


def test_starts_quickly_and_writes_profiles(tmp_path: Path) -> None:
    begun = time.monotonic()
    run = LocalAwsProcess("--config-dir", str(tmp_path / "aws"), "--region", "eu-west-1")
    try:
        assert time.monotonic() - begun < 15
        config = tmp_path / "aws" / "config"
        assert run.line.startswith(f"The local AWS emulator listens at {run.aws.endpoint} (AWS_CONFIG_FILE={config}; ")
        assert "no state folder given (--data)" in run.line
        profiles = ConfigParser()
        profiles.read(config)
        for name in ("byok", "platform"):
            assert profiles[f"profile {name}"]["endpoint_url"] == run.aws.endpoint
            assert profiles[f"profile {name}"]["region"] == "eu-west-1"
        assert run.aws.endpoint.startswith("http://127.0.0.1:")
        assert run.stop() == 0
    finally:
        run.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_exits_cleanly_under_load(tmp_path: Path, how: signal.Signals) -> None:
    run, over, busy = LocalAwsProcess("--config-dir", str(tmp_path)), threading.Event(), threading.Barrier(9)
    callers = [threading.Thread(target=_call_until, args=(over, run.aws, busy)) for _ in range(busy.parties - 1)]
    for caller in callers:
        caller.start()
    try:
        busy.wait(20)
        assert run.stop(how) == 0
    finally:
        over.set()
        run.close()
        for caller in callers:
            caller.join()


def _call_until(over: threading.Event, aws: AwsHarness, busy: threading.Barrier) -> None:
    s3 = aws.platform_client("s3")
    s3.list_buckets()
    busy.wait(20)
    while not over.is_set():
        with suppress(ClientError, BotoCoreError):  # the test stops the server during a call
            s3.list_buckets()


def test_database_time_is_set_at_start(tmp_path: Path) -> None:
    run = LocalAwsProcess("--config-dir", str(tmp_path), "--database-seconds", "0.25")
    try:
        assert run.aws.call_control("POST", "settings", propagation_seconds=0)["database_seconds"] == 0.25
        assert run.stop() == 0
    finally:
        run.close()


def test_occupied_port_is_reported_and_the_data_folder_left_unchanged(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = subprocess.run(
            [sys.executable, "-m", "localaws", "--port", str(port), "--data", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ran.returncode == 1
    assert f"The local AWS cannot start: 127.0.0.1 port {port} is in use" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("arguments", [["--database-seconds", "-1"], ["--port", "x"], ["--nonsense"]])
def test_invalid_option_is_a_usage_error(arguments: list[str]) -> None:
    command = [sys.executable, "-m", "localaws", *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ran.returncode, "usage: python -m localaws" in ran.stderr) == (2, True)
