"""The Chromium browser that is installed on this machine, for tests that examine pages in a browser."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.wizard import browsers

TIMEOUT_MS: Final = 30_000
CHROMIUM_OPTIONS: Final = (
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
)
expect.set_options(timeout=TIMEOUT_MS)


@asynccontextmanager
async def launch_chromium() -> AsyncIterator[Browser]:
    """Launch the browser.

    If no browser is installed, skip the test; in CI, fail the test.
    """
    path = browsers.find_browser()
    if path is None:
        words = "no Chromium or Chrome on this machine; `make test` installs one if it can"
        assert not os.environ.get("CI"), words
        pytest.skip(words)
    sandbox = () if os.geteuid() else ("--no-sandbox",)  # Chromium's sandbox does not work for root
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_OPTIONS, *sandbox])
        yield browser
        await browser.close()
