"""Run the wizard in the test process, with a real Temporal server, fake activities and a simulated browser."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx
import pytest_asyncio

from byok.api.authentication import Authenticator
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.service.environments import EnvironmentService
from byok.web import make_asgi_app
from tests.api.conftest import open_api_state
from tests.workflows.fake_activities import RDS_KEY, REGION, S3_KEY

DRAFT = {"name": "prod", "region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
SETTINGS = ApiSettings(requests_per_minute=100_000)
Open = Callable[..., Any]


@dataclass
class Browser:
    """An HTTP client that uses the wizard like a browser without JavaScript."""

    http: httpx.AsyncClient
    _page: httpx.Response | None = None

    @property
    def page(self) -> httpx.Response:
        """The current page."""
        assert self._page is not None, "no page was opened"
        return self._page

    async def open_page(self, address: str, **query: Any) -> httpx.Response:
        """Open a page, and follow redirects."""
        self._page = await self.http.get(address, params=query or None, follow_redirects=True)
        return self.page

    async def submit_form(
        self, address: str, fields: dict[str, Any], *, form_token: str | None = None
    ) -> httpx.Response:
        """Submit a form of the current page, and follow redirects."""
        token = self.form_token if form_token is None else form_token
        body = {"form_token": token, **fields}
        self._page = await self.http.post(address, data=body, follow_redirects=True)
        return self.page

    async def validate_keys(self, fields: dict[str, Any]) -> httpx.Response:
        """Validate the keys on the page *Encryption at rest*, and reload the page until it shows the result."""
        await self.submit_form("/new/encryption", {**fields, "do": "validate"})
        while 'http-equiv="refresh" content="5"' in self.page.text:
            self._page = await self.http.get(str(self.page.url))
        return self.page

    @property
    def form_token(self) -> str:
        """The form token of the current page."""
        found = re.search(r'name="form_token" value="([^"]+)"', self.page.text)
        return found[1] if found else ""

    @property
    def text(self) -> str:
        """The text of the current page, without markup."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.page.text)).split())


@pytest_asyncio.fixture
async def visit(service: EnvironmentService, journal: AuditJournal) -> AsyncIterator[Open]:
    """A function that opens a browser session against a test server.

    The server uses the given authenticator, settings, service and Regions.
    """
    async with AsyncExitStack() as stack:

        async def make(
            access: Authenticator | None = None,
            settings: ApiSettings = SETTINGS,
            door: EnvironmentService = service,
            **values: Any,
        ) -> Browser:
            state = await stack.enter_async_context(open_api_state(door, access, settings, journal, **values))
            transport = httpx.ASGITransport(make_asgi_app(state, settings), raise_app_exceptions=access is None)
            client = httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30)
            return Browser(await stack.enter_async_context(client))

        yield make


@pytest_asyncio.fixture
async def browser(visit: Open) -> Browser:
    """A browser session against a test server that requires no sign-in."""
    made: Browser = await visit()
    return made
