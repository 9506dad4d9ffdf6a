"""The wizard shows the health of READY environments, and checks an environment on request (contract 139-142)."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect
from temporalio.testing import WorkflowEnvironment

from byok.audit.journal import AuditJournal
from byok.audit.record import AuditAction, AuditOutcome
from byok.domain.arns import KeyPurpose
from byok.domain.models import EnvironmentHealth, HealthState, KeyDeletion, KeyHealth, KeyUse
from byok.domain.phases import Phase
from byok.domain.problems.remediation import Remedy
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from byok.wizard.health_views import HealthView, format_age, format_time_left
from tests.api.conftest import open_api_state
from tests.api.test_server import run_server
from tests.health_activities import (
    FakeHealthActivities,
    build_health_problem,
    build_unreachable_problem,
    run_health_harness,
    wait_until_recorded_ready,
)
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium
from tests.wizard.conftest import SETTINGS, Browser, Open
from tests.wizard.test_audit import outcomes
from tests.wizard.test_visits import sign_in
from tests.workflows.fake_activities import RDS_KEY, S3_KEY, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

SCREENSHOTS_DIR: Final = os.environ.get("BYOK_TEST_PICTURES")
NOW: Final = datetime(2026, 11, 29, 14, 5, 30, tzinfo=UTC)


def build_health(state: HealthState, **changes: object) -> EnvironmentHealth:
    """Build the health of an environment that was last checked two minutes ago."""
    lost = state is HealthState.KEY_LOST
    proved_at = NOW - timedelta(minutes=2)
    values = {
        "state": state,
        "last_state": state,
        "since": NOW - timedelta(hours=3),
        "proved_at": proved_at,
        "keys": (
            KeyHealth(key=KeyPurpose.S3, key_arn=S3_KEY, use=KeyUse.PROVED),
            KeyHealth(key=KeyPurpose.RDS, key_arn=RDS_KEY, use=KeyUse.REFUSED if lost else KeyUse.IN_USE),
        ),
        "problems": (build_health_problem(),) if lost else (),
        "recoverable_until": NOW + timedelta(days=6, hours=3, minutes=10) if lost else None,
    }
    return EnvironmentHealth.model_validate(values | changes)


UNREACHABLE: Final = build_unreachable_problem()
OLD: Final = {"proved_at": NOW - timedelta(minutes=25), "since": NOW - timedelta(minutes=15)}
HEALTHS: Final = {
    "healthy": build_health(HealthState.HEALTHY),
    "first": build_health(HealthState.HEALTHY, keys=()),
    "degraded": build_health(HealthState.DEGRADED, problems=(build_health_problem(Remedy.DRIFT),)),
    "key-lost": build_health(HealthState.KEY_LOST),
    "too-late": build_health(HealthState.KEY_LOST, recoverable_until=NOW - timedelta(hours=1)),
    "to-be-deleted": build_health(
        HealthState.KEY_LOST,
        recoverable_until=None,
        deletions=tuple(
            KeyDeletion(key=key, key_arn=arn, delete_at=NOW + left, reported_at=NOW - timedelta(days=7))
            for key, arn, left in (
                (KeyPurpose.S3, S3_KEY, timedelta(days=6, hours=3)),
                (KeyPurpose.RDS, RDS_KEY, timedelta(hours=-1)),
            )
        ),
    ),
    "recovering": build_health(HealthState.RECOVERING),
    "unknown": build_health(HealthState.UNKNOWN, last_state=HealthState.HEALTHY, **OLD),
    "unreachable": build_health(
        HealthState.UNKNOWN, last_state=HealthState.KEY_LOST, unreachable=UNREACHABLE, problems=(), **OLD
    ),
}
"""An example of every health state that the page can show."""

WINDOWS: Final[tuple[tuple[int, Literal["light", "dark"]], ...]] = (
    ((1100, "light"), (360, "dark"), (1100, "dark"), (360, "light"))
    if SCREENSHOTS_DIR
    else ((1100, "light"), (360, "dark"))
)
"""The width and the colour scheme of each window in which a test opens all pages."""


@pytest_asyncio.fixture
async def harness(temporal: WorkflowEnvironment) -> AsyncIterator[WorkflowHarness]:
    """A worker with fake health checks."""
    async with run_health_harness(temporal) as (harness, _):
        yield harness


def checks_of(harness: WorkflowHarness) -> FakeHealthActivities:
    assert isinstance(harness.activities, FakeHealthActivities)
    return harness.activities


async def make_ready(service: EnvironmentService, harness: WorkflowHarness, environment_id: str) -> None:
    await service.create(build_provision_request(environment_id))
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    await wait_until_recorded_ready(harness, environment_id)


def set_health(monkeypatch: pytest.MonkeyPatch, health: EnvironmentHealth) -> None:
    """Make every status show this health, and set the clock of the environment's page to `NOW`."""
    read_status = EnvironmentService.read_status

    async def read(self: EnvironmentService, environment_id: str) -> EnvironmentStatus:
        return (await read_status(self, environment_id)).model_copy(update={"health": health})

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return NOW

    monkeypatch.setattr(EnvironmentService, "read_status", read)
    monkeypatch.setattr("byok.wizard.environment_page.datetime", Clock)


