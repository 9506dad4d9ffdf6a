"""Every result of *Encryption at rest* is visible without scrolling in a Chromium window that is 900 px high."""

import os
from pathlib import Path
from typing import Any, Final

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
NO_STACK = ("Correct the marked fields below.", "The stack has no onboarding payload: either the stack has not reached")
REFUSED = "These keys cannot be used yet"
S3_REFUSED, RDS_REFUSED = "S3 key: refused. s3.AccessDenied", "Aurora key: refused. rds.KMSKeyNotAccessibleFault"
IN_USE = (REFUSED, "S3 key: refused. byok.KeyInUse", "Aurora key: refused. byok.KeyInUse", "What to do")
# For each answer: what the activities do, which form fields get a value other than a valid key ARN, which button is
# clicked, and which texts must be visible.
ANSWERS: Final[dict[str, tuple[dict[str, Any], dict[str, str], str, tuple[str, ...]]]] = {
    "proved": ({}, {}, VALIDATE, ("Both keys are proved", "S3 key: proved.", "Aurora key: proved.")),
    "S3 refused": (
        {"script": {"probe_s3_key": [S3_DENIED]}}, {}, VALIDATE,
        (REFUSED, S3_REFUSED, "Aurora key: proved.", "AWS said", "What to do"),
    ),
    "Aurora refused": (
        {"script": {"await_aurora_proof": [RDS_DENIED]}}, {}, VALIDATE,
        (REFUSED, "S3 key: proved.", RDS_REFUSED, "AWS said", "What to do"),
    ),
    "both refused": (
        {"script": {"probe_s3_key": [S3_DENIED], "await_aurora_proof": [RDS_DENIED]}}, {}, VALIDATE,
        (REFUSED, S3_REFUSED, RDS_REFUSED, "AWS said", "What to do"),
    ),
    "not proved": (
        {"unproved": "3 clusters already exist."}, {}, VALIDATE,
        ("At least one key is not proved", "S3 key: proved.", "Aurora key: not proved. 3 clusters already exist."),
    ),
    "exchanged": (
        {"script": {"probe_s3_key": [build_exchanged_failure()]}}, {}, VALIDATE,
        (REFUSED, "byok.KeysExchanged", "Swap the two ARNs", "What to do"),
    ),
    "held": ({"conflicts": HELD}, {}, VALIDATE, IN_USE),
    "wrong ARNs": ({}, WRONG_ARNS, VALIDATE, (REFUSED, "arn.AliasNotAllowed", "arn.Malformed", "What to do")),
    "wrong ARNs, next": ({}, WRONG_ARNS, NEXT, ("arn.AliasNotAllowed", "arn.Malformed", "What to do")),
    "no payload": ({}, NO_PAYLOAD, VALIDATE, NO_STACK),
    "no payload, next": ({}, NO_PAYLOAD, NEXT, NO_STACK),
}  # fmt: skip


# For each text, an element that contains the text must lie completely within the window. Elements that are at most 1 px
# high do not count, because only screen readers use these elements.
ALL_VISIBLE = """texts => texts.every(text =>
  [...document.querySelectorAll("#answer *, #keys .fault")].some(element => {
    const box = element.getBoundingClientRect();
    const inWindow = box.top >= 0 && box.bottom <= window.innerHeight && box.height > 1;
    return inWindow && element.textContent.replace(/\\s+/g, " ").includes(text);
  }))"""


async def test_every_answer_of_the_keys_step_is_visible_without_scrolling(
    harness: WorkflowHarness, service: EnvironmentService, journal: AuditJournal
) -> None:
    settings = ApiSettings(requests_per_minute=100_000)
    hidden: list[str] = []
    async with (
        open_api_state(service, None, settings, journal) as state,
        run_server(state, settings) as http,
        launch_chromium() as chromium,
    ):
        page = await chromium.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(TIMEOUT_MS)
        for name, (activities, fields, button, texts) in ANSWERS.items():
            harness.activities.script, harness.activities.conflicts, harness.activities.unproved = {}, (), None
            for attribute, value in activities.items():
                setattr(harness.activities, attribute, value)
            await page.goto(f"{http.base_url}/new/encryption?name={DRAFT['name']}&region={REGION}")
            for field, value in (DRAFT | fields).items():
                if field.endswith("_key_arn"):
                    await page.locator(f"#{field}").fill(value)
            await page.get_by_role("button", name=button).click()
            await expect(page.locator("#answer")).to_contain_text(texts[0])
            try:
                await page.wait_for_function(ALL_VISIBLE, arg=texts, timeout=5_000)
            except TimeoutError:
                hidden.append(name)
            if SCREENSHOTS_DIR:
                await page.screenshot(path=Path(SCREENSHOTS_DIR) / f"answer-{name}.png".replace(" ", "-"))
    assert hidden == []
