"""The steps of the wizard, page by page, without JavaScript."""

import json
import re
import shlex
import uuid
from html import unescape

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import StatementParameters, build_key_statements, build_owner_statement
from byok.domain.phases import Encryption, Phase
from byok.service.environments import EnvironmentService
from byok.service.errors import AuditUnavailableError
from docsite.sources import make_anchor
from tests.api.test_access import TOKEN
from tests.key_faults import KEY_FAULTS
from tests.programs import ROOT
from tests.requested_keys import ON_PLATFORM_KEYS
from tests.wizard.conftest import DRAFT, Browser, Open
from tests.wizard.test_visits import sign_in
from tests.workflows.fake_activities import (
    PLATFORM,
    RDS_KEY,
    REGION,
    S3_KEY,
    build_aws_failure,
    build_exchanged_failure,
    build_provision_request,
)
from tests.workflows.temporal_env import WorkflowHarness
from tests.workflows.watching import wait_until_ended

EXCHANGED = build_exchanged_failure()
DISABLED = build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.VALIDATING_KEYS)


async def test_first_page_shows_prerequisites_and_asks_for_name_and_region(browser: Browser) -> None:
    await browser.open_page("/new")
    assert "You need an AWS account in which to create your KMS keys" in browser.text  # contract 2, 3
    assert "IAM permissions to create KMS keys" in browser.text
    await browser.open_page("/new", name="Not Legal", region="nowhere", next="1")
    assert "Start with a letter" in browser.text
    assert "nowhere is not an AWS Region" in browser.text
    assert 'value="Not Legal"' in browser.page.text


async def test_encryption_is_a_step_of_the_wizard_that_creates_an_environment(browser: Browser) -> None:
    await browser.open_page("/new")
    assert "Create SaaS environment</h1>" in browser.page.text
    await browser.open_page("/new", name="prod", region=REGION, next="1")
    steps = browser.page.text.partition('aria-label="Create SaaS environment"')[2].partition("</nav>")[0]
    current = steps.partition('aria-current="step"')[2].partition("</li>")[0]
    assert "Encryption at rest" in current  # contract 5, 13


@pytest.mark.parametrize("region", [REGION, "us-west-2"])
async def test_customer_managed_keys_show_the_onboarding_values(browser: Browser, region: str) -> None:
    await browser.open_page("/new/encryption", name="prod", region=region)
    shown = browser.page.text.partition('id="values"')[2].partition("</section>")[0]
    values = dict(re.findall(r"<dt>([^<]+)</dt><dd>(?:<span[^>]*>)?<code[^>]*>([^<]+)</code>", shown))
    assert values == {  # contract 15, 16, 18
        "Ataccama platform role ARN": PLATFORM.role_arn,
        "Ataccama platform account": PLATFORM.account,
        "Ataccama AWS Region": region,
    }


async def test_template_tab_has_the_commands_with_their_values(browser: Browser) -> None:
    await browser.open_page("/new/encryption", **DRAFT)
    panel = find_panel(browser, "template", "CloudFormation template")  # contract 22
    assert "Recommended: one stack creates both keys." in panel  # contract 31
    stack = f"byok-kms-keys-{DRAFT['name']}"
    deploy = (
        f"aws cloudformation deploy --template-file byok-kms-keys.yaml --stack-name {stack} "
        f"--parameter-overrides AtaccamaPlatformRoleArn={PLATFORM.role_arn} PlatformRegion={REGION} --region {REGION}"
    )
    payload = (
        f"aws cloudformation describe-stacks --region {REGION} --stack-name {stack} "
        r'--query "Stacks[0].Outputs[?OutputKey==\`AtaccamaOnboardingPayload\`].OutputValue" --output text'
    )
    assert split_copied_command(panel, "deploy") == shlex.split(deploy)  # contract 25, 38
    assert split_copied_command(panel, "payload") == shlex.split(payload)  # contract 49


