"""The page of a stopped environment leads to a diagnosis of its keys, with and without JavaScript."""

import json
import re
from html import unescape
from pathlib import Path

from playwright.async_api import expect

from byok.audit.journal import AuditJournal
from byok.domain.arns import KeyPurpose
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from tests.api.test_access import TOKEN
from tests.collected_keys import PLACE, build_collected_keys
from tests.wizard.conftest import Browser
from tests.wizard.test_script import check_page, open_signed_in
from tests.workflows.fake_activities import PLATFORM, RDS_KEY, S3_KEY, build_aws_failure, build_provision_request
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

REFUSED = build_aws_failure("rds", "KMSKeyNotAccessibleFault", "cannot use the key", Phase.CREATING_CLUSTER)


def build_output(**arns: str) -> str:
    """Return the script's output for the test environments' keys, of which the S3 key is disabled."""
    facts = json.loads(build_collected_keys().model_dump_json().replace(PLACE.role, PLATFORM.role_arn))
    for which, arn in ({KeyPurpose.S3: S3_KEY, KeyPurpose.RDS: RDS_KEY} | arns).items():
        facts[which] = json.loads(json.dumps(facts[which]).replace(facts[which]["arn"], arn))
    facts[KeyPurpose.S3]["describe_key"]["KeyMetadata"]["KeyState"] = "Disabled"
    return json.dumps(facts)


async def test_stopped_environment_leads_to_the_script_and_its_diagnosis(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_cluster"] = [REFUSED]
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    page = f"/environments/{environment_id}"
    await browser.open_page(page)
    assert f'href="{page}/diagnosis"' in browser.page.text
    await browser.open_page(f"{page}/diagnosis")
    (link,) = re.findall(r'href="(/new/script[^"]+)" download', browser.page.text)
    script = await browser.http.get(unescape(link))
    assert all(arn in script.text for arn in (S3_KEY, RDS_KEY))

    await browser.submit_form(f"{page}/diagnosis", {"output": build_output()})
    assert "The S3 key cannot be used in its current state" in browser.text
    assert "Choose Key actions > Enable." in browser.text
    assert "Go back to the environment, and select Retry or Check now." in browser.text
    await browser.submit_form(f"{page}/diagnosis", {"output": build_output(s3=f"{S3_KEY[:-4]}abcd")})
    assert f"abcd as S3 key ARN, but the environment uses {S3_KEY}" in browser.text
    await browser.submit_form(f"{page}/diagnosis", {"output": ""})
    assert "Choose the file keys.json" in browser.text


async def test_environment_without_customer_keys_has_no_diagnosis(
    browser: Browser, service: EnvironmentService, environment_id: str
) -> None:
    platform = {"encryption": "platform-managed", "s3_key_arn": None, "rds_key_arn": None}
    await service.create(build_provision_request(environment_id, **platform))
    await wait_until_ended(service, environment_id)
    assert (await browser.open_page(f"/environments/{environment_id}/diagnosis")).status_code == 404


async def test_chosen_file_survives_an_ended_session(
    service: EnvironmentService, harness: WorkflowHarness, journal: AuditJournal, environment_id: str, tmp_path: Path
) -> None:
    name = f"acme-{environment_id}"
    harness.activities.accounts = {S3_KEY.split(":")[4]: "acme"}
    harness.activities.script["ensure_cluster"] = [REFUSED]
    await service.create(build_provision_request(name, organisation="acme"))
    await wait_until_ended(service, name)
    keys = tmp_path / "keys.json"
    keys.write_text(build_output())
    async with open_signed_in(service, journal, f"/environments/{name}") as page:
        context = page.context
        await check_page(page, "stopped-rds")
        await page.get_by_role("link", name="Diagnose the keys").click()
        await check_page(page, "diagnosis-empty")
        await page.get_by_label("File keys.json").set_input_files(keys)
        await expect(page.get_by_label("Or the script's output")).to_have_value(keys.read_text())
        await context.clear_cookies(name="byok_session")
        await page.get_by_role("button", name="Diagnose the keys").click()
        await page.get_by_label("Access token").fill(TOKEN)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_label("Or the script's output")).to_have_value(keys.read_text())
        await page.evaluate("window.sameDocument = true")
        await page.get_by_role("button", name="Diagnose the keys").click()
        await expect(page.get_by_role("heading", name="The S3 key cannot be used in its current state")).to_be_focused()
        await expect(page.get_by_text("Choose Key actions > Enable.")).to_be_visible()
        await expect(page.get_by_text("aws kms enable-key")).to_be_hidden()
        await page.get_by_text("With the AWS CLI").first.click()
        await expect(page.get_by_text("aws kms enable-key")).to_be_visible()
        assert await page.evaluate("window.sameDocument"), "no page was loaded"
        await check_page(page, "diagnosis")
