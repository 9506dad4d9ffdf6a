"""Even if a web server is killed repeatedly, every executed request has an audit record (contract 147)."""

import asyncio
import contextlib
import os
import random
import signal
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
from temporalio.testing import WorkflowEnvironment

from byok.audit.record import AuditOutcome, RecordKind
from byok.contracts import REQUESTER_MEMO
from byok.domain.models import Requester
from byok.local.ports import HOST, Ports
from byok.local.programs import PROGRAMS_ROOT
from tests.api.conftest import build_create_body
from tests.audit_journal import read_journal
from tests.faults.harness import RUN_ALL_CASES
from tests.workflows.fake_activities import PLATFORM, REGION

REQUESTS = 1_000 if RUN_ALL_CASES else 60
KILLS = 20 if RUN_ALL_CASES else 2
CONCURRENT = 16


@contextlib.asynccontextmanager
async def run_web_server(address: str, port: int, audit: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a web server until the end of the block, then kill it with SIGKILL."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("BYOK_", "TEMPORAL_"))}
    environment |= {
        "TEMPORAL_ADDRESS": address,
        "BYOK_PLATFORM_ROLE_ARN": PLATFORM.role_arn,
        "BYOK_REGIONS": REGION,
        "BYOK_AUDIT__DIRECTORY": str(audit),
        "BYOK_API__REQUESTS_PER_MINUTE": "100000",
    }
    command = (sys.executable, "-m", "byok", "web", "--port", str(port))
    server = await asyncio.create_subprocess_exec(
        *command, cwd=PROGRAMS_ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.send_signal(signal.SIGKILL)
        await server.wait()


async def test_killed_server_carries_out_no_request_without_its_intent(
    temporal: WorkflowEnvironment, tmp_path: Path
) -> None:
    client, port, prefix = temporal.client, Ports.pick_free().web, f"k{uuid.uuid4().hex[:8]}"
    address = client.service_client.config.target_host
    waiting = [f"{prefix}-{number}" for number in range(REQUESTS)]
    accepted: set[str] = set()
    kill_at = set(random.Random(prefix).sample(range(REQUESTS // 10, REQUESTS * 9 // 10), KILLS))

    async def send(http: httpx.AsyncClient, killed: asyncio.Event) -> None:
        while waiting and not killed.is_set():
            environment_id = waiting.pop()
            try:
                answer = await http.post("/v1/environments", json=build_create_body(environment_id))
            except httpx.TransportError:
                waiting.append(environment_id)
                await asyncio.sleep(0.05)  # the server is starting, or has been killed
                continue
            if answer.status_code == 503:  # the server is not connected to Temporal yet
                waiting.append(environment_id)
                await asyncio.sleep(0.05)
                continue
            accepted.add(environment_id)
            if len(accepted) in kill_at:
                kill_at.discard(len(accepted))
                killed.set()

    async with asyncio.timeout(900 if RUN_ALL_CASES else 90):
        while waiting:
            killed = asyncio.Event()
            async with (
                run_web_server(address, port, tmp_path) as server,
                httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=30) as http,
            ):
                senders = [asyncio.create_task(send(http, killed)) for _ in range(CONCURRENT)]
                stop = asyncio.create_task(killed.wait())
                await asyncio.wait([stop, *senders], return_when=asyncio.FIRST_COMPLETED)
                if killed.is_set():
                    server.send_signal(signal.SIGKILL)
                await asyncio.gather(*senders)
                stop.cancel()

    assert not kill_at
    records = read_journal(tmp_path)
    intents = {one.requester.request_id: one for one in records if one.kind is RecordKind.INTENT}
    started = 0
    while started < REQUESTS:
        started = 0
        async for run in client.list_workflows(f"WorkflowId STARTS_WITH 'environment/{prefix}-'"):
            started += 1
            sender = await run.memo_value(REQUESTER_MEMO, type_hint=Requester)
            intent = intents[sender.request_id]  # contract 147
            assert intent.target.environment_id == run.id.removeprefix("environment/")
        await asyncio.sleep(0.2)  # visibility is eventually consistent
    done = {one.requester.request_id for one in records if one.outcome is AuditOutcome.ACCEPTED}
    assert done <= set(intents)
    assert len(done) >= len(accepted) == REQUESTS