async def test_statements_tab_has_the_statements_of_both_keys(browser: Browser) -> None:
    await browser.open_page("/new/encryption", **DRAFT)
    panel = find_panel(browser, "statements", "Key policy statements")  # contract 23
    for which in KeyPurpose:
        shown = json.loads(f"[{find_copied_text(panel, f'statements-{which}')}]")  # contract 27
        grantee = StatementParameters.for_platform_role(PLATFORM.role_arn, REGION)
        assert shown == build_key_statements(which, grantee, PLATFORM.vendor)  # contract 57, 58
    text = " ".join(re.sub(r"<[^>]+>", "", panel).split())
    assert "create two symmetric keys with the usage Encrypt and decrypt" in text  # contract 51, 52
    assert "of the Statement array, type a comma and append the statement below" in text  # contract 59
    assert "Do not delete or alter the statements that AWS adds" in text  # contract 56
    assert "you may be unable to administer your own key" in text  # contract 56


def find_panel(browser: Browser, name: str, label: str) -> str:
    """Return the HTML of a tab's panel, after checking the tab's label."""
    page = browser.page.text
    tab = page.partition(f'id="tab-{name}"')[2].partition("</a>")[0]
    assert tab.endswith(f">{label}")
    return page.partition(f'id="panel-{name}"')[2].partition('<div role="tabpanel"')[0].partition("<section")[0]


def find_copied_text(panel: str, element: str) -> str:
    """Return the text that a *Copy* button of a panel copies."""
    return unescape(panel.partition(f'<pre id="{element}"')[2].partition(">")[2].partition("</pre>")[0])


def split_copied_command(panel: str, element: str) -> list[str]:
    """Split the command of a *Copy* button into words, as a shell does."""
    return shlex.split(find_copied_text(panel, element).replace("\\\n", " "))


async def test_review_warns_before_anything_is_created(browser: Browser) -> None:
    await browser.open_page("/new/review", **DRAFT)
    assert "Disabling or deleting a key makes the data inaccessible." in browser.text  # contract 111
    assert "7 to 30 days, during which you can cancel the deletion" in browser.text  # contract 112
    assert "S3 and Aurora treat a multi-Region key as a single-Region key." in browser.text  # contract 118


async def test_review_of_platform_managed_keys_ignores_an_earlier_key_check(browser: Browser) -> None:
    draft = {**DRAFT, "encryption": "platform-managed", "s3_key_arn": "", "rds_key_arn": ""}
    answer = await browser.open_page("/new/review", **draft, check=str(uuid.uuid4()))
    assert (answer.status_code, browser.page.url.path) == (200, "/new/review")


async def test_second_page_has_values_template_statements_and_two_fields(browser: Browser) -> None:
    await browser.open_page("/new", name="prod", region="eu-central-9", next="1")
    assert "eu-central-9 is not an AWS Region; the nearest name is eu-central-1." in browser.text  # contract 133
    await browser.open_page("/new", name="prod", region=REGION, next="1")
    page = browser.page.text
    assert "Encryption at rest</h1>" in page  # contract 13
    assert "Customer-managed (Bring Your Own Key)" in page  # contract 14
    assert PLATFORM.role_arn in page  # contract 16
    assert "View KMS key policy statements &amp; CloudFormation template" in page  # contract 21
    assert 'download="byok-kms-keys.yaml"' in page  # contract 24
    assert ["S3 key ARN</label>" in page, "RDS key ARN</label>" in page] == [True, True]  # contract 28
    statements = page.partition('id="panel-statements"')[2].partition("Or create both keys")[0]
    assert "AllowAtaccamaPlatformRDSGrants" in statements
    assert "${" not in statements  # contract 26


async def test_commands_use_the_chosen_profile_and_stack_and_keep_them(browser: Browser) -> None:
    await browser.open_page("/new/encryption", **DRAFT)
    assert f"--stack-name byok-kms-keys-{DRAFT['name']}" in browser.page.text  # contract 130
    assert "--profile" not in browser.page.text  # contract 40
    await browser.open_page("/new/encryption", **DRAFT, profile="keys-admin", stack="our-keys")
    for words in ("--stack-name our-keys", "--profile keys-admin", 'name="stack" value="our-keys"'):
        assert words in browser.page.text
    await browser.open_page("/new/encryption", **DRAFT, stack="1-keys")
    assert "Use up to 128 letters, digits and hyphens, starting with a letter." in browser.text
    assert 'value="1-keys"' in browser.page.text


