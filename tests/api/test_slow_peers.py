"""Clients that send their requests slowly, and a Temporal server that accepts connections but never answers."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import httpx
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from byok.api.authentication import AllowAllAuth
from byok.api.state import ApiState
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.domain.vendor import VendorProfile
from byok.local.ports import HOST
from byok.service.connection import connect_service
from byok.service.environments import EnvironmentService
from byok.temporal import make_plugin
from tests.api.conftest import Serve, build_create_body
from tests.api.test_server import build_state, run_server
from tests.faults.cuttable_proxy import CuttableProxy
from tests.workflows.fake_activities import PLATFORM

TIMEOUT = 0.3
SETTINGS = ApiSettings(request_timeout_seconds=TIMEOUT)
PATIENCE = 10.0


@asynccontextmanager
async def open_connection() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect to a server whose timeout is short."""
    async with run_server(build_state(AllowAllAuth()), SETTINGS) as http:
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        try:
            yield reader, writer
        finally:
            writer.close()


async def drip(writer: asyncio.StreamWriter, text: bytes) -> None:
    """Send the text byte by byte, with pauses that are shorter than the timeout."""
    for byte in text:
        writer.write(bytes([byte]))
        await asyncio.sleep(TIMEOUT / 10)


async def read_until_cut_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    """Send bytes slowly, and return everything that the server sends before it closes the connection."""
    sending = asyncio.create_task(drip(writer, text * 1000))
    try:
        async with asyncio.timeout(PATIENCE):
            return await reader.read()
    except ConnectionResetError:  # the server closed the connection while a byte was in transit
        return b""
    finally:
        sending.cancel()


@pytest.mark.parametrize("beginning", [b"", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"])
async def test_client_that_sends_its_headers_slowly_is_cut_off(beginning: bytes) -> None:
    async with open_connection() as (reader, writer):
        writer.write(beginning)
        assert await read_until_cut_off(reader, writer, b"X-Slow: 1\r\n" if beginning else b"G") == b""


async def test_client_that_sends_nothing_is_cut_off() -> None:
    async with open_connection() as (reader, _), asyncio.timeout(PATIENCE):
        assert await reader.read() == b""


async def test_second_request_has_a_time_limit_of_its_own() -> None:
    async with open_connection() as (reader, writer):
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"}")
        assert await read_until_cut_off(reader, writer, b"X") == b""


async def test_client_that_sends_its_body_slowly_is_refused_and_cut_off() -> None:
    async with open_connection() as (reader, writer):
        writer.write(b"POST /v1/policy-checks HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n")
        answer = await read_until_cut_off(reader, writer, b" ")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"byok.TooSlow" in answer


async def test_rest_of_a_refused_body_has_a_time_limit_too() -> None:
    async with open_connection() as (reader, writer):
        writer.write(b"POST /v1/policy-checks HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example.com\r\n")
        writer.write(b"Content-Length: 100000\r\n\r\n")
        assert (await read_until_cut_off(reader, writer, b" ")).startswith(b"HTTP/1.1 403 ")


async def test_time_limit_does_not_end_a_stream() -> None:
    async with (
        run_server(build_state(AllowAllAuth()), SETTINGS) as http,
        http.stream("GET", "/v1/environments/acme/events") as stream,
    ):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(stream.aread(), 3 * TIMEOUT)


@pytest_asyncio.fixture
async def silent_address() -> AsyncIterator[str]:
    """The address of a server that accepts connections and never answers."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(hold, HOST, 0)
    yield f"{HOST}:{server.sockets[0].getsockname()[1]}"
    server.close()


async def test_server_that_starts_beside_a_silent_temporal_answers_503_at_once(
    silent_address: str, monkeypatch: pytest.MonkeyPatch, journal: AuditJournal
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", silent_address)
    connect = partial(connect_service, call_timeout=timedelta(seconds=ApiSettings().temporal_timeout_seconds))
    state = ApiState(
        AllowAllAuth(), PLATFORM.role_arn, VendorProfile(), PLATFORM.regions, connect, "a secret", 500, journal
    )
    async with run_server(state) as http:
        await require_unavailable(http)


async def test_requests_get_503_within_two_seconds_while_temporal_is_silent(
    serve: Serve, temporal: WorkflowEnvironment
) -> None:
    port = int(temporal.client.service_client.config.target_host.rpartition(":")[2])
    timeout = timedelta(seconds=ApiSettings().temporal_timeout_seconds)
    async with CuttableProxy(port) as line:
        client = await Client.connect(f"{HOST}:{line.port}", plugins=[make_plugin(timeout)])
        portal = await serve(door=EnvironmentService(client))
        assert (await portal.http.get("/ready")).status_code == 200
        line.cut()
        await require_unavailable(portal.http)


async def require_unavailable(http: httpx.AsyncClient) -> None:
    """Check that every request that needs Temporal gets a 503 response with Retry-After within two seconds."""
    began = time.monotonic()
    path = "/v1/environments"
    answers = await asyncio.gather(
        http.get("/ready"),
        http.get(path),
        http.get(f"{path}/acme"),
        http.get(f"{path}/acme/events"),
        http.post(path, json=build_create_body("acme")),
        http.post("/v1/key-checks", json=build_create_body("acme")),
        http.post(f"{path}/acme/replays", json={}),
        http.post(f"{path}/acme/cancellation"),
        http.delete(f"{path}/acme?confirm=acme"),
    )
    assert time.monotonic() - began < 2
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "byok.TemporalUnreachable"), answer.request.url
        assert answer.headers["retry-after"] == "5"
    assert (await http.get("/health")).status_code == 200
