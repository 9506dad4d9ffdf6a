"""Run `byok up` and `byok demo` as a user does, with real processes on free ports."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from byok.local.ports import Ports

BYOK = str(Path(sys.executable).with_name("byok"))
pytestmark = pytest.mark.e2e


@asynccontextmanager
async def start_byok(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Start `byok`, and stop the process and its children when the test ends, whether the test passes or fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BYOK_")}
    process = await asyncio.create_subprocess_exec(
        BYOK,
        *arguments,
        env=environment | {"NO_COLOR": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def wait_until(fact: Callable[[], bool | Awaitable[bool]], process: asyncio.subprocess.Process) -> None:
    async def look() -> None:
        while True:
            found = fact()
            if found if isinstance(found, bool) else await found:
                return
            if process.returncode is not None:
                said, _ = await process.communicate()
                pytest.fail(f"byok exited with code {process.returncode}: {said.decode()}")
            await asyncio.wait([asyncio.create_task(process.wait())], timeout=0.05)

    await asyncio.wait_for(look(), 60)


async def is_listening(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def test_up_keeps_its_data_and_ends_all_child_processes(tmp_path: Path) -> None:
    ports, exports = Ports.pick_free(), tmp_path / "env"
    options = ["--data", str(tmp_path / "data"), "--env-file", str(exports), "--temporal-port", str(ports.temporal)]
    options += ["--ui-port", str(ports.ui), "--aws-port", str(ports.aws), "--no-worker", "--web-port", str(ports.web)]
    keys = []
    for number in (signal.SIGINT, signal.SIGTERM):
        async with start_byok("up", *options) as up:
            await wait_until(exports.exists, up)
            keys.append([line for line in exports.read_text().splitlines() if "KEY_ARN" in line])
            assert await is_listening(ports.temporal)
            assert await is_listening(ports.ui)
            up.send_signal(number)
            said, _ = await asyncio.wait_for(up.communicate(), 30)
            assert up.returncode == 0, said.decode()
            assert "Stopped. The data is kept." in said.decode()
        assert not exports.exists()
        assert not any([await is_listening(port) for port in (ports.temporal, ports.ui, ports.aws, ports.web)])
    assert len(keys[0]) == 2
    assert keys[0] == keys[1]


async def test_demo_shows_the_stop_and_the_fix() -> None:
    async with start_byok("demo") as demo:
        said, _ = await asyncio.wait_for(demo.communicate(), 120)
    text = said.decode()
    assert demo.returncode == 0, text
    for sentence in (
        "acme is ready.",
        "globex stopped in VALIDATING_KEYS.",
        "s3.KMS.DisabledException",
        "aws kms enable-key --profile byok --region eu-central-1",
        "globex is ready.",
        "globex's buckets and every object in them are encrypted with its S3 key",
    ):
        assert sentence in text
    assert "failed:" not in text