async def test_template_downloads_under_its_file_name(browser: Browser) -> None:
    answer = await browser.open_page("/new/template")
    assert answer.headers["content-disposition"] == 'attachment; filename="byok-kms-keys.yaml"'
    shown = await browser.open_page("/new/template", view="1")
    assert (shown.text, shown.headers["content-type"]) == (answer.text, "text/plain; charset=utf-8")


async def test_region_changes_all_values(browser: Browser) -> None:
    await browser.open_page("/new/encryption", name="prod", region="us-west-2")  # contract 19
    assert "s3.us-west-2.amazonaws.com" in browser.page.text
    assert REGION not in browser.page.text


async def test_only_regions_in_use_are_offered_and_accepted(browser: Browser) -> None:
    await browser.open_page("/new")
    (regions,) = re.findall(r'<select id="region".*?</select>', browser.page.text, re.DOTALL)
    offered = re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)<', regions)
    assert dict(offered) == {
        "": "Choose a Region",
        REGION: f"Europe (Frankfurt) {REGION}",
        "us-west-2": "US West (Oregon) us-west-2",
    }
    await browser.open_page("/new", name="prod", region="eu-north-1", next="1")
    assert f"The platform does not use the Region eu-north-1. Choose one of: {REGION}, us-west-2." in browser.text
    await browser.open_page("/new/encryption", name="prod", region="eu-north-1")
    assert "aws cloudformation deploy" not in browser.text


async def test_platform_managed_environment_goes_from_the_first_page_to_its_progress(
    browser: Browser, service: EnvironmentService
) -> None:
    await browser.open_page("/new", name="on-ours", region=REGION, next="1")
    await browser.open_page("/new/encryption", name="on-ours", region=REGION, encryption="platform-managed")
    assert "cannot be switched to your own keys later" in browser.text  # contract 9
    assert "Onboarding values" not in browser.text  # contract 132: the customer has no keys to set up
    await browser.open_page("/new/encryption", name="on-ours", region=REGION, encryption="platform-managed", next="1")
    assert browser.page.url.path == "/new/review"
    assert "S3 key ARN" not in browser.text
    sent = {"name": "on-ours", "region": REGION, "encryption": "platform-managed", "confirmed": "1"}
    await browser.submit_form("/new/review", sent)
    ready = await wait_until_ended(service, "on-ours")
    assert (ready.phase, ready.encryption) == (Phase.READY, Encryption.PLATFORM_MANAGED)  # contract 14
    await browser.open_page("/environments/on-ours")
    assert "Encrypted with Ataccama's keys" in browser.text
    assert "The platform owns this environment's keys" in browser.text
    assert "your keys" not in browser.text
    await browser.open_page("/environments")
    assert "Platform-managed" in browser.text


async def test_platform_managed_environment_refuses_customer_keys_in_the_review(
    browser: Browser, service: EnvironmentService
) -> None:
    await service.create(build_provision_request("switched", **ON_PLATFORM_KEYS))
    await wait_until_ended(service, "switched")
    await browser.open_page("/new/encryption", **{**DRAFT, "name": "switched"})
    await browser.submit_form("/new/review", {**DRAFT, "name": "switched", "confirmed": "1"})
    assert browser.page.status_code == 409
    assert "uses platform-managed keys and cannot be switched to customer-managed keys" in browser.text  # contract 9


async def test_platform_managed_keys_cannot_be_chosen_in_a_region_that_is_not_in_use(browser: Browser) -> None:
    asked = {"name": "on-ours", "region": "eu-west-1", "encryption": "platform-managed"}
    for page in ("/new/encryption", "/new/review"):
        await browser.open_page(page, **asked, next="1")
        assert browser.page.url.path == "/new"
        assert "The platform does not use the Region eu-west-1" in browser.text  # contract 137


