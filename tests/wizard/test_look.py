"""Test the design system: the contrast of colours, the size of pages, and accessibility in both colour schemes."""

import os
import re
from itertools import product
from pathlib import Path
from typing import Final, Literal

from playwright.async_api import Page, expect
from temporalio.exceptions import ApplicationError

import byok.wizard
from byok.audit.journal import AuditJournal
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from tests.api.conftest import open_api_state
from tests.api.test_server import run_server
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium
from tests.wizard.conftest import DRAFT, SETTINGS, Browser
from tests.wizard.test_health import check_page
from tests.workflows.fake_activities import S3_KEY, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until, wait_until_ended

MAX_PAGE_BYTES: Final = 60_000
STATIC: Final = Path(byok.wizard.__file__).with_name("static")
TONES: Final = ("success", "warning", "danger", "info")
GROUNDS: Final = ("ground", "surface", "sunken", "accent-soft", *(f"{tone}-ground" for tone in TONES))
READABLE: Final = (
    *product(("text", "muted", "accent", "danger"), GROUNDS),
    *((tone, f"{tone}-ground") for tone in TONES),
    *(("on-accent", one) for one in ("accent", "accent-strong")),
    *(("on-danger", one) for one in ("danger-button", "danger-button-strong")),
)
"""The pairs of text colour and background colour that the pages use."""

WINDOWS: Final[tuple[tuple[int, Literal["light", "dark"]], ...]] = (
    (360, "dark"),
    (900, "light"),
    (1440, "dark"),
    (360, "light"),
    (900, "dark"),
    (1440, "light"),
)


def read_colours() -> dict[str, dict[str, str]]:
    """Return the colours of both schemes."""
    sheets = [(STATIC / name).read_text() for name in ("tokens.css", "dark.css")]
    colours = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", sheet)) for sheet in sheets]
    return {"light": colours[0], "dark": {**colours[0], **colours[1]}}


def compute_contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, as WCAG 2.2 defines it."""

    def luminance(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colours_have_enough_contrast_in_both_schemes() -> None:
    for scheme, colours in read_colours().items():
        weak = {pair for pair in READABLE if compute_contrast(colours[pair[0]], colours[pair[1]]) < 4.5}
        assert weak == set(), scheme
        assert all(compute_contrast(colours["edge"], colours[ground]) >= 3 for ground in GROUNDS[:3]), scheme


def test_colours_occur_only_in_the_tokens() -> None:
    for name in ("layout.css", "components.css"):
        assert re.findall(r"#[0-9a-f]{3,8}\b|rgba?\(", (STATIC / name).read_text()) == []


async def test_page_weighs_at_most_60_kilobytes_with_everything_that_it_loads(
    browser: Browser, service: EnvironmentService, environment_id: str
) -> None:
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    sizes = {}
    for path in ("/new", "/new/encryption", "/new/review", "/environments", f"/environments/{environment_id}"):
        page = await browser.open_page(path, **(DRAFT if path.startswith("/new") else {}))
        assets = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
        loaded = [await browser.http.get(asset) for asset in assets]
        assert len(assets) >= 5
        sizes[path] = sum(one.num_bytes_downloaded for one in (page, *loaded))
    assert {path: size for path, size in sizes.items() if size > MAX_PAGE_BYTES} == {}


async def test_environments_are_accessible_in_both_schemes_and_three_widths(
    service: EnvironmentService, harness: WorkflowHarness, journal: AuditJournal, environment_id: str
) -> None:
    stopped, running = f"{environment_id}-stopped", f"{environment_id}-running"
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    disabled = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)
    harness.activities.script["probe_s3_key"] = [disabled]
    await service.create(build_provision_request(stopped))
    await wait_until_ended(service, stopped)
    harness.activities.script["ensure_writer"] = [ApplicationError("creating", type="rds.NotReady")] * 999
    await service.create(build_provision_request(running))
    await wait_until(service, running, lambda status: status.resources.cluster is not None)
    paths = {
        "list": "/environments",
        "list-nothing": "/environments?q=nothing-like-this",
        "ready": f"/environments/{environment_id}?done=checked",
        "delete": f"/environments/{environment_id}/deletion",
        "stopped": f"/environments/{stopped}",
        "running": f"/environments/{running}",
        "cancel": f"/environments/{running}/cancellation",
        "not-found": "/environments/nowhere",
    }
    windows = WINDOWS if os.environ.get("BYOK_TEST_PICTURES") else WINDOWS[:3]
    async with (
        open_api_state(service, None, SETTINGS, journal) as state,
        run_server(state, SETTINGS) as http,
        launch_chromium() as chromium,
    ):
        for width, scheme in windows:
            page = await chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.set_default_timeout(TIMEOUT_MS)
            for name, path in paths.items():
                await page.goto(f"{http.base_url}{path}")
                await check_page(page, f"environment-{name}-{width}-{scheme}")
            await page.close()
        page = await chromium.new_page(viewport={"width": 900, "height": 900})
        await _check_lost_connection(page, f"{http.base_url}/environments/{running}")
        # The elapsed time counts on its own.
        await expect(page.locator("[data-since]")).to_have_text(re.compile("^[1-9][0-9]* (min [0-9]+ )?s$"))
        await page.get_by_role("link", name="Cancel").click()
        await page.get_by_role("button", name="Cancel provisioning").click()
        await expect(page.locator(".toast", has_text="Cancellation requested")).to_be_visible()
        # A reload must not repeat the toast. The script changes the address after the browser has shown the toast.
        await expect(page).to_have_url(re.compile("^[^?]*$"))
        await expect(page.locator(".phase.stopped")).to_be_visible()  # the page is updated without a reload


async def _check_lost_connection(page: Page, url: str) -> None:
    page.set_default_timeout(TIMEOUT_MS)
    await page.route("**/changes", lambda route: route.abort())
    await page.goto(url)
    await expect(page.get_by_text("Connection lost. Trying again…")).to_be_visible()
    await page.unroute("**/changes")
    await expect(page.get_by_text("Connection lost. Trying again…")).to_be_hidden()


async def test_user_chooses_the_theme(service: EnvironmentService, journal: AuditJournal) -> None:
    async with (
        open_api_state(service, None, SETTINGS, journal) as state,
        run_server(state, SETTINGS) as http,
        launch_chromium() as chromium,
    ):
        page = await chromium.new_page(viewport={"width": 900, "height": 900}, color_scheme="light")
        page.set_default_timeout(TIMEOUT_MS)
        colours = read_colours()
        await page.goto(f"{http.base_url}/new")
        for theme, scheme in (("Dark", "dark"), ("Light", "light"), ("Dark", "dark"), ("System", "light")):
            await page.get_by_label("Theme").select_option(theme)
            await _check_scheme(page, colours, scheme)
            await page.reload()
            await _check_scheme(page, colours, scheme)


async def _check_scheme(page: Page, colours: dict[str, dict[str, str]], scheme: str) -> None:
    ground = colours[scheme]["ground"]
    rgb = ", ".join(str(int(ground[at : at + 2], 16)) for at in (1, 3, 5))
    await expect(page.locator("body")).to_have_css("background-color", f"rgb({rgb})")
