"""In two tabs of a real Chromium, a user deletes, cancels and retries one environment.

The second tab says what is already happening, and does not change it.
"""

import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, expect

from byok.audit.journal import AuditJournal
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from tests.api.conftest import open_api_state
from tests.api.test_server import run_server
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium
from tests.wizard.conftest import SETTINGS, Browser
from tests.wizard.test_health import check_page
from tests.workflows.fake_activities import S3_KEY, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_called, wait_until_ended

DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)


@dataclass(frozen=True)
class Tabs:
    """Tabs of one browser, for one environment."""

    context: BrowserContext
    url: str

    async def open(self, action: str = "") -> Page:
        """Open a tab with the environment's page, or with the confirmation page of an action."""
        page = await self.context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.goto(f"{self.url}{action}")
        return page


@asynccontextmanager
async def open_tabs(
    chromium: Chromium, address: str, environment_id: str, *, script: bool = True
) -> AsyncIterator[Tabs]:
    """Open a browser without tabs. The test fails if a page writes a console message or raises an error."""
    faults: list[str] = []
    context = await chromium.new_context(java_script_enabled=script)
    context.on("console", lambda one: None if "status of 409" in one.text else faults.append(one.text))
    context.on("weberror", lambda one: faults.append(str(one.error)))
    yield Tabs(context, f"{address}/environments/{environment_id}")
    await context.close()
    assert faults == []


async def confirm_deletion(page: Page, environment_id: str) -> None:
    await page.get_by_label(f"Type {environment_id} to confirm").fill(environment_id)
    await page.get_by_role("button", name="Delete environment").click()


async def expect_refusal(page: Page, title: str, *texts: str) -> None:
    """Check that a page shows a refusal, even after the page has updated itself."""
    alert = page.get_by_role("alert")
    await expect(alert.get_by_role("heading")).to_have_text(title)
    for text in texts:
        await expect(alert).to_contain_text(text)
    assert not re.search(r"`|byok\.|Error", await alert.inner_text())