async def test_platform_managed_keys_cannot_be_chosen_in_another_partition(visit: Open) -> None:
    browser = await visit(regions=("cn-north-1",))
    asked = {"name": "on-ours", "region": "cn-north-1", "encryption": "platform-managed"}
    for page in ("/new/encryption", "/new/review"):
        await browser.open_page(page, **asked, next="1")
        assert "This Region cannot be used" in browser.text
        assert browser.page.url.path == "/new/encryption"


async def test_payload_in_either_field_fills_both(browser: Browser) -> None:
    payload = f'{{"S3KmsKeyArn":"{S3_KEY}","RdsKmsKeyArn":"{RDS_KEY}"}}'  # contract 50
    for field in ("s3_key_arn", "rds_key_arn"):
        await browser.open_page("/new/encryption", name="prod", region=REGION)
        await browser.submit_form("/new/encryption", {"name": "prod", "region": REGION, field: payload, "do": "next"})
        assert browser.page.url.path == "/new/review"
        assert S3_KEY in browser.page.text
        assert RDS_KEY in browser.page.text


async def test_invalid_payload_is_reported_and_stays_on_the_page(browser: Browser) -> None:
    await browser.open_page("/new/encryption", name="prod", region=REGION)
    for do in ("next", "validate"):
        sent = {"name": "prod", "region": REGION, "rds_key_arn": '{"S3KmsKeyArn":', "do": do}
        await browser.submit_form("/new/encryption", sent)
        marked = re.search(
            r'<p class="fault" id="([a-z0-9_]*?)-fault"[^>]*>The onboarding payload is not valid JSON',
            browser.page.text,
        )
        assert marked
        assert marked[1] == "rds_key_arn", "the field that contains the payload is marked"
        assert browser.page.status_code == 200


async def test_both_invalid_arns_are_reported_and_stay_in_their_fields(browser: Browser) -> None:
    await browser.open_page("/new/encryption", name="prod", region=REGION)
    bad = {"s3_key_arn": "arn:aws:kms:eu-central-1:444455556666:alias/mine", "rds_key_arn": "nonsense"}
    await browser.submit_form("/new/encryption", {"name": "prod", "region": REGION, **bad, "do": "next"})
    assert "arn.AliasNotAllowed" in browser.text  # contract 82
    assert browser.page.text.count('aria-invalid="true"') == 2
    assert bad["s3_key_arn"] in browser.page.text
    assert "nonsense" in browser.page.text


async def test_validation_shows_the_aws_error_and_the_remedy(browser: Browser, harness: WorkflowHarness) -> None:
    harness.activities.script["probe_s3_key"] = [DISABLED]
    await browser.open_page("/new/encryption", **DRAFT)
    await browser.validate_keys(DRAFT)
    assert "The S3 key cannot be used yet" in browser.text
    assert f"{S3_KEY} is disabled." in browser.text
    assert "What to do" in browser.text
    await browser.validate_keys(DRAFT)
    assert "Both keys are verified" in browser.text
    assert "RDS used the key at" in browser.text  # contract 126


@pytest.mark.parametrize("fault", ["disabled", "nonexistent", "statement of the other key"])
async def test_validation_refuses_a_broken_key_with_its_code(
    browser: Browser, harness: WorkflowHarness, fault: str
) -> None:
    (broken,) = (one for one in KEY_FAULTS if one.name == fault)
    await browser.open_page("/new/encryption", **DRAFT)
    for which, step in ((KeyPurpose.S3, "probe_s3_key"), (KeyPurpose.RDS, "await_aurora_proof")):
        service, _, code = broken.code_for(which).partition(".")
        message = f"[{S3_KEY if which is KeyPurpose.S3 else RDS_KEY}] kms:GenerateDataKey"
        harness.activities.script[step] = [build_aws_failure(service, code, message, Phase.VALIDATING_KEYS)]
        await browser.validate_keys(DRAFT)
        assert f"{which.display_name}: cannot be used" in browser.text
        assert f"{which.other.display_name}: verified" in browser.text
        assert broken.code_for(which) in browser.text


