"""Simulates a user of the wizard, and checks what the user sees on each page.

The methods select elements by role and label. A method that waits for a response also checks that the response is
visible, because a user does not scroll to look for it.
"""

import asyncio
import json
import os
import re
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from axe_playwright_python.async_playwright import Axe
from axe_playwright_python.base import AxeResults
from playwright.async_api import Locator, Page, expect

from byok.domain.arns import KeyPurpose
from tests.e2e.conftest import StackHarness
from tests.e2e.journeys.settings import Setting
from tests.key_faults import create_valid_key
from tests.localaws.server import REGION
from tests.wizard.chromium import TIMEOUT_MS

PICTURES: Final = os.environ.get("BYOK_TEST_PICTURES")
PROVED: Final = "Both keys are verified"
_FIELDS: Final = {KeyPurpose.S3: "S3 key ARN", KeyPurpose.RDS: "RDS key ARN"}
_OVERFLOW: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Visitor:
    """A user in one tab of a browser.

    Attributes:
        page: The tab.
        web: The stack that serves the wizard.
        address: The URL of the wizard's server.
        setting: The window and the browser.
        journey: The name of the journey, which is part of the screenshots' file names.
        token: The access token with which the user signs in, or "" if the server requires no sign-in.
        name: The name of the environment that the user creates.
        keys: The ARNs of the keys that the user has created, by purpose.
    """

    page: Page
    web: StackHarness
    address: str
    setting: Setting
    journey: str
    token: str = ""
    name: str = field(default_factory=lambda: f"journey-{uuid.uuid4().hex[:8]}")
    keys: dict[KeyPurpose, str] = field(default_factory=dict)
    _stops: list[str] = field(default_factory=list)

    async def open_tab(self) -> "Visitor":
        """Open another tab in the same browser, for another environment."""
        page = await self.page.context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        return replace(self, page=page, name=f"{self.name}-2", keys={})

    # Checks

    async def stop_at(self, what: str) -> None:
        """Check that the page is accessible and does not scroll sideways. If `PICTURES` is set, save a screenshot."""
        self._stops.append(what)
        if PICTURES:
            folder = Path(PICTURES) / self.journey.replace(" ", "-")
            folder.mkdir(parents=True, exist_ok=True)
            file = f"{self.setting}-{len(self._stops):02}-{what.replace(' ', '-')}.png"
            await self.page.screenshot(path=folder / file)
        assert await self.page.evaluate(_OVERFLOW) <= 0, f"{what}: the page scrolls sideways"
        found = await (Axe().run(self.page) if self.setting.script else self._run_axe_on_a_copy())
        assert found.violations_count == 0, f"{what}: {found.generate_report()}"

    async def _run_axe_on_a_copy(self) -> AxeResults:
        """Run axe on a copy of the page.

        axe needs timers, which do not run in a browser with JavaScript turned off, so the copy is opened with
        JavaScript turned on.
        """
        browser = self.page.context.browser
        assert browser
        html = re.sub(r"<script[^>]*></script>", "", await self.page.content())
        copy = await browser.new_page(**self.setting.browser_options | {"java_script_enabled": True})
        try:
            await copy.route(self.page.url, lambda route: route.fulfill(body=html, content_type="text/html"))
            await copy.goto(self.page.url)
            return await Axe().run(copy)
        finally:
            await copy.close()

    async def see(self, answer: str | Locator) -> None:
        """Wait for an element or text, and check that it is entirely visible without scrolling."""
        if isinstance(answer, str):  # the announcement for screen readers has the same words, but is not visible
            shown = self.page.get_by_text(answer).and_(self.page.locator(":not(#announcement)")).first
        else:
            shown = answer
        await expect(shown).to_be_visible()
        await expect(shown).to_be_in_viewport(ratio=0.99, timeout=3_000)

    async def see_heading(self, text: str) -> None:
        """Wait for a heading, and check that it is entirely visible without scrolling."""
        await self.see(self.page.get_by_role("heading", name=text, exact=True))

    async def expect_keys(self, keys: dict[KeyPurpose, str] | None = None) -> None:
        """Check that both fields contain the ARNs that the user has entered."""
        for which, arn in (keys or self.keys).items():
            await expect(self.key_field(which)).to_have_value(arn)

    async def open_examination(self) -> None:
        """Open the part of the keys step that examines a key policy."""
        await self.page.locator("summary", has_text="Find out what is wrong with a key").click()

    async def expect_step(self, title: str) -> None:
        """Wait for a step of the wizard."""
        await expect(self.page.get_by_role("heading", level=1)).to_have_text(title)

    # The user's AWS account

    async def create_keys(self) -> None:
        """Create two valid keys."""
        self.keys = {which: await asyncio.to_thread(create_valid_key, self.web.aws, which) for which in KeyPurpose}

    async def set_enabled(self, which: KeyPurpose, *, enabled: bool) -> None:
        """Enable or disable a key."""
        kms = self.web.aws.customer_client("kms")
        await asyncio.to_thread(kms.enable_key if enabled else kms.disable_key, KeyId=self.keys[which])

    async def deploy_template(self) -> str:
        """Download the template, create a stack with it, and return the onboarding payload in the stack's outputs."""
        async with self.page.expect_download() as downloading:
            await self.page.get_by_role("link", name="Download byok-kms-keys.yaml").click()
        download = await downloading.value
        assert download.suggested_filename == "byok-kms-keys.yaml"  # contract 24
        template = await asyncio.to_thread(Path(await download.path()).read_text)
        payload = await asyncio.to_thread(self._create_stack, template)
        arns = json.loads(payload)
        self.keys = {KeyPurpose.S3: arns["S3KmsKeyArn"], KeyPurpose.RDS: arns["RdsKmsKeyArn"]}
        return payload

    def _create_stack(self, template: str) -> str:
        """Create the stack, and return its payload (contract 44-49)."""
        cloudformation = self.web.aws.customer_client("cloudformation")
        parameters = {
            "AtaccamaPlatformRoleArn": self.web.stack.environment["BYOK_PLATFORM_ROLE_ARN"],
            "PlatformRegion": REGION,
        }
        cloudformation.create_stack(
            StackName=self.name,
            TemplateBody=template,
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        (made,) = cloudformation.describe_stacks(StackName=self.name)["Stacks"]
        assert made["StackStatus"] == "CREATE_COMPLETE"
        payload: str = made["Outputs"][0]["OutputValue"]
        return payload

    # The steps

    async def start(self) -> None:
        """Open the wizard's first step, and sign in if the server asks for it."""
        await self.page.goto(f"{self.address}/new")
        if self.token:
            await self.sign_in()
        await self.expect_step("Create SaaS environment")

    async def sign_in(self) -> None:
        """Sign in with the access token."""
        await self.page.get_by_label("Access token").fill(self.token)
        await self.page.get_by_role("button", name="Sign in").click()

    async def end_session(self) -> None:
        """Invalidate the session cookie, as if the session had expired."""
        cookies = await self.page.context.cookies()
        (session,) = [one for one in cookies if one["name"] == "byok_session"]
        await self.page.context.add_cookies([{**session, "value": "ended"}])  # type: ignore[typeddict-item]

    async def enter_name(self, name: str | None = None) -> None:
        """Fill in the first step."""
        await self.page.get_by_label("Environment name").fill(name or self.name)
        await self.page.get_by_label("AWS Region").select_option(REGION)

    async def next_to_keys(self) -> None:
        """Go from the first step to the keys."""
        await self.page.get_by_role("button", name="Next: Encryption at rest").click()
        await self.expect_step("Encryption at rest")

    def key_field(self, which: KeyPurpose) -> Locator:
        """The field for a key's ARN, in the wizard or on the page of a stopped environment."""
        return self.page.get_by_role("textbox", name=_FIELDS[which])

    async def enter_keys(self, keys: dict[KeyPurpose, str] | None = None) -> None:
        """Fill in both ARNs."""
        for which, arn in (keys or self.keys).items():
            await self.key_field(which).fill(arn)

    async def validate(self) -> None:
        """Select *Validate keys*."""
        await self.page.get_by_role("button", name="Validate keys").click()

    async def validate_to_proof(self) -> None:
        """Validate both keys, which must be valid."""
        await self.validate()
        await self.see(PROVED)
        await self.expect_keys()

    async def next_to_review(self) -> None:
        """Go from the keys to the review."""
        await self.page.get_by_role("button", name="Next: Review").click()
        await self.expect_step("Review")
        for arn in self.keys.values():
            await expect(self.page.get_by_text(arn)).to_be_visible()

    async def create(self) -> None:
        """Confirm the review, and create the environment."""
        await self.page.get_by_label("Create this environment").check()
        await self.page.get_by_role("button", name="Create environment").click()
        await expect(self.page).to_have_url(re.compile(rf"/environments/{self.name}\b"))
        await self.expect_step(self.name)

    async def retry(self) -> None:
        """Select *Retry* on the page of the stopped environment."""
        await self.page.get_by_role("button", name="Retry").click()

    async def see_ready(self) -> None:
        """Wait until the page shows that the environment is ready, without reloading the page."""
        await self.see(self.page.locator(".phase.ready"))
        await expect(self.page.get_by_role("heading", name=re.compile("^Encrypted with"))).to_be_visible()
        await self.stop_at("ready")
