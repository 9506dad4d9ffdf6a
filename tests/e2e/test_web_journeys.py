"""Users get from the first page to READY at every window size, with and without JavaScript.

In each journey, the wizard keeps everything that the user has typed, every response is visible without scrolling, axe
finds no violations, and no page scrolls sideways. `make browser-matrix` runs every journey in every setting. All other
test runs cover only a sample of these combinations.
"""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from byok.api.authentication import AllowAllAuth
from byok.domain.scopes import Scope
from tests.api.test_access import TOKEN, build_static_auth
from tests.e2e.conftest import StackHarness
from tests.e2e.journeys import with_interruptions, with_keys
from tests.e2e.journeys.server import run_web_server
from tests.e2e.journeys.settings import SETTINGS, Setting
from tests.e2e.journeys.visitor import Visitor
from tests.wizard.chromium import TIMEOUT_MS

RUN_ALL: Final = os.environ.get("BYOK_TEST_BROWSER_MATRIX") == "full"
Journey = Callable[[Visitor], Awaitable[None]]
JOURNEYS: Final[tuple[Journey, ...]] = (
    with_keys.cloudformation_keys,
    with_keys.console_keys,
    with_keys.exchanged_arns,
    with_keys.exchanged_arns_without_validation,
    with_keys.disabled_s3_key,
    with_keys.disabled_aurora_key,
    with_keys.wrong_policy,
    with_keys.wrong_entries,
    with_keys.platform_managed_keys,
    with_interruptions.ended_session,
    with_interruptions.two_tabs,
    with_interruptions.back_button,
    with_interruptions.reload_in_mid_provisioning,
)
STRIDE: Final = 5  # coprime to the number of settings, so that the sample contains every setting


def list_cases() -> list[tuple[Journey, Setting]]:
    """Return every journey in every setting, or a sample with each journey once and each setting at least once."""
    if RUN_ALL:
        return [(journey, setting) for journey in JOURNEYS for setting in SETTINGS]
    return [(journey, SETTINGS[number * STRIDE % len(SETTINGS)]) for number, journey in enumerate(JOURNEYS)]


def name_case(value: Journey | Setting) -> str:
    return str(value) if isinstance(value, Setting) else value.__name__


@pytest_asyncio.fixture(scope="session")
async def addresses(web: StackHarness, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """The URLs of two web servers of the same stack: one without sign-in, and one that requires sign-in."""
    data = tmp_path_factory.mktemp("journeys")
    async with (
        run_web_server(web, AllowAllAuth(), data / "open") as without_sign_in,
        run_web_server(web, build_static_auth("*", *Scope), data / "with-sign-in") as with_sign_in,
    ):
        yield {"": without_sign_in, TOKEN: with_sign_in}


@pytest.mark.parametrize(("journey", "setting"), list_cases(), ids=name_case)
async def test_user_gets_from_the_first_page_to_ready(
    journey: Journey, setting: Setting, chromium: Browser, web: StackHarness, addresses: dict[str, str]
) -> None:
    faults: list[str] = []
    token = TOKEN if journey is with_interruptions.ended_session else ""
    address = addresses[token]
    context = await chromium.new_context(**setting.browser_options)
    # Whenever the server rejects a form, the browser logs the HTTP status.
    context.on("console", lambda one: None if "status of 4" in one.text else faults.append(one.text))
    context.on("weberror", lambda one: faults.append(str(one.error)))
    context.on("request", lambda one: None if one.url.startswith(address) else faults.append(f"requested {one.url}"))
    page = await context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    name = journey.__name__.replace("_", " ")
    try:
        await journey(Visitor(page, web, address, setting, name, token))
    finally:
        await context.close()
    assert faults == []