async def test_validation_without_a_proof_says_why(browser: Browser, harness: WorkflowHarness) -> None:
    harness.activities.unproved = "3 clusters that prove Aurora keys already exist in eu-central-1."
    await browser.open_page("/new/encryption", **DRAFT)
    await browser.validate_keys(DRAFT)
    assert "The Aurora key is not verified" in browser.text
    assert harness.activities.unproved in browser.text


async def test_review_shows_what_is_known_about_each_key(browser: Browser, harness: WorkflowHarness) -> None:
    await browser.open_page("/new/review", **DRAFT)
    assert browser.text.count("not verified") == 2
    assert "validate your keys first" in browser.text
    assert f"Aurora cluster byok-{DRAFT['name']} , and S3 buckets" in browser.text
    await browser.validate_keys(DRAFT)
    verified = dict(browser.page.url.params)
    await browser.open_page("/new/review", **verified)
    assert browser.text.count("verified at") == 2
    assert "validate your keys first" not in browser.text
    await browser.open_page(
        "/new/review", **{**verified, "s3_key_arn": f"{S3_KEY[:-1]}0"}
    )  # this key has not been checked
    assert browser.text.count("not verified") == 2
    harness.activities.script["probe_s3_key"] = [DISABLED]
    await browser.open_page("/new/encryption", **DRAFT)
    await browser.validate_keys(DRAFT)
    await browser.open_page("/new/review", **dict(browser.page.url.params))
    assert "The S3 key cannot be used yet" in browser.text


async def test_review_of_an_existing_environment_leads_to_that_environment(
    browser: Browser, service: EnvironmentService, environment_id: str
) -> None:
    draft = {**DRAFT, "name": environment_id}
    await browser.open_page("/new/review", **draft)
    await service.create(build_provision_request(environment_id, key_grace_seconds=7))
    await browser.submit_form("/new/review", {**draft, "confirmed": "1"})
    assert f"The environment {environment_id} already exists, and differs from these entries." in browser.text
    assert f'<a href="/environments/{environment_id}">' in browser.page.text
    await browser.open_page("/new/review", **draft)  # for example, with the back button
    assert f"The environment {environment_id} already exists. Choose another name." in browser.text


async def test_completed_steps_are_links_that_keep_the_entries(browser: Browser) -> None:
    await browser.open_page("/new/review", **DRAFT)
    links = re.findall(r'Completed: </span><a href="([^"]+)"', browser.page.text)
    assert [link.partition("?")[0] for link in links] == ["/new", "/new/encryption"]
    for link in links:
        await browser.open_page(unescape(link))
        assert f'value="{DRAFT["name"]}"' in browser.page.text


async def test_help_of_each_step_opens_a_section_of_the_key_administrators_guide(browser: Browser) -> None:
    guide = (ROOT / "docs" / "key-owners.md").read_text()
    anchors = {make_anchor(heading) for heading in re.findall(r"^#+ (.+)$", guide, re.MULTILINE)}
    for page in ("/new", "/new/encryption", "/new/review"):
        await browser.open_page(page, **DRAFT)
        linked = set(re.findall(r'href="/docs/key-owners/#([^"]+)" target="_blank"', browser.page.text))
        assert len(linked) >= 1, page
        assert linked <= anchors


async def test_exchanged_arns_can_be_swapped(browser: Browser, harness: WorkflowHarness) -> None:
    harness.activities.script["probe_s3_key"] = [EXCHANGED]
    await browser.open_page("/new/encryption", **DRAFT)
    await browser.validate_keys(DRAFT)
    assert "Swap and validate" in browser.text  # contract 127
    await browser.open_page("/new/encryption", **{**DRAFT, "s3_key_arn": RDS_KEY, "rds_key_arn": S3_KEY})
    assert f'name="s3_key_arn" value="{RDS_KEY}"' in browser.page.text


async def test_aurora_key_is_not_proved_while_the_user_types(browser: Browser, harness: WorkflowHarness) -> None:
    await browser.open_page("/new/encryption/rules", **DRAFT)
    await browser.open_page("/new/review", **DRAFT)
    assert harness.activities.calls == []


