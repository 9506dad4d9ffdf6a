"""With JavaScript in a real Chromium, the steps show progress, apply choices immediately and keep the user's input."""

import contextlib
import os
import re
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urljoin

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, Route, expect

from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.service.environments import EnvironmentService
from tests.api.conftest import open_api_state
from tests.api.test_access import TOKEN, build_static_auth
from tests.api.test_server import run_server
from tests.localaws.server import REGION
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium
from tests.wizard.conftest import DRAFT
from tests.wizard.test_visits import ALL
from tests.workflows.fake_activities import RDS_KEY, S3_KEY
from tests.workflows.temporal_env import WorkflowHarness


async def check_page(page: Page, name: str) -> None:
    """Check the page's accessibility, and save a screenshot if `BYOK_TEST_PICTURES` is set."""
    folder = os.environ.get("BYOK_TEST_PICTURES")
    if folder:
        await page.screenshot(path=Path(folder) / f"script-{name}.png", full_page=True)
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


@contextlib.asynccontextmanager
async def open_signed_in(service: EnvironmentService, journal: AuditJournal, path: str) -> AsyncIterator[Page]:
    """Run a server, sign in as a user of the organisation acme, and yield the page at a path, with JavaScript."""
    access = build_static_auth("acme", *ALL)
    settings = ApiSettings(requests_per_minute=100_000, tokens=access.tokens)
    async with (
        open_api_state(service, access, settings, journal) as state,
        run_server(state, settings) as http,
        launch_chromium() as chromium,
    ):
        page = await (await chromium.new_context(viewport={"width": 1280, "height": 900})).new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(f"{http.base_url}{path}")
        await page.get_by_label("Access token").fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        yield page


