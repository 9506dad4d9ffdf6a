"""Run the API in the test process, with a real Temporal server and fake activities."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest_asyncio
from fastapi import FastAPI

from byok.api.app import make_api_app, wrap_with_security_middleware
from byok.api.authentication import AllowAllAuth, Authenticator
from byok.api.state import ApiState
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.domain.vendor import VendorProfile
from byok.service.environments import EnvironmentService
from tests.workflows.fake_activities import PLATFORM, RDS_KEY, REGION, S3_KEY

SETTINGS = ApiSettings(requests_per_minute=100_000)
Serve = Callable[..., Any]


@dataclass(frozen=True)
class SseEvent:
    """A server-sent event."""

    kind: str
    id: str | None
    data: dict[str, Any]


@dataclass(frozen=True)
class ApiClient:
    """An HTTP client for the API."""

    app: FastAPI
    http: httpx.AsyncClient

    async def read_events(self, environment_id: str, last: str | None = None) -> list[SseEvent]:
        """Read all events until the stream ends."""
        headers = {"Last-Event-ID": last} if last else {}
        answer = await self.http.get(f"/v1/environments/{environment_id}/events", headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        return [parse_event(block) for block in answer.text.split("\n\n") if "data:" in block]


def parse_event(block: str) -> SseEvent:
    """Parse one event."""
    fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
    return SseEvent(fields["event"], fields.get("id"), json.loads(fields["data"]))


def build_create_body(environment_id: str, **changes: object) -> dict[str, object]:
    """Build the body of a create request."""
    keys = {"s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    return {"environment_id": environment_id, "region": REGION, "key_grace_seconds": 0, **keys, **changes}


@asynccontextmanager
async def open_api_state(
    door: EnvironmentService,
    access: Authenticator | None,
    settings: ApiSettings,
    journal: AuditJournal,
    regions: Sequence[str] = (REGION, "us-west-2"),
    local_aws: str | None = None,
    role_arn: str = PLATFORM.role_arn,
) -> AsyncIterator[ApiState]:
    """Create the API's state, and wait until the API is connected to Temporal.

    Without an authenticator, the API allows every caller.
    """

    async def connect() -> EnvironmentService:
        return door

    state = ApiState(
        access or AllowAllAuth(),
        role_arn,
        VendorProfile(),
        regions,
        connect,
        "a secret of tests",
        settings.max_streams,
        journal,
        local_aws=local_aws,
        template_url=settings.template_url,
        aws_events_secret=settings.aws_events_secret.get_secret_value() if settings.aws_events_secret else None,
    )
    async with state.lifespan():
        await state.opened.wait()
        yield state


@pytest_asyncio.fixture
async def serve(service: EnvironmentService, journal: AuditJournal) -> AsyncIterator[Serve]:
    """A function that builds an API client for the given authenticator, settings and service."""
    async with AsyncExitStack() as stack:

        async def make(
            access: Authenticator | None = None,
            settings: ApiSettings = SETTINGS,
            token: str | None = None,
            door: EnvironmentService = service,
            local_aws: str | None = None,
        ) -> ApiClient:
            opening = open_api_state(door, access, settings, journal, local_aws=local_aws)
            state = await stack.enter_async_context(opening)
            app = make_api_app(state)
            wrapped = wrap_with_security_middleware(app, settings, journal)
            transport = httpx.ASGITransport(wrapped, raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            http = httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers, timeout=30)
            return ApiClient(app, await stack.enter_async_context(http))

        yield make


@pytest_asyncio.fixture
async def portal(serve: Serve) -> ApiClient:
    """A client with every permission."""
    made: ApiClient = await serve()
    return made