PAGES: Final = {
    "healthy": ("Healthy", "Last verified 2 minutes ago", "S3 key Verified.", "Aurora key In use."),  # contract 139
    "first": ("Healthy", "Both keys were verified when the environment was created"),
    "degraded": ("Degraded", "Both keys work, but", "What to do"),
    # contract 142
    "key-lost": ("Key lost", "Aurora key Cannot be used.", "Aurora key: 6 days 3 hours", "aws kms enable-key"),
    "too-late": ("Key lost", "The time to restore the Aurora key has passed"),
    "to-be-deleted": (
        "Time left to cancel the deletion of the S3 key: 6 days 3 hours",
        "Reported by CloudTrail in your AWS account",
        "The deletion date of the Aurora key has passed",
    ),
    "recovering": ("Recovering", "RDS is starting the cluster. You do not need to do anything"),
    "unknown": ("Unknown", "Health at the last verification: Healthy", "regular checks have not run"),
    # contract 140
    "unreachable": (
        "Unknown",
        "Health at the last verification: Key lost",
        "Your keys are not the cause",
        "Could not connect",
    ),
}


@pytest.mark.parametrize("name", HEALTHS)
async def test_page_shows_the_health_in_plain_words(
    browser: Browser,
    service: EnvironmentService,
    harness: WorkflowHarness,
    environment_id: str,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    await make_ready(service, harness, environment_id)
    set_health(monkeypatch, HEALTHS[name])

    await browser.open_page(f"/environments/{environment_id}")

    assert [text for text in PAGES[name] if text not in browser.text] == []
    assert "byok verify" not in browser.text
    assert "byok replay" not in browser.text


async def test_unknown_is_never_shown_as_healthy(
    browser: Browser,
    service: EnvironmentService,
    harness: WorkflowHarness,
    environment_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make_ready(service, harness, environment_id)
    monkeypatch.setattr("byok.domain.models.health.MAX_PROOF_AGE", timedelta(days=-1))

    await browser.open_page(f"/environments/{environment_id}")
    assert '<span class="badge health">Unknown</span>' in browser.page.text  # contract 139
    assert "badge--success health" not in browser.page.text
    async with asyncio.timeout(20):  # visibility is eventually consistent
        while environment_id not in (await browser.open_page("/environments", health="UNKNOWN")).text:
            pass


async def test_check_now_works_without_javascript_and_returns_to_the_page(
    browser: Browser,
    service: EnvironmentService,
    harness: WorkflowHarness,
    environment_id: str,
    journal: AuditJournal,
) -> None:
    await make_ready(service, harness, environment_id)
    await browser.open_page(f"/environments/{environment_id}")
    assert "Check now" in browser.text
    checks_of(harness).state = HealthState.KEY_LOST

    await browser.submit_form(f"/environments/{environment_id}/verification", {})

    assert (browser.page.status_code, browser.page.url.path) == (200, f"/environments/{environment_id}")
    assert '<span class="badge badge--danger health">Key lost</span>' in browser.page.text  # contract 139
    assert outcomes(journal) == [(AuditAction.VERIFY_ENVIRONMENT, AuditOutcome.ACCEPTED, None)]  # contract 147


async def test_check_without_an_answer_says_why(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(service, harness, environment_id)
    await browser.open_page(f"/environments/{environment_id}")
    checks_of(harness).unreachable = UNREACHABLE

    await browser.submit_form(f"/environments/{environment_id}/verification", {})

    assert "AWS did not respond to this check" in browser.text
    assert "Your keys are not the cause" in browser.text  # contract 140
    await browser.open_page(f"/environments/{environment_id}/verification")
    assert browser.page.url.path == f"/environments/{environment_id}"


async def test_check_of_a_stopped_environment_says_why_it_was_not_made(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(service, harness, environment_id)
    await browser.open_page(f"/environments/{environment_id}")
    await service.delete(await service.build_delete_request(environment_id))
    await wait_until_ended(service, environment_id)

    await browser.submit_form(f"/environments/{environment_id}/verification", {})

    assert browser.page.status_code == 409
    assert "The check was not completed" in browser.text
    assert "Only a READY environment has a health" in browser.text


async def test_check_needs_the_write_scope_and_the_form_of_the_session(
    visit: Open, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    name = f"acme-{environment_id}"
    harness.activities.accounts = {S3_KEY.split(":")[4]: "acme"}
    await service.create(build_provision_request(name, organisation="acme"))
    await wait_until_ended(service, name)
    reader = await sign_in(visit, "acme", "environments:read")
    await reader.open_page(f"/environments/{name}")
    assert "Last verified" in reader.text
    assert "Check now" not in reader.text
    await reader.submit_form(f"/environments/{name}/verification", {})
    assert reader.page.status_code == 403
    writer = await sign_in(visit)

    await writer.submit_form(f"/environments/{name}/verification", {}, form_token="of another session")

    assert writer.page.status_code == 403
    assert "verify_environment" not in harness.activities.calls


async def test_list_shows_the_health_first_and_filters_by_it(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await make_ready(service, harness, environment_id)

    async with asyncio.timeout(20):  # visibility is eventually consistent
        while environment_id not in (await browser.open_page("/environments", health="HEALTHY")).text:
            pass
    assert f"Healthy {environment_id} Ready" in browser.text
    await browser.open_page("/environments", health="KEY_LOST")
    assert environment_id not in browser.text
    await browser.open_page("/environments", health="FINE")
    assert browser.page.status_code == 404


@pytest.mark.parametrize(
    ("age", "text"),
    [
        (timedelta(seconds=-5), "less than a minute ago"),
        (timedelta(seconds=59), "less than a minute ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=119), "1 hour ago"),
        (timedelta(days=2, hours=5), "2 days ago"),
    ],
)
def test_age_is_shown_in_its_largest_unit(age: timedelta, text: str) -> None:
    assert format_age(age) == text


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(), None),
        (timedelta(seconds=-1), None),
        (timedelta(seconds=1), "less than a minute"),
        (timedelta(minutes=59, seconds=59), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=5, minutes=12), "5 hours 12 minutes"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=6, hours=23, minutes=59), "6 days 23 hours"),
    ],
)
def test_time_left_is_shown_in_its_two_largest_units(left: timedelta, text: str | None) -> None:
    assert format_time_left(left) == text


def test_every_state_and_every_use_has_words() -> None:
    for state in HealthState:
        for use in KeyUse:
            key = KeyHealth(key=KeyPurpose.S3, key_arn=S3_KEY, use=use)
            view = HealthView.from_health(build_health(state, keys=(key,)), NOW)
            assert view.label.name
            assert view.explanation
            assert view.keys[0].explanation


async def check_page(page: Page, name: str) -> None:
    """Save a screenshot, check the accessibility, and check that the page is not wider than the window."""
    if SCREENSHOTS_DIR:
        await page.screenshot(path=Path(SCREENSHOTS_DIR) / f"{name}.png", full_page=True)
    found = await Axe().run(page)
    assert found.response["passes"], "axe must have checked something"
    assert found.violations_count == 0, found.generate_report()
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), name


async def test_health_is_accessible_and_fits_a_narrow_screen(
    service: EnvironmentService,
    harness: WorkflowHarness,
    journal: AuditJournal,
    environment_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await make_ready(service, harness, environment_id)
    async with (
        open_api_state(service, None, SETTINGS, journal) as state,
        run_server(state, SETTINGS) as http,
        launch_chromium() as chromium,
    ):
        for width, scheme in WINDOWS:
            page = await chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.set_default_timeout(TIMEOUT_MS)
            for name, health in HEALTHS.items():
                with monkeypatch.context() as patch:
                    set_health(patch, health)
                    await page.goto(f"{http.base_url}/environments/{environment_id}")
                    await check_page(page, f"health-{name}-{width}-{scheme}")
            await page.goto(f"{http.base_url}/environments")
            await check_page(page, f"health-list-{width}-{scheme}")
            await page.close()


async def test_open_page_does_not_keep_showing_an_old_health(
    service: EnvironmentService, harness: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    await make_ready(service, harness, environment_id)
    async with (
        open_api_state(service, None, SETTINGS, journal) as state,
        run_server(state, SETTINGS) as http,
        launch_chromium() as chromium,
    ):
        page = await chromium.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        await page.clock.install()
        await page.goto(f"{http.base_url}/environments/{environment_id}")
        await expect(page.locator("#health .health")).to_have_text("Healthy")
        checks_of(harness).state = HealthState.KEY_LOST
        await http.post(f"/v1/environments/{environment_id}/verification")

        await page.clock.fast_forward("01:00")

        await expect(page.locator("#health .health")).to_have_text("Key lost")  # contract 139
        await page.get_by_role("button", name="Check now").click()
        await expect(page.locator("#health .health")).to_have_text("Key lost")