async def test_nothing_typed_is_lost_and_each_answer_comes_without_a_page_load(
    harness: WorkflowHarness, service: EnvironmentService, journal: AuditJournal
) -> None:
    rds_key, release = f"{RDS_KEY[:-12]}{uuid.uuid4().hex[:12]}", threading.Event()  # no other test proves this key
    harness.activities.accounts = {rds_key.split(":")[4]: "acme"}
    harness.activities.joins_proofs = True
    harness.activities.script["ensure_proof_cluster"] = [lambda: release.wait(TIMEOUT_MS / 1000)]
    async with open_signed_in(service, journal, "/new") as page:
        context = page.context
        await page.get_by_role("button", name="Next: Encryption at rest").click()
        await expect(page.locator("#name-fault")).to_contain_text(
            "Enter a name"
        )  # on the page, not in the browser's own bubble
        await expect(page.get_by_label("Environment name")).to_be_focused()
        await page.get_by_label("Environment name").fill(DRAFT["name"])
        await expect(page.locator("#name-fault")).to_be_empty()
        await page.reload()
        await expect(page.get_by_label("Environment name")).to_have_value(DRAFT["name"])  # typed, not submitted
        await page.get_by_label("AWS Region").select_option(REGION)
        await page.evaluate("window.sameDocument = true")
        await page.get_by_role("button", name="Next: Encryption at rest").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Encryption at rest")

        await page.get_by_label("Platform-managed").check()  # acts at once
        await expect(page.get_by_text("cannot be switched to your own keys later")).to_be_visible()
        await page.get_by_label("Customer-managed").check()
        await page.get_by_label("S3 key ARN").fill(S3_KEY)
        await page.get_by_label("RDS key ARN").fill(rds_key)
        await expect(page.locator("#panel-template")).to_be_hidden()  # the onboarding kit is no longer needed

        await page.get_by_role("button", name="Validate keys").click()
        await expect(page.get_by_text("Validating your keys…")).to_be_in_viewport()
        await expect(page.locator("#s3_key_arn-state")).to_contain_text("verified")
        await expect(page.locator("#rds_key_arn-state")).to_contain_text("s so far, usually a few minutes.")
        await check_page(page, "validating")
        await page.get_by_role("button", name="Next: Review").click()
        await expect(page.get_by_text("Your keys are still being validated")).to_be_visible()
        release.set()
        await expect(page.get_by_text("verified at")).to_have_count(2)  # the review updates itself
        await expect(page.get_by_text("Your keys are still being validated")).to_be_hidden()
        await page.go_back()
        await expect(page.get_by_text("Both keys are verified")).to_be_visible()
        assert await page.evaluate("window.sameDocument"), "no page was loaded"
        await check_page(page, "verified")
        await page.reload()
        await expect(page.get_by_text("Both keys are verified")).to_be_visible()

        await page.get_by_role("button", name="Next: Review").click()
        await expect(page.get_by_text("verified at")).to_have_count(2)
        await page.get_by_role("button", name="Create environment").click()
        await expect(page.locator("#confirmed-fault")).to_be_visible()
        await expect(page.get_by_role("checkbox")).to_be_focused()
        await check_page(page, "review")
        await page.go_back()
        await expect(page.get_by_label("S3 key ARN")).to_have_value(S3_KEY)
        await page.go_back()
        await expect(page.get_by_label("Environment name")).to_have_value(DRAFT["name"])
        await page.go_forward()
        await expect(page.get_by_label("S3 key ARN")).to_have_value(S3_KEY)

        await page.get_by_text("Find out what is wrong with a key").click()
        await page.get_by_label("Key policy", exact=True).fill("a long policy")
        await page.get_by_role("button", name="Check policy").click()
        await expect(page.locator("#policy-report h4")).to_be_in_viewport()
        await context.clear_cookies(name="byok_session")
        await page.get_by_role("button", name="Check policy").click()
        await page.get_by_label("Access token").fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_label("Key policy", exact=True)).to_have_value("a long policy")
        await expect(page.get_by_label("S3 key ARN")).to_have_value(S3_KEY)

        await page.goto(urljoin(page.url, "/new"))
        await expect(page.get_by_role("heading", name="Continue where you left off")).to_be_visible()
        await check_page(page, "drafts")
        await page.get_by_role("link", name=DRAFT["name"], exact=True).click()
        await expect(page.get_by_label("RDS key ARN")).to_have_value(rds_key)

        await page.get_by_role("button", name="Next: Review").click()
        await page.get_by_role("checkbox").check()
        posts: list[str] = []

        async def hold(route: Route) -> None:
            posts.append(route.request.url)
            await expect(page.get_by_role("button", name="Creating…")).to_be_disabled()
            await page.get_by_role("button", name="Creating…").dispatch_event("click")
            await route.continue_()

        await page.route("**/new/review", hold)
        await page.get_by_role("button", name="Create environment").click()
        await page.wait_for_url(re.compile("/environments/"))
        assert len(posts) == 1, "a second click must not create the environment again"


async def test_lost_connection_and_ended_session_are_shown_while_the_keys_are_validated(
    harness: WorkflowHarness, service: EnvironmentService, journal: AuditJournal
) -> None:
    rds_key, release = f"{RDS_KEY[:-12]}{uuid.uuid4().hex[:12]}", threading.Event()  # no other test proves this key
    harness.activities.accounts = {rds_key.split(":")[4]: "acme"}
    harness.activities.joins_proofs = True
    harness.activities.script["ensure_proof_cluster"] = [lambda: release.wait(TIMEOUT_MS / 1000)]
    async with open_signed_in(service, journal, f"/new/encryption?name={DRAFT['name']}&region={REGION}") as page:
        context = page.context
        await page.get_by_label("S3 key ARN").fill(S3_KEY)
        await page.get_by_label("RDS key ARN").fill(rds_key)
        await page.get_by_role("button", name="Validate keys").click()
        await expect(page.get_by_text("Validating your keys…").first).to_be_visible()
        await context.set_offline(True)
        await expect(page.get_by_text("Connection lost. Trying again…")).to_be_visible()
        await context.set_offline(False)
        await expect(page.get_by_text("Connection lost. Trying again…")).to_be_hidden()
        await context.clear_cookies(name="byok_session")
        await expect(page.get_by_text("Your session has ended")).to_be_visible()  # the page stays
        await expect(page.get_by_label("S3 key ARN")).to_have_value(S3_KEY)
        release.set()
