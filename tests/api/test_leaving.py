"""Whoever stops listening is forgotten: seen on a real server, as a browser closes its tab."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest
import uvicorn

from byok.api.access import OpenAccess
from byok.api.state import ApiState
from byok.domain.statuses import Phase
from byok.domain.vendor import VendorProfile
from byok.local.ports import HOST, Ports
from byok.service import EnvironmentService
from byok.service.status import EnvironmentStatus
from byok.settings import ApiSettings
from byok.web import make_server
from tests.workflows.scripted import PLATFORM


class Waiting:
    """A door behind which an environment waits for its database, without end."""

    async def status(self, environment_id: str) -> EnvironmentStatus:
        return EnvironmentStatus(
            environment_id=environment_id,
            phase=Phase.AWAITING_DATABASE,
            workflow_id=f"environment/{environment_id}",
            run_id="run",
            started_at=datetime(2026, 11, 25, tzinfo=UTC),
        )


@contextlib.asynccontextmanager
async def serving(state: ApiState) -> AsyncIterator[httpx.AsyncClient]:
    port = Ports.free().web
    server = uvicorn.Server(uvicorn.Config(make_server(state, ApiSettings()), HOST, port, log_config=None))
    task = asyncio.create_task(server._serve())  # without its own signal handlers
    try:
        async with asyncio.timeout(20):
            while not server.started:  # noqa: ASYNC110 - it sets no event
                await asyncio.sleep(0.02)
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=10) as http:
            yield http
    finally:
        server.should_exit = True
        await task


@pytest.mark.parametrize("path", ["/v1/environments/acme/events", "/environments/acme/changes"])
async def test_listener_who_leaves_is_not_looked_for_any_more(path: str) -> None:
    async def connect() -> EnvironmentService:
        return cast(EnvironmentService, Waiting())

    state: Any = ApiState(OpenAccess(), PLATFORM.role_arn, VendorProfile(), connect)
    async with serving(state) as http:
        async with http.stream("GET", path) as staying, http.stream("GET", path) as leaving:
            await anext(staying.aiter_lines())
            await anext(leaving.aiter_lines())
            assert {name: one.watchers for name, one in state.followers._watched.items()} == {"acme": 2}
        async with asyncio.timeout(20):
            while state.followers._watched:  # noqa: ASYNC110 - it is told to nobody
                await asyncio.sleep(0.02)
