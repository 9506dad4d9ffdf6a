"""Tests in Chromium: using the wizard with the keyboard only, returning to a draft, and pages outside the journeys."""

import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION
from tests.requested_keys import keys_of
from tests.wizard.chromium import TIMEOUT_MS

SCREENSHOTS_DIR: Final = Path(os.environ.get("BYOK_TEST_PICTURES", Path(__file__).parents[2] / ".pictures"))
Visit = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture
async def visit(chromium: Browser, web: StackHarness) -> AsyncIterator[Visit]:
    """A function that opens pages.

    The test fails if a page writes a console message or sends a request to another host.
    """
    faults: list[str] = []
    async with AsyncExitStack() as stack:

        async def make(path: str = "/new", **options: Any) -> Page:
            context = await chromium.new_context(**{"viewport": {"width": 1100, "height": 900}, **options})
            stack.push_async_callback(context.close)
            page = await context.new_page()
            page.set_default_timeout(TIMEOUT_MS)
            # One test requests a page that does not exist, so the browser logs a 404 status.
            page.on("console", lambda one: None if "status of 404" in one.text else faults.append(one.text))
            page.on("pageerror", lambda error: faults.append(str(error)))
            ours = web.stack.web_url
            page.on("request", lambda one: None if one.url.startswith(ours) else faults.append(f"requested {one.url}"))
            await page.goto(f"{ours}{path}")
            return page

        yield make
    assert faults == []


async def check_page(page: Page, name: str) -> None:
    """Save a screenshot of the page, and check the page's accessibility."""
    SCREENSHOTS_DIR.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS_DIR / f"{name}.png", full_page=True)
    found = await Axe().run(page)
    assert found.response["passes"], "axe must have checked something"
    assert found.violations_count == 0, found.generate_report()


async def go_to_keys_step(page: Page, name: str) -> None:
    """Fill in the wizard's first page, and go to its second page."""
    await page.get_by_label("Environment name").fill(name)
    await page.get_by_label("AWS Region").select_option(REGION)
    await page.get_by_role("button", name="Next: Encryption at rest").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Encryption at rest")


async def test_leaving_and_returning_loses_nothing(visit: Visit) -> None:
    first = await visit()
    await go_to_keys_step(first, "left-alone")
    await first.get_by_role("tab", name="Key policy statements").click()
    await first.get_by_label("S3 key ARN").fill("arn:aws:kms:eu-central-1:444455556666:key/mine")
    await expect(first).to_have_url(re.compile("key%2Fmine"))
    address = first.url.partition("localhost")[2] or first.url
    await first.context.close()

    again = await visit("/" + address.split("/", 3)[3])  # contract 20: a new browser context shows the same

    await expect(again.get_by_label("S3 key ARN")).to_have_value("arn:aws:kms:eu-central-1:444455556666:key/mine")
    await expect(again.get_by_role("tab", name="Key policy statements")).to_have_attribute("aria-selected", "true")
    await again.get_by_role("link", name="Back").click()
    await expect(again.get_by_label("Environment name")).to_have_value("left-alone")


async def test_wizard_is_usable_by_keyboard_alone(visit: Visit, web: StackHarness) -> None:
    asked = keys_of(web.build_request(environment_id="by-keyboard"))
    page = await visit()

    async def tab_to(what: str) -> None:
        for _ in range(60):
            await page.keyboard.press("Tab")
            here = "(e => [e.id, e.name, e.value, e.textContent].join(' '))(document.activeElement)"
            if what in await page.evaluate(here):
                return
        raise AssertionError(f"{what} cannot be reached by keyboard")

    await tab_to("Skip to content")
    await page.keyboard.press("Enter")
    await tab_to("name")
    await page.keyboard.type("by-keyboard")
    await tab_to("region")
    while await page.evaluate("document.activeElement.value") != REGION:
        await page.keyboard.press("ArrowDown")
    await tab_to("Next: Encryption at rest")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Encryption at rest")
    await expect(page.locator("#tab-statements")).to_have_attribute("tabindex", "-1")  # only arrow keys reach this tab
    await tab_to("tab-template")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#panel-statements")).to_be_visible()
    await tab_to("s3_key_arn")
    await page.keyboard.type(asked.s3_key_arn)
    await tab_to("rds_key_arn")
    await page.keyboard.type(asked.rds_key_arn)
    await page.keyboard.press("Enter")  # validates the keys
    await expect(page.get_by_role("heading", name="Both keys are verified")).to_be_visible()
    await page.locator("#rds_key_arn").focus()
    await page.keyboard.press("Enter")  # the keys are verified: continues
    await expect(page.get_by_role("heading", level=1)).to_have_text("Review")
    await tab_to("confirmed")
    await page.keyboard.press("Space")
    await tab_to("Create environment")
    await page.keyboard.press("Enter")
    await expect(page.locator(".phase.ready")).to_be_visible()


async def test_all_other_pages_are_accessible(visit: Visit) -> None:
    step = f"/new/encryption?name=other&region={REGION}"
    page = await visit("/sign-in")
    await check_page(page, "other-sign-in")
    for name, path in (
        ("not-there", "/nowhere"),
        ("statements", f"{step}&tab=statements"),
        ("platform-managed", f"{step}&encryption=platform-managed"),
        ("first-page-wrong", "/new?name=Not+Legal&region=nowhere&next=1"),
        ("region-of-another-partition", "/new/encryption?name=other&region=cn-north-1"),
    ):
        await page.goto(_address(page, path))
        await check_page(page, f"other-{name}")
    await page.goto(_address(page, step))
    await page.get_by_text("Find out what is wrong with a key").click()
    await page.get_by_label("Key policy", exact=True).fill(json.dumps(build_default_policy(CUSTOMER_ACCOUNT, REGION)))
    await page.get_by_role("button", name="Check policy").click()
    await expect(page.get_by_text("The platform cannot use the S3 key")).to_be_visible()
    await check_page(page, "other-policy")


def _address(page: Page, path: str) -> str:
    """Return the URL of a page on the same server."""
    scheme, host = page.url.split("/")[0], page.url.split("/")[2]
    return f"{scheme}//{host}{path}"
