"""The parts of the local stack: ports, child processes that end with their parent, and environment variables."""

import asyncio
import os
import shlex
import signal
import socket
import subprocess
import sys
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from byok.local import parent_death_signal
from byok.local.env_vars import children_env_vars, client_env_vars, write_exports
from byok.local.ports import HOST, Ports
from byok.local.processes import ChildProcess, DevStackError


async def never_ready() -> bool:
    return False


async def start_child(tmp_path: Path, program: str) -> ChildProcess:
    return await ChildProcess.start("the child", [sys.executable, "-c", program], tmp_path / "child.log", os.environ)


def test_occupied_port_is_named_with_its_option() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DevStackError, match=rf"Port {port} is in use.*--ui-port"):
            replace(Ports.pick_free(), ui=port).require_free()


def test_chosen_ports_are_outside_the_ephemeral_range() -> None:
    with socket.socket() as any_port:
        any_port.bind((HOST, 0))
        given_away = any_port.getsockname()[1]
    ports = Ports.pick_free()
    assert len(set(astuple(ports))) == 4
    assert max(astuple(ports)) < 32_768 <= given_away


def test_equal_ports_are_refused() -> None:
    with pytest.raises(DevStackError, match="must be different: --temporal-port 7000, --ui-port 7000"):
        Ports(7000, 7000, 7001, 7002).require_free()


async def test_child_that_exits_is_reported_with_its_last_output(tmp_path: Path) -> None:
    child = await start_child(tmp_path, "import sys; print('the disk is full'); sys.exit(3)")
    with pytest.raises(DevStackError, match=r"(?s)the child exited with code 3.*the disk is full"):
        await child.wait_until_ready(never_ready, 20)


async def test_output_of_an_earlier_child_is_ignored(tmp_path: Path) -> None:
    first = await start_child(tmp_path, "print('ready')")
    await first.process.wait()
    second = await start_child(tmp_path, "print('not yet')")
    await second.process.wait()
    assert [first.has_printed("ready"), second.has_printed("ready"), second.has_printed("not yet")] == [
        True,
        False,
        True,
    ]


async def test_child_that_does_not_answer_times_out(tmp_path: Path) -> None:
    child = await start_child(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(DevStackError, match=r"was not ready within 0\.1 s"):
        await child.wait_until_ready(never_ready, 0.1)
    await child.kill()


async def test_hurried_stop_kills_an_unresponsive_child(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    child = await start_child(
        tmp_path,
        "import pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"pathlib.Path({str(ready)!r}).touch(); time.sleep(60)",
    )

    async def deaf() -> bool:
        return ready.exists()

    await child.wait_until_ready(deaf, 20)
    hurry = asyncio.Event()
    stopping = asyncio.create_task(child.stop(60, hurry))
    hurry.set()
    await asyncio.wait_for(stopping, 20)
    assert child.process.returncode == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux can tell a child that its parent was killed")
def test_child_does_not_outlive_a_killed_parent() -> None:
    program = (
        "import os, subprocess, sys\n"
        "command = [sys.executable, '-I', '-S', sys.argv[1], str(os.getpid()), '9', '/bin/sleep', '60']\n"
        "child = subprocess.Popen(command, pass_fds=[int(sys.argv[2])])\n"
        "print(child.pid, flush=True)\n"
        "child.wait()\n"
    )
    # The child holds the write end of this pipe. When the child exits, the write end is closed.
    read, write = os.pipe()
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            program,
            parent_death_signal.__file__,
            str(write),
        ],
        stdout=subprocess.PIPE,
        pass_fds=[write],
    ) as parent:
        os.close(write)
        assert parent.stdout is not None
        assert parent.stdout.readline().strip().isdigit()
        parent.kill()
    os.set_blocking(read, True)
    assert os.read(read, 1) == b""  # would block for a minute if the child were still running
    os.close(read)


def test_children_are_configured_only_for_the_local_stack(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("TEMPORAL_API_KEY", "real")
    monkeypatch.setenv("BYOK_VENDOR__NAME", "Acme")
    given = children_env_vars(client_env_vars(Ports(1, 2, 3), Path("/config"), "eu-central-1"), {"MORE": "1"})
    assert given["TEMPORAL_ADDRESS"] == f"{HOST}:1"
    assert given["AWS_ENDPOINT_URL"] == f"http://{HOST}:3"
    assert given["AWS_PROFILE"] == "platform"
    assert given["AWS_ACCESS_KEY_ID"] == ""
    assert "TEMPORAL_API_KEY" not in given
    assert (given["BYOK_VENDOR__NAME"], given["MORE"]) == ("Acme", "1")


def test_exports_survive_a_shell(tmp_path: Path) -> None:
    file = tmp_path / "folder" / "env"
    values = {"ONE": "a b'c\"$HOME", "EMPTY": ""}
    write_exports(file, values)
    shown = subprocess.run(
        ["/bin/sh", "-c", f'. {shlex.quote(str(file))}; printf "%s|%s" "$ONE" "${{EMPTY-unset}}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == "a b'c\"$HOME|"
    assert [item.name for item in file.parent.iterdir()] == ["env"]
