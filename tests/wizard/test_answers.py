"""After a user selects *Validate keys*, the result is visible without scrolling, with and without JavaScript."""

import copy
import os
from itertools import product
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import TimeoutError, expect

from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Phase
from byok.domain.problems.remediation import Remedy
from byok.service.environments import EnvironmentService
from tests.api.conftest import open_api_state
from tests.api.test_server import run_server
from tests.localaws.server import REGION
from tests.wizard.chromium import TIMEOUT_MS, launch_chromium
from tests.wizard.conftest import DRAFT
from tests.workflows.fake_activities import (
    RDS_KEY,
    S3_KEY,
    build_aws_failure,
    build_exchanged_failure,
    build_key_problem,
)
from tests.workflows.temporal_env import WorkflowHarness

SCREENSHOTS_DIR: Final = os.environ.get("BYOK_TEST_PICTURES")
VALIDATE, NEXT = "Validate keys", "Next: Review"
S3_DENIED = build_aws_failure("s3", "AccessDenied", f"no kms:GenerateDataKey on {S3_KEY}", Phase.VALIDATING_KEYS)
RDS_DENIED = build_aws_failure("rds", "KMSKeyNotAccessibleFault", f"The key [{RDS_KEY}]", Phase.VALIDATING_KEYS)
HELD = tuple(build_key_problem("byok.KeyInUse", which, Remedy.KEY_IN_USE) for which in KeyPurpose)
ALIAS = f"arn:aws:kms:{REGION}:444455556666:alias/mine"
WRONG_ARNS = {"s3_key_arn": ALIAS, "rds_key_arn": "nonsense"}
NO_PAYLOAD = {"s3_key_arn": "", "rds_key_arn": "null"}
NO_STACK = ("The stack has no onboarding payload: either the stack has not reached",)
REFUSED = "cannot be used yet"
S3_REFUSED, RDS_REFUSED = "S3 key: cannot be used", "Aurora key: cannot be used"
# For each case: the attributes of the fake activities; the form fields with an invalid value; the button to click; the
# id of the element that then has the focus, where `answer` is the result for both keys; the texts that must be visible.
ANSWERS: Final[dict[str, tuple[dict[str, Any], dict[str, str], str, str, tuple[str, ...]]]] = {
    "verified": ({}, {}, VALIDATE, "answer", ("Both keys are verified", "Next: Review")),
    "S3 refused": (
        {"script": {"probe_s3_key": [S3_DENIED]}}, {}, VALIDATE, "s3_key_arn",
        (REFUSED, S3_REFUSED, "Aurora key: verified", "TITLE"),
    ),
    "Aurora refused": (
        {"script": {"await_aurora_proof": [RDS_DENIED]}}, {}, VALIDATE, "rds_key_arn",
        (REFUSED, "S3 key: verified", RDS_REFUSED, "TITLE"),
    ),
    "both refused": (
        {"script": {"probe_s3_key": [S3_DENIED], "await_aurora_proof": [RDS_DENIED]}}, {}, VALIDATE, "s3_key_arn",
        (REFUSED, S3_REFUSED, RDS_REFUSED, "TITLE"),
    ),
    "not verified": (
        {"unproved": "3 clusters already exist."}, {}, VALIDATE, "answer",
        ("The Aurora key is not verified", "S3 key: verified", "Aurora key: not verified"),
    ),
    "exchanged": (
        {"script": {"probe_s3_key": [build_exchanged_failure()]}}, {}, VALIDATE, "answer",
        ("The two key ARNs are swapped", "Swap and validate"),
    ),
    "held": ({"conflicts": HELD}, {}, VALIDATE, "s3_key_arn", (REFUSED, S3_REFUSED, RDS_REFUSED, "TITLE")),
    "wrong ARNs": ({}, WRONG_ARNS, VALIDATE, "s3_key_arn", (REFUSED, S3_REFUSED, RDS_REFUSED, "TITLE")),
    "wrong ARNs, next": ({}, WRONG_ARNS, NEXT, "s3_key_arn", ("TITLE",)),
    "no payload": ({}, NO_PAYLOAD, VALIDATE, "rds_key_arn", NO_STACK),
    "no payload, next": ({}, NO_PAYLOAD, NEXT, "rds_key_arn", NO_STACK),
}  # fmt: skip
WIDTHS: Final = ((360, 740), (1440, 900))

# For each text, an element that contains the text must lie completely within the window. Elements that are at most 1 px
# high do not count, because only screen readers use these elements. TITLE is the title of the first problem.
ALL_VISIBLE = """texts => texts.every(text =>
  [...document.querySelectorAll(text === "TITLE" ? "#keys .problem h3" : "#answer *, #keys .fault")].some(element => {
    const box = element.getBoundingClientRect();
    const inWindow = box.top >= 0 && box.bottom <= window.innerHeight && box.height > 1;
    return inWindow && (text === "TITLE" || element.textContent.replace(/\\s+/g, " ").includes(text));
  }))"""


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
async def test_every_answer_of_the_keys_step_is_visible_without_scrolling(
    harness: WorkflowHarness, service: EnvironmentService, journal: AuditJournal, *, script: bool
) -> None:
    settings = ApiSettings(requests_per_minute=100_000)
    hidden: list[str] = []
    async with (
        open_api_state(service, None, settings, journal) as state,
        run_server(state, settings) as http,
        launch_chromium() as chromium,
    ):
        contexts = [
            await chromium.new_context(viewport={"width": width, "height": height}, java_script_enabled=script)
            for width, height in (WIDTHS if script else WIDTHS[:1])
        ]
        pages = [await context.new_page() for context in contexts]
        for (name, (activities, fields, button, focus, texts)), page in product(ANSWERS.items(), pages):
            harness.activities.script, harness.activities.conflicts, harness.activities.unproved = {}, (), None
            for attribute, value in activities.items():
                setattr(harness.activities, attribute, copy.deepcopy(value))
            page.set_default_timeout(TIMEOUT_MS)
            await page.goto(f"{http.base_url}/new/encryption?name={DRAFT['name']}&region={REGION}")
            for field, value in (DRAFT | fields).items():
                if field.endswith("_key_arn"):
                    await page.locator(f"#{field}").fill(value)
            await page.locator("#keys").get_by_role("button", name=button).click()
            first = page.locator("#keys .problem h3").first if texts[0] == "TITLE" else page.get_by_text(texts[0]).first
            await expect(first).to_be_visible()
            width = (page.viewport_size or {})["width"]
            try:
                await page.wait_for_function(ALL_VISIBLE, arg=texts, timeout=TIMEOUT_MS)
                await expect(page.locator(f"#{focus}")).to_be_focused(timeout=TIMEOUT_MS)
            except (TimeoutError, AssertionError):
                hidden.append(f"{name} at {width}")
            if SCREENSHOTS_DIR:
                shot = f"answer-{name}-{width}-{'js' if script else 'plain'}.png".replace(" ", "-")
                await page.screenshot(path=Path(SCREENSHOTS_DIR) / shot)
    assert hidden == []
