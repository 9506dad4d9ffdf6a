"""Users sign in with a real OIDC provider (Canaille), in Chromium and by HTTP."""

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx
import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from structlog.testing import capture_logs

from byok.api.app import build_authenticator
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.local.ports import Ports
from byok.service.environments import EnvironmentService
from byok.wizard import identity_provider
from byok.wizard.sessions import COOKIE_NAME
from tests.api.conftest import open_api_state
from tests.api.test_server import run_server
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium

HOST, CLIENT, SECRET, PUBLIC_CLIENT, PASSWORD = "127.0.0.1", "wizard", "s3cret", "public", "correct horse battery"
SERVER: Final = Path(__file__).with_name("canaille_server.py")
SCREENSHOTS_DIR: Final = os.environ.get("BYOK_TEST_PICTURES")


@dataclass(frozen=True)
class RunningProvider:
    """A running provider, whose clients belong to the server with the given port."""

    issuer: str
    port: int

    def build_settings(self, client_id: str, secret: str | None) -> ApiSettings:
        """Build the settings of a server whose users sign in with this provider."""
        values: dict[str, Any] = {
            "public_url": f"http://{HOST}:{self.port}",
            "requests_per_minute": 100_000,
            "issuer": self.issuer,
            "jwks_url": f"{self.issuer}/oauth/jwks.json",
            "audience": "byok",
            "organisation_claim": "preferred_username",
            "client_id": client_id,
            "client_secret": secret,
            "sign_in_scopes": "openid profile environments:read environments:write",
        }
        return ApiSettings.model_validate(values)


@pytest.fixture(autouse=True)
def _slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity_provider, "TIMEOUT_SECONDS", 60)


@pytest_asyncio.fixture(scope="module")
async def provider(oidc_python: Path) -> AsyncIterator[RunningProvider]:
    port = Ports.pick_free().web
    arguments = (f"http://{HOST}:{port}", PASSWORD, f"{CLIENT}:{SECRET}", PUBLIC_CLIENT)
    process = await asyncio.create_subprocess_exec(oidc_python, SERVER, *arguments, stdout=asyncio.subprocess.PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(300):
            issuer = (await process.stdout.readline()).decode().strip()
        assert issuer, "the provider did not start"
        yield RunningProvider(issuer, port)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def serve(
    provider: RunningProvider, service: EnvironmentService, journal: AuditJournal, client_id: str, secret: str | None
) -> AsyncIterator[httpx.AsyncClient]:
    settings = provider.build_settings(client_id, secret)
    async with (
        open_api_state(service, build_authenticator(settings), settings, journal) as state,
        run_server(state, settings, provider.port) as http,
    ):
        http.timeout = httpx.Timeout(60)
        yield http


async def check_page(page: Page, name: str) -> None:
    """Check the page's accessibility, and save a screenshot if a folder is set."""
    if SCREENSHOTS_DIR:
        await page.screenshot(path=Path(SCREENSHOTS_DIR) / f"{name}.png", full_page=True)
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


async def test_user_signs_in_and_out_in_a_browser(
    provider: RunningProvider, service: EnvironmentService, journal: AuditJournal
) -> None:
    async with serve(provider, service, journal, CLIENT, SECRET) as http, launch_chromium() as chromium:
        page = await chromium.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(f"{http.base_url}/environments?prefix=prod")
        await check_page(page, "sign-in")
        await page.get_by_role("link", name="Sign in with localhost").click()
        await page.locator("input[name=login]").fill("ada")
        await page.keyboard.press("Enter")
        await page.locator("input[name=password]").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.locator("button[name=answer][value=deny]").click()
        await expect(page.get_by_role("alert")).to_contain_text("localhost did not grant access")
        await check_page(page, "sign-in-denied")

        await page.get_by_role("link", name="Sign in with localhost").click()
        await page.locator("button[name=answer][value=accept]").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Environments")
        assert urlsplit(page.url).query == "prefix=prod"
        (session,) = [one for one in await page.context.cookies(str(http.base_url)) if one["name"] == COOKIE_NAME]

        await page.get_by_role("button", name="Sign out").click()
        await page.locator(
            "button[name=answer][value=logout]"
        ).click()  # Canaille asks for confirmation, because byok sends no id_token_hint
        await expect(page).to_have_url(f"{http.base_url}/sign-in")
        stolen = await http.get("/environments", headers={"Cookie": f"{COOKIE_NAME}={session['value']}"})
        assert stolen.headers["location"].startswith("/sign-in")
        await page.get_by_role("link", name="Sign in with localhost").click()
        await expect(page.locator("input[name=login]")).to_be_visible()  # the session at the provider has ended as well


async def sign_in_at_provider(http: httpx.AsyncClient, user: str) -> dict[str, str]:
    """Start a sign-in and complete it at the provider; return the parameters of the provider's response."""
    answer = await http.get("/sign-in/start", params={"provider": "customers", "next": "/environments"})
    for _ in range(10):
        address = answer.headers.get("location")
        if address is None:
            token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', answer.text)
            assert token is not None, answer.text
            fields = {"csrf_token": token[1], "login": user, "password": PASSWORD}
            answer = await http.post(answer.url, data=fields)
        elif address.startswith(f"{http.base_url}/sign-in/callback?"):
            return dict(parse_qsl(urlsplit(address).query))
        else:
            answer = await http.get(urljoin(str(answer.url), address))
    raise AssertionError("the provider did not complete the sign-in")


async def test_provider_refuses_stolen_and_used_codes(
    provider: RunningProvider, service: EnvironmentService, journal: AuditJournal
) -> None:
    async with serve(provider, service, journal, PUBLIC_CLIENT, None) as http:
        victims = await sign_in_at_provider(http, "ada")
        own = await sign_in_at_provider(http, "ada")
        with capture_logs() as lines:
            injected = await http.get("/sign-in/callback", params={**own, "code": victims["code"]})
        assert "fault=stale" in injected.headers["location"]
        assert "invalid_grant" in str(lines), "the code verifier is the verifier of another sign-in"
        assert COOKIE_NAME not in http.cookies

        honest = await sign_in_at_provider(http, "ada")
        answer = await http.get("/sign-in/callback", params=honest)
        assert (answer.headers["location"], COOKIE_NAME in http.cookies) == ("/environments", True)
        assert (await http.get("/environments")).status_code == 200

        http.cookies.delete(COOKIE_NAME)
        replayed = await http.get("/sign-in/callback", params=honest)
        assert "fault=stale" in replayed.headers["location"]
        again = await sign_in_at_provider(http, "ada")
        used = await http.get("/sign-in/callback", params={**again, "code": honest["code"]})
        assert "fault=stale" in used.headers["location"]
        assert COOKIE_NAME not in http.cookies


async def test_user_without_an_organisation_is_told_which_claim_is_missing(
    provider: RunningProvider, service: EnvironmentService, journal: AuditJournal
) -> None:
    async with serve(provider, service, journal, PUBLIC_CLIENT, None) as http:
        answer = await http.get("/sign-in/callback", params=await sign_in_at_provider(http, "grace"))
        page = await http.get(answer.headers["location"])
    assert (page.status_code, "the claim preferred_username" in page.text) == (401, True)
    assert COOKIE_NAME not in http.cookies