async def test_second_tab_says_that_the_deletion_is_in_progress(
    harness: WorkflowHarness, service: EnvironmentService, journal: AuditJournal, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    hold = threading.Event()
    harness.activities.script["find_resources"] = [lambda: hold.wait(60)] * 99
    async with (
        open_api_state(service, None, SETTINGS, journal) as state,
        run_server(state, SETTINGS) as http,
        launch_chromium() as chromium,
        open_tabs(chromium, str(http.base_url), environment_id) as tabs,
    ):
        first, second, third, fourth = [await tabs.open("/deletion") for _ in range(4)]
        await first.get_by_label("Take a final snapshot").uncheck()
        await confirm_deletion(first, environment_id)
        await expect(first.get_by_text("Deletion started")).to_be_visible()
        await wait_until_called(harness, "find_resources")

        await confirm_deletion(second, environment_id)  # with a final snapshot
        already = (f"{environment_id} is already being deleted", "takes no final snapshot", "changed nothing")
        await expect_refusal(second, "The deletion is already in progress", *already)
        await expect(second.locator("#announcement")).to_have_text("Deleting the environment")  # the page was updated
        await expect_refusal(second, "The deletion is already in progress", *already)
        await check_page(second, "deletion-in-progress")

        await third.get_by_label(f"Type {environment_id} to confirm").fill("another")
        await third.get_by_role("button", name="Delete environment").click()
        await expect_refusal(third, "The deletion is already in progress", *already)

        hold.set()
        for page in (first, second, third):
            await expect(page.get_by_role("heading", name="Deleted")).to_be_visible()  # without a page load
            await expect(page.get_by_role("alert")).to_be_hidden()
        await confirm_deletion(fourth, environment_id)
        await expect_refusal(fourth, "The environment is already deleted", "Your request changed nothing.")

    assert harness.activities.calls.count("plan_deletion") == 1
    attempts = await service.list_attempts(await service.read_status(environment_id))
    assert [one.phase for one in attempts] == [Phase.READY, Phase.DELETED]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
async def test_second_tab_says_that_the_retry_or_the_cancellation_is_in_progress(
    harness: WorkflowHarness, service: EnvironmentService, journal: AuditJournal, environment_id: str, script: bool
) -> None:
    hold = threading.Event()
    harness.activities.script["probe_s3_key"] = [DISABLED]
    harness.activities.script["ensure_cluster"] = [lambda: hold.wait(60)] * 99
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    async with (
        open_api_state(service, None, SETTINGS, journal) as state,
        run_server(state, SETTINGS) as http,
        launch_chromium() as chromium,
        open_tabs(chromium, str(http.base_url), environment_id, script=script) as tabs,
    ):
        first, second, third, fourth = [await tabs.open() for _ in range(4)]
        await first.get_by_role("button", name="Retry").click()
        await expect(first.get_by_text("Retry started")).to_be_visible()
        resumed = await wait_until(service, environment_id, lambda one: one.phase is Phase.CREATING_CLUSTER)

        await second.get_by_role("button", name="Retry").click()
        in_progress = f"Provisioning of {environment_id} has already been resumed"
        await expect_refusal(second, "Retry was not started", in_progress)
        await expect(second.get_by_text("Creating the Aurora cluster").first).to_be_visible()
        await expect_refusal(second, "Retry was not started", in_progress)

        await first.goto(f"{tabs.url}/cancellation")
        stale = await tabs.open("/cancellation")
        await first.get_by_role("button", name="Cancel provisioning").click()
        await expect(first.locator(".toast")).to_have_text("Cancellation requested")
        if not script:  # a page with a refusal reloads itself less often, so that the user can read it
            await second.goto(tabs.url)
        await expect(second.get_by_role("heading", name="Cancellation requested")).to_be_visible()
        await expect(second.get_by_role("link", name="Cancel", exact=True)).to_be_hidden()

        await third.get_by_role("button", name="Retry").click()
        await expect_refusal(third, "Retry was not started", f"Provisioning of {environment_id} is being cancelled")

        hold.set()
        await wait_until_ended(service, environment_id)
        hold.clear()
        await fourth.get_by_role("button", name="Retry").click()
        await expect(fourth.get_by_text("Retry started")).to_be_visible()
        again = await wait_until(service, environment_id, lambda one: one.phase is Phase.CREATING_CLUSTER)
        assert again.run_id != resumed.run_id

        await stale.get_by_role("button", name="Cancel provisioning").click()
        await expect_refusal(stale, "Nothing was cancelled", "The operation that this page showed has ended.")
        assert not (await service.read_status(environment_id)).cancelling
        hold.set()
        assert (await wait_until_ended(service, environment_id)).phase is Phase.READY


async def test_deletion_page_of_an_environment_that_has_changed_asks_again(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    """A user deletes an environment and creates it again while its deletion page is open in another tab."""
    page = f"/environments/{environment_id}"
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    await browser.open_page(f"{page}/deletion")
    opened = browser.page
    await browser.submit_form(f"{page}/deletion", {"confirm": environment_id, "run": read_run(opened.text)})
    await wait_until_ended(service, environment_id)
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)

    asked = {"confirm": environment_id, "final_snapshot": "1", "run": read_run(opened.text), "reason": "too old"}
    await browser.open_page(f"{page}/deletion")
    await browser.submit_form(f"{page}/deletion", asked)

    assert browser.page.status_code == 409
    assert "has changed since you opened this page, so nothing was deleted" in browser.text
    assert 'value="too old"' in browser.page.text
    assert (await service.read_status(environment_id)).phase is Phase.READY
    await browser.submit_form(f"{page}/deletion", asked | {"run": read_run(browser.page.text)})
    assert "Deletion started" in browser.text
    await wait_until_ended(service, environment_id)


def read_run(page: str) -> str:
    """Return the run that a confirmation page shows."""
    found = re.search(r'name="run" value="([^"]+)"', page)
    assert found is not None
    return found[1]
