"""Use the wizard as a customer's key administrator does, in a real Chromium and with real processes."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION
from tests.requested_keys import keys_of
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium

SCREENSHOTS_DIR: Final = Path(os.environ.get("BYOK_TEST_PICTURES", Path(__file__).parents[2] / ".pictures"))
Visit = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """A Chromium browser that is installed on this machine."""
    async with launch_chromium() as browser:
        yield browser


@pytest_asyncio.fixture
async def visit(chromium: Browser, web: StackHarness) -> AsyncIterator[Visit]:
    """A function that opens pages. Any console message or any request to another host fails the test."""
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


async def review_and_submit_request(page: Page) -> None:
    """Go from the keys page through the review to the progress page."""
    await page.get_by_role("button", name="Next: Review").click()
    await page.get_by_label("Create this environment").check()
    await page.get_by_role("button", name="Create environment").click()
    await expect(page).to_have_url(re.compile(r"/environments/[a-z0-9-]+$"))


def deploy_template_and_get_payload(web: StackHarness, template: str, stack: str) -> str:
    """Deploy the downloaded template, and return the payload in the stack's outputs (contract 44-49)."""
    cloudformation = web.aws.customer_client("cloudformation")
    parameters = {
        "AtaccamaPlatformRoleArn": web.stack.environment["BYOK_PLATFORM_ROLE_ARN"],
        "PlatformRegion": REGION,
    }
    cloudformation.create_stack(
        StackName=stack,
        TemplateBody=template,
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
    )
    (made,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    assert made["StackStatus"] == "CREATE_COMPLETE"
    payload: str = made["Outputs"][0]["OutputValue"]
    return payload


async def test_wizard_creates_a_ready_environment_with_keys_from_the_template(visit: Visit, web: StackHarness) -> None:
    page = await visit()
    await check_page(page, "1-environment")
    await go_to_keys_step(page, "whole-way")
    await check_page(page, "2-encryption")
    async with page.expect_download() as downloading:
        await page.get_by_role("link", name="Download byok-kms-keys.yaml").click()
    download = await downloading.value
    assert download.suggested_filename == "byok-kms-keys.yaml"  # contract 24
    template = await asyncio.to_thread(Path(await download.path()).read_text)
    payload = await asyncio.to_thread(deploy_template_and_get_payload, web, template, "whole-way")

    await page.get_by_label("RDS key ARN").fill(payload)
    await expect(page.get_by_label("S3 key ARN")).to_have_value(re.compile("^arn:aws:kms:"))  # contract 50
    await expect(page.get_by_label("RDS key ARN")).to_have_value(re.compile("^arn:aws:kms:"))
    await page.get_by_role("button", name="Validate keys").click()
    await expect(page.get_by_text("Both keys are verified")).to_be_visible()
    await check_page(page, "3-validated")
    await page.get_by_role("button", name="Next: Review").click()
    await check_page(page, "4-review")
    await page.get_by_label("Create this environment").check()
    await page.get_by_role("button", name="Create environment").click()
    await expect(page.locator(".timeline li.current")).to_be_visible()
    await check_page(page, "5-progress")
    await expect(page.locator(".phase.ready")).to_be_visible()  # the page is updated without a reload
    await expect(page.get_by_role("heading", name="Encrypted with your keys")).to_be_visible()
    await expect(page.get_by_text("TenantName=whole-way")).to_be_visible()  # contract 100, 108, 131
    await check_page(page, "6-ready")
    await page.get_by_role("link", name="Environments").click()
    await check_page(page, "7-environments")


async def test_wizard_creates_a_ready_environment_with_platform_managed_keys(visit: Visit) -> None:
    page = await visit()
    await go_to_keys_step(page, "platform-keys")
    await page.get_by_label("Platform-managed").check()  # acts at once
    await expect(page.get_by_text("cannot be switched to your own keys later")).to_be_visible()  # contract 9
    await expect(page.get_by_label("S3 key ARN")).to_have_count(0)
    await check_page(page, "platform-2-encryption")
    await page.get_by_role("button", name="Next: Review").click()
    await check_page(page, "platform-3-review")
    await page.get_by_label("Create this environment").check()
    await page.get_by_role("button", name="Create environment").click()
    await expect(page.locator(".phase.ready")).to_be_visible()  # contract 14, 132
    await expect(page.get_by_role("heading", name="Encrypted with Ataccama's keys")).to_be_visible()
    await check_page(page, "platform-4-ready")


async def test_disabled_key_is_shown_and_retried_to_ready_after_the_fix(visit: Visit, web: StackHarness) -> None:
    asked = keys_of(web.build_request(environment_id="disabled-key"))
    await asyncio.to_thread(web.aws.customer_client("kms").disable_key, KeyId=asked.s3_key_arn)
    page = await visit(f"/new/encryption?name=disabled-key&region={REGION}")
    await page.get_by_label("S3 key ARN").fill(asked.s3_key_arn)
    await page.get_by_label("RDS key ARN").fill(asked.rds_key_arn)
    await page.set_viewport_size({"width": 1280, "height": 900})
    await page.get_by_role("button", name="Validate keys").click()
    await expect(page.get_by_role("heading", name="The S3 key cannot be used yet")).to_be_in_viewport()
    await expect(page.locator("#keys").get_by_text("The S3 key is disabled")).to_be_in_viewport()
    await expect(page.get_by_label("S3 key ARN")).to_be_focused()
    await check_page(page, "3-refused")
    await review_and_submit_request(page)
    await expect(page.locator(".phase.stopped")).to_be_visible()
    await expect(page.get_by_role("heading", name="The S3 key is disabled")).to_be_visible()
    await expect(page.get_by_text("s3.KMS.DisabledException").first).to_be_visible()  # contract 30
    await expect(page.get_by_text(asked.s3_key_arn).first).to_be_visible()
    await check_page(page, "8-stopped")
    await asyncio.to_thread(web.aws.customer_client("kms").enable_key, KeyId=asked.s3_key_arn)
    await page.get_by_role("button", name="Retry").click()
    await expect(page.locator(".phase.ready")).to_be_visible()


async def test_invalid_arns_are_reported_while_typing(visit: Visit) -> None:
    page = await visit(f"/new/encryption?name=typed&region={REGION}")
    await page.get_by_label("S3 key ARN").fill("arn:aws:kms:eu-central-1:444455556666:alias/mine")
    await expect(page.locator("#s3_key_arn-fault")).to_contain_text("alias")  # contract 82
    await expect(page.get_by_label("S3 key ARN")).to_have_attribute("aria-invalid", "true")
    await page.get_by_label("RDS key ARN").fill("arn:aws:kms:us-east-1:444455556666:key/" + "1" * 8)
    await expect(page.locator("#rds_key_arn-fault")).not_to_be_empty()
    await check_page(page, "9-wrong-arns")


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
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Review")
    await tab_to("confirmed")
    await page.keyboard.press("Space")
    await tab_to("Create environment")
    await page.keyboard.press("Enter")
    await expect(page.locator(".phase.ready")).to_be_visible()


async def test_wizard_works_without_javascript(visit: Visit, web: StackHarness) -> None:
    asked = keys_of(web.build_request(environment_id="no-script"))
    page = await visit(java_script_enabled=False)
    await go_to_keys_step(page, "no-script")
    assert await page.get_by_role("button", name="Copy").count() == 0, "a button that does nothing must not be shown"
    await page.get_by_role("tab", name="Key policy statements").click()
    await expect(page.locator("#panel-statements")).to_be_visible()
    await page.get_by_label("S3 key ARN").fill(
        f'{{"S3KmsKeyArn":"{asked.s3_key_arn}","RdsKmsKeyArn":"{asked.rds_key_arn}"}}'
    )
    await review_and_submit_request(page)
    await expect(page.locator(".phase.ready")).to_be_visible()  # the page reloads automatically


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_fit_a_narrow_screen(visit: Visit, web: StackHarness, scheme: str) -> None:
    asked = keys_of(web.build_request(environment_id=f"narrow-{scheme}"))
    page = await visit(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    widest = "[...document.querySelectorAll('body')].map(e => e.scrollWidth)[0]"
    await check_page(page, f"narrow-{scheme}-1")
    assert await page.evaluate(widest) <= 360
    await go_to_keys_step(page, f"narrow-{scheme}")
    await page.get_by_label("S3 key ARN").fill(asked.s3_key_arn)
    await page.get_by_label("RDS key ARN").fill(asked.rds_key_arn)
    await check_page(page, f"narrow-{scheme}-2")
    assert await page.evaluate(widest) <= 360
    await review_and_submit_request(page)
    await expect(page.locator(".phase.ready")).to_be_visible()
    await check_page(page, f"narrow-{scheme}-3")
    assert await page.evaluate(widest) <= 360
    await page.get_by_role("link", name="Environments").click()
    await expect(page.get_by_role("rowheader", name=f"narrow-{scheme}")).to_be_visible()
    await page.wait_for_load_state()  # wait for the style sheet, too
    assert await page.evaluate("document.querySelector('th[scope=row] a').offsetHeight") < 40, (
        "the name must fit on one line"
    )
    assert await page.evaluate(widest) <= 360


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