async def test_pasted_policy_is_checked_with_a_row_per_permission(browser: Browser) -> None:
    await browser.open_page("/new/encryption", **DRAFT)
    sent = {**DRAFT, "do": "policy", "policy_key": "s3", "policy": '{"Version":"2012-10-17","Statement":[]}'}
    await browser.submit_form("/new/encryption", sent)
    assert "The platform cannot use the S3 key" in browser.text
    assert "kms:GenerateDataKey" in browser.text
    assert "AllowAtaccamaPlatformS3Access" in browser.text
    owner = build_owner_statement("arn:aws:iam::444455556666:root")
    text_output = json.dumps({"Version": "2012-10-17", "Statement": [owner]}, indent=2) + "\tdefault\n"
    await browser.submit_form("/new/encryption", {**sent, "policy": text_output})
    assert "policy.StatementMissing" in browser.text
    await browser.submit_form("/new/encryption", {**sent, "policy": "<b>not json</b>", "policy_key": "x"})
    assert browser.page.status_code == 200
    assert "<b>not json" not in browser.page.text


async def test_nothing_is_created_without_confirmation(browser: Browser, environment_id: str) -> None:
    draft = {**DRAFT, "name": environment_id}
    await browser.open_page("/new/review", **draft)  # contract 29
    await browser.submit_form("/new/review", draft)
    assert "Nothing has been created yet. Select the checkbox" in browser.text
    assert (await browser.open_page(f"/environments/{environment_id}")).status_code == 404
    assert 'href="/docs/problems/byok.EnvironmentNotFound"' in browser.page.text


async def test_environment_is_created_shown_ready_and_named(
    browser: Browser, service: EnvironmentService, environment_id: str
) -> None:
    draft = {**DRAFT, "name": environment_id}
    await browser.open_page("/new/review", **draft)
    await browser.submit_form("/new/review", {**draft, "confirmed": "1"})
    assert browser.page.url.path == f"/environments/{environment_id}"
    await wait_until_ended(service, environment_id)
    await browser.open_page(f"/environments/{environment_id}")
    assert "Ready" in browser.text
    assert "As reported by AWS" in browser.text
    keys = re.findall(r"<h3>(\w+ key) <code>([^<]+)</code></h3>\s*<ul><li>(\w+)", browser.page.text)
    assert keys == [("Aurora key", RDS_KEY, "Aurora"), ("S3 key", S3_KEY, "Bucket")]
    assert "Disabling or deleting a key makes the data inaccessible." in browser.text  # contract 111
    assert "7 to 30 days" in browser.text  # contract 112
    assert f"assigned the tenant name {environment_id}" in browser.text  # contract 100, 131
    assert f"TenantName={environment_id}" in browser.text  # contract 108
    assert f"alias/ataccama-database-byok-db-key-alias-{environment_id}" in browser.text  # contract 104, D10
    await browser.open_page("/environments")
    assert environment_id in browser.text


