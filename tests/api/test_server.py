"""Test event streams, and the middleware that the API and the wizard share, on a real server."""

import asyncio
import contextlib
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import uvicorn

from byok.api.authentication import AllowAllAuth, Authenticator, Caller
from byok.api.state import ApiState
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.domain.models import Requester
from byok.domain.phases import Phase
from byok.domain.scopes import Scope
from byok.domain.vendor import VendorProfile
from byok.local.ports import HOST, Ports
from byok.service.environment_reader import RequestRecorder
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from byok.web import build_server_config
from tests.workflows.fake_activities import PLATFORM


class NeverReadyService:
    """An `EnvironmentService` whose only environment waits for its database forever."""

    def on_behalf_of(self, _: Requester, __: RequestRecorder | None = None) -> "NeverReadyService":
        """Return this object unchanged, because this fake service ignores the requester."""
        return self

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        return EnvironmentStatus(
            environment_id=environment_id,
            phase=Phase.AWAITING_DATABASE,
            workflow_id=f"environment/{environment_id}",
            run_id="run",
            created_at=datetime(2026, 11, 25, tzinfo=UTC),
            started_at=datetime(2026, 11, 25, tzinfo=UTC),
        )


async def connect_never_ready_service() -> EnvironmentService:
    return cast(EnvironmentService, NeverReadyService())


def build_state(access: Authenticator, max_streams: int = 500) -> ApiState:
    return ApiState(
        access,
        PLATFORM.role_arn,
        VendorProfile(),
        PLATFORM.regions,
        connect_never_ready_service,
        "a secret of tests",
        max_streams,
        AuditJournal(Path(tempfile.gettempdir()) / f"byok-{uuid.uuid4().hex}"),
    )


class ShortLivedAuth:
    """An authenticator whose callers' tokens expire after one second."""

    async def authenticate(self, token: str | None) -> Caller:
        return Caller("acme", frozenset(Scope), time.time() + 1, subject="user-1")


SETTINGS = ApiSettings()


@contextlib.asynccontextmanager
async def run_server(
    state: ApiState, settings: ApiSettings = SETTINGS, port: int | None = None
) -> AsyncIterator[httpx.AsyncClient]:
    port = port or Ports.pick_free().web
    server = uvicorn.Server(build_server_config(state, settings, HOST, port))
    task = asyncio.create_task(server._serve())  # unlike serve(), installs no signal handlers
    try:
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110 - uvicorn sets no event
                await asyncio.sleep(0.02)
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=10) as http:
            yield http
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("path", ["/v1/environments/acme/events", "/environments/acme/changes"])
async def test_environment_is_no_longer_polled_after_its_listeners_leave(path: str) -> None:
    state: Any = build_state(AllowAllAuth())
    async with run_server(state) as http:
        async with http.stream("GET", path) as staying, http.stream("GET", path) as leaving:
            await anext(staying.aiter_lines())
            await anext(leaving.aiter_lines())
            assert {name: one.watchers for name, one in state.broadcaster._watched.items()} == {"acme": 2}
        async with asyncio.timeout(20):
            while state.broadcaster._watched:  # noqa: ASYNC110 - no event exists
                await asyncio.sleep(0.02)


async def test_id_of_an_event_follows_its_data() -> None:
    """If a stream ends in the middle of an event's data, the client does not get the event's id."""
    path = "/v1/environments/acme-prod/events"
    async with (
        asyncio.timeout(20),
        run_server(build_state(ShortLivedAuth())) as http,
        http.stream("GET", path) as stream,
    ):
        lines = [line async for line in stream.aiter_lines()]

    first_event = lines[: lines.index("")]
    assert [line.partition(":")[0] for line in first_event] == ["event", "data", "id"]


async def test_stream_ends_when_its_token_expires() -> None:
    path = "/v1/environments/acme-prod/events"
    async with (
        asyncio.timeout(20),
        run_server(build_state(ShortLivedAuth())) as http,
        http.stream("GET", path) as stream,
    ):
        lines = [line async for line in stream.aiter_lines()]
    assert any("AWAITING_DATABASE" in line for line in lines)


async def test_stream_above_the_limit_is_refused_until_another_ends() -> None:
    path = "/v1/environments/acme/events"
    async with run_server(build_state(AllowAllAuth(), max_streams=1)) as http:
        async with http.stream("GET", path) as only:
            lines = only.aiter_lines()  # keeping a reference to the iterator keeps the stream open
            await anext(lines)
            refused = await http.get(path)
            page = await http.get("/environments/acme/changes")
        async with asyncio.timeout(20):
            while True:
                async with http.stream("GET", path) as later:
                    if later.status_code == HTTPStatus.OK:
                        break
    assert (refused.status_code, refused.json()["code"], page.status_code) == (429, "byok.TooManyStreams", 429)
    assert refused.headers["retry-after"]


@pytest.mark.parametrize(
    ("host", "status"), [("localhost", 200), ("127.0.0.1:8000", 200), ("[::1]:8000", 200), ("evil.example.com", 400)]
)
async def test_open_server_answers_only_to_local_host_names(host: str, status: int) -> None:
    async with run_server(build_state(AllowAllAuth())) as http:
        answer = await http.get("/health", headers={"Host": host})
    assert answer.status_code == status


async def test_api_and_wizard_share_one_rate_limit() -> None:
    async with run_server(build_state(AllowAllAuth()), ApiSettings(requests_per_minute=2)) as http:
        answers = [await http.get(path) for path in ("/health", "/new", "/health", "/new")]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
