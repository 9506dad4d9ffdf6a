"""`byok web` serves the site under /docs, and the site works in a real browser with a strict security policy."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from byok.docs_site import CONTENT_SECURITY_POLICY, make_docs_app
from tests.docs.conftest import Site
from tests.wizard.chromium import launch_chromium


@asynccontextmanager
async def serve(folder: Path) -> AsyncIterator[str]:
    """Serve a site on a free port, and yield the server's address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from now on, a connection waits until the server accepts it
        server = uvicorn.Server(uvicorn.Config(make_docs_app(folder), log_config=None))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await task


def connect(folder: Path) -> httpx.AsyncClient:
    """Return a client for an application that serves a site."""
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(make_docs_app(folder)), base_url="http://docs.test", follow_redirects=True
    )


@pytest.mark.parametrize(
    ("path", "heading"),
    [
        ("/docs", "Documents"),
        ("/docs/problems/s3.KMS.DisabledException", "s3.KMS.DisabledException"),
        ("/docs/problems/rds.SomethingNew", "Problem codes"),
    ],
)
async def test_pages_have_short_addresses_and_security_headers(site: Site, path: str, heading: str) -> None:
    async with connect(site.folder) as http:
        answer = await http.get(path)
    assert answer.status_code == 200
    assert re.search(rf"<h1[^>]*>{re.escape(heading)}<", answer.text)
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY


async def test_unknown_page_and_unknown_method_are_refused(site: Site) -> None:
    async with connect(site.folder) as http:
        assert (await http.get("/docs/nowhere")).status_code == 404
        assert (await http.get("/docs/../web.py")).status_code == 404
        assert (await http.post("/docs/")).status_code == 405


@pytest.mark.parametrize("path", ["/docs", "/docs/problems/byok.NoWorker"])
async def test_checkout_without_a_site_says_how_to_build_it(tmp_path: Path, path: str) -> None:
    async with connect(tmp_path) as http:
        answer = await http.get(path)
    assert answer.status_code == 404
    assert "make docs" in answer.text


async def test_site_works_in_a_browser_under_its_security_policy(site: Site) -> None:
    async with serve(site.folder) as address, launch_chromium() as browser:
        page = await browser.new_page(color_scheme="dark")
        complaints: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))

        await page.goto(f"{address}/docs/problems/s3.KMS.DisabledException")
        await expect(page.locator("h1")).to_contain_text("s3.KMS.DisabledException")
        found = await Axe().run(page)
        assert found.violations_count == 0, found.generate_report()
        await page.keyboard.press("Control+k")
        await page.keyboard.type("key was disabled")
        await expect(page.get_by_role("option", name="A key was disabled").first).to_be_visible()

        assert complaints == []
        assert [url for url in requests if not url.startswith((address, "data:"))] == []

        for width in (360, 900):
            await page.set_viewport_size({"width": width, "height": 800})
            for path in ("", "problems/", "reference/settings/", "tutorial/"):
                await page.goto(f"{address}/docs/{path}")
                assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