async def test_stop_shows_the_underlying_kms_error_and_retry_continues(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["ensure_bucket"] = [
        build_aws_failure("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.", Phase.CREATING_STORAGE)
    ]
    draft = {**DRAFT, "name": environment_id}
    await browser.open_page("/new/review", **draft)
    await browser.submit_form("/new/review", {**draft, "confirmed": "1"})
    await wait_until_ended(service, environment_id)
    await browser.open_page(f"/environments/{environment_id}")
    assert "s3.KMS.DisabledException" in browser.text  # contract 30
    assert f"{S3_KEY} is disabled." in browser.text
    await browser.submit_form(f"/environments/{environment_id}", {})
    assert (await wait_until_ended(service, environment_id)).phase is Phase.READY
    await browser.open_page(f"/environments/{environment_id}")
    (attempts,) = re.findall(r'<h2 id="attempts">.*?<tbody[^>]*>(.*?)</tbody>', browser.page.text, re.DOTALL)
    first, second = re.findall(r"<tr[^>]*>.*?</tr>", attempts, re.DOTALL)
    assert all(word in first for word in ("Provisioning", "Stopped", "s3.KMS.DisabledException"))  # contract 148
    assert all(word in second for word in ("Retry", "Ready", "replayed from ensure_bucket"))


async def test_keys_entered_to_retry_with_are_kept_if_the_retry_is_refused_or_the_session_has_ended(
    visit: Open,
    service: EnvironmentService,
    harness: WorkflowHarness,
    environment_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harness.activities.accounts = {S3_KEY.split(":")[4]: "acme"}
    harness.activities.script["probe_s3_key"] = [DISABLED]
    name, other = f"acme-{environment_id}", f"{S3_KEY[:-4]}abcd"
    await service.create(build_provision_request(name, organisation="acme"))
    await wait_until_ended(service, name)
    browser = await sign_in(visit)
    page = f"/environments/{name}"
    await browser.open_page(page)

    async def refuse(*_: object, **__: object) -> None:
        raise AuditUnavailableError("The audit trail cannot be written.")

    with monkeypatch.context() as patch:
        patch.setattr(EnvironmentService, "replay", refuse)
        refused = await browser.submit_form(page, {"s3_key_arn": other})
    assert ("Retry was not started" in browser.text, f'value="{other}"' in refused.text) == (True, True)
    browser.http.cookies.set("byok_session", "expired", domain="localhost.local")
    await browser.submit_form(page, {"s3_key_arn": other})
    assert "your entries are kept" in browser.text
    browser.http.cookies.clear()
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": browser.page.url.params["next"]})
    assert f'value="{other}"' in browser.page.text

    browser.http.cookies.set("byok_session", "expired", domain="localhost.local")
    await browser.submit_form(f"{page}/deletion", {"confirm": name, "reason": "not needed"})
    browser.http.cookies.clear()
    await browser.submit_form("/sign-in", {"token": TOKEN, "next": browser.page.url.params["next"]})
    assert 'value="not needed"' in browser.page.text
    assert 'name="final_snapshot" value="1" checked' not in browser.page.text
    assert f'value="{name}"' not in browser.page.text, "a deletion is confirmed again"


async def test_wrong_arn_for_a_retry_is_reported_at_its_field(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    harness.activities.script["probe_s3_key"] = [DISABLED]
    await service.create(build_provision_request(environment_id))
    await wait_until_ended(service, environment_id)
    page = f"/environments/{environment_id}"
    await browser.open_page(page)
    await browser.submit_form(page, {"s3_key_arn": "nonsense"})
    assert (browser.page.status_code, "Correct the ARN below. Nothing was changed." in browser.text) == (422, True)
    (field,) = re.findall(r'<input id="retry-s3".*?</p>', browser.page.text, re.DOTALL)
    assert all(words in field for words in ('value="nonsense"', 'aria-invalid="true"', "is not an ARN"))
    await browser.submit_form(page, {"s3_key_arn": RDS_KEY})
    assert browser.page.status_code == 422, "one key cannot serve both purposes"
    assert (await service.read_status(environment_id)).phase is Phase.STOPPED


async def test_page_of_a_refused_retry_can_be_reloaded(
    browser: Browser, service: EnvironmentService, environment_id: str
) -> None:
    draft = {**DRAFT, "name": environment_id}
    await browser.open_page("/new/review", **draft)
    token = browser.form_token
    await browser.submit_form("/new/review", {**draft, "confirmed": "1"})
    await wait_until_ended(service, environment_id)
    refused = await browser.submit_form(f"/environments/{environment_id}", {}, form_token=token)
    assert refused.status_code == 409
    assert (await browser.open_page(refused.url.path)).status_code == 200


async def test_running_page_refreshes_itself_without_javascript(
    browser: Browser, service: EnvironmentService, harness: WorkflowHarness, environment_id: str
) -> None:
    await browser.open_page("/new/review", **DRAFT | {"name": environment_id})
    await browser.submit_form("/new/review", {**DRAFT, "name": environment_id, "confirmed": "1"})
    first = browser.page.text
    await wait_until_ended(service, environment_id)
    await browser.open_page(f"/environments/{environment_id}")
    assert 'http-equiv="refresh" content="5;' in first or ">Ready<" in first
    assert 'http-equiv="refresh" content="5;' not in browser.page.text
    assert 'http-equiv="refresh" content="60;' in browser.page.text  # the page refreshes to show the current health
