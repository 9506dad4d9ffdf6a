"""With session tags, every rendered statement and every check requires the organisation's tag (contract 146).

Without session tags, no statement and no check requires the tag (contract 61-73).
"""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.diagnosis.diagnose import are_keys_usable, diagnose_collected_keys
from byok.domain.diagnosis.key_facts import CollectedKeys
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.report import check_policy
from byok.domain.iam.merge import merge_policy
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_policy,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.problems.remediation import Remedy, RemedyContext, build_remediation
from byok.domain.vendor import VendorProfile
from byok.onboarding.collection_script import render_collection_script
from byok.onboarding.kit import OnboardingKit
from byok.onboarding.template import render_keys_template
from byok.onboarding.terraform import render_terraform_file
from tests.remedy_text import text_of

ROLE, REGION = "arn:aws:iam::111122223333:role/Platform", "eu-central-1"
KEYS = KeyPair(*(f"arn:aws:kms:{REGION}:444455556666:key/{n * 8}-1111-4111-8111-111111111111" for n in "12"))
OFF, ON = VendorProfile(), VendorProfile(organisation_session_tag=True)
TAG = "aws:PrincipalTag/organisation"
ACME = PlatformPrincipal(ROLE, REGION, organisation="acme")


def build_policy(which: KeyPurpose, organisation: str | None = "acme", vendor: VendorProfile = ON) -> dict[str, Any]:
    grantee = StatementParameters.for_platform_role(ROLE, REGION, organisation)
    owner = build_owner_statement("arn:aws:iam::444455556666:root")
    return build_key_policy(owner, build_key_statements(which, grantee, vendor))


@pytest.mark.parametrize("which", KeyPurpose)
def test_each_statement_requires_the_tag_only_if_the_vendor_turns_it_on(which: KeyPurpose) -> None:
    off, on = build_policy(which, vendor=OFF), build_policy(which)
    assert off == build_policy(which, organisation=None, vendor=OFF) == build_policy(which, organisation=None)
    for plain, tagged in zip(off["Statement"][1:], on["Statement"][1:], strict=True):
        assert tagged["Condition"]["StringEquals"] == plain["Condition"]["StringEquals"] | {TAG: "acme"}
        assert tagged | {"Condition": None} == plain | {"Condition": None}


def test_customers_files_and_commands_require_the_tag() -> None:
    commands = CustomerCommands(ROLE, REGION, ON, "keys", organisation="acme")
    kit = OnboardingKit.for_region(ROLE, REGION, ON, stack_name="keys", organisation="acme")
    assert " Organisation=acme " in commands.deploy_keys_command().replace("\\\n", " ")
    assert commands.create_keys_commands().count(f'"{TAG}": "acme"') == 3
    assert render_terraform_file(ROLE, REGION, ON, "acme").count(f'"{TAG}" : "acme"') == 3
    assert json.dumps(kit.as_json_dict()["statements"]).count(f'"{TAG}": "acme"') == 3
    assert kit.as_json_dict()["organisation"] == "acme"
    assert "Organisation=" in CustomerCommands(ROLE, REGION, ON, "keys").deploy_keys_command()


def test_template_asks_for_the_organisation_and_has_no_default() -> None:
    nodes = yaml.compose(render_keys_template(ON))
    assert nodes is not None
    template = render_keys_template(ON)
    assert template.count(TAG) == 3
    assert "Default" not in template[template.index("  Organisation:") : template.index("  TenantName:")]


def test_reference_vendors_output_does_not_mention_the_organisation() -> None:
    commands = CustomerCommands(ROLE, REGION, OFF, "keys", organisation="acme")
    rendered = (
        render_keys_template(OFF),
        render_terraform_file(ROLE, REGION, OFF, "acme"),
        commands.deploy_keys_command(),
        commands.create_keys_commands(),
    )
    assert all("rganisation" not in text for text in rendered)  # contract 34-38, 61-73
    assert commands.deploy_keys_command() == replace(commands, organisation=None).deploy_keys_command()


@pytest.mark.parametrize("which", KeyPurpose)
def test_check_accepts_the_tag_of_the_environments_organisation(which: KeyPurpose) -> None:
    report = check_policy(build_policy(which), which, ACME, ON)
    assert (report.is_usable, report.findings) == (True, ())


@pytest.mark.parametrize("which", KeyPurpose)
def test_check_names_the_statement_with_another_organisation(which: KeyPurpose) -> None:
    report = check_policy(build_policy(which, "globex"), which, ACME, ON)
    assert report.is_usable is False
    assert {one.code for one in report.findings} == {"policy.WrongOrganisation"}
    for finding in report.findings:
        assert f"StringEquals on {TAG} requires globex; the environment belongs to acme." in finding.message
        assert finding.paste[0]["Sid"] == finding.sid
        assert finding.paste[0]["Condition"]["StringEquals"][TAG] == "acme"


@pytest.mark.parametrize("which", KeyPurpose)
def test_check_reports_statements_that_work_for_every_organisation(which: KeyPurpose) -> None:
    report = check_policy(build_policy(which, vendor=OFF), which, ACME, ON)
    assert report.is_usable
    assert {one.code for one in report.findings} == {"policy.TooWide"}
    assert all("for every organisation, not only for acme" in one.message for one in report.findings)
    assert all(one.paste[0]["Condition"]["StringEquals"][TAG] == "acme" for one in report.findings)


def test_merge_replaces_statements_without_the_tag() -> None:
    before = json.dumps(build_policy(KeyPurpose.RDS, vendor=OFF), indent=2)
    merged = merge_policy(before, KeyPurpose.RDS, ROLE, REGION, ON, organisation="acme")
    assert (merged.replaced, merged.added) == ((ON.rds_describe_key_sid, ON.rds_grants_sid), ())
    assert json.loads(merged.text) == build_policy(KeyPurpose.RDS)
    assert not merge_policy(merged.text, KeyPurpose.RDS, ROLE, REGION, ON, organisation="acme").changed


@pytest.mark.parametrize(("organisation", "usable"), [("acme", True), ("globex", False)])
def test_diagnosis_knows_the_organisation(organisation: str, usable: bool) -> None:
    def collect(which: KeyPurpose) -> dict[str, Any]:
        arn = dict(KEYS.items())[which]
        metadata = {"Arn": arn, "KeyState": "Enabled", "KeyManager": "CUSTOMER"}
        policy = json.dumps(build_policy(which))
        return {"arn": arn, "describe_key": {"KeyMetadata": metadata}, "key_policy": {"Policy": policy}}

    facts: dict[str, Any] = {
        "format": "byok-keys/1",
        "platform_role_arn": ROLE,
        "region": REGION,
        "organisation": organisation,
    }
    facts |= {which.value: collect(which) for which in KeyPurpose}
    findings = diagnose_collected_keys(CollectedKeys.parse(json.dumps(facts)), ON)
    assert are_keys_usable(findings) is usable
    assert {one.code for one in findings} == (set() if usable else {"policy.WrongOrganisation"})


def test_script_for_the_diagnosis_passes_the_organisation_on() -> None:
    assert '"organisation": "acme"' in render_collection_script(ROLE, REGION, *KEYS.arns, "acme")
    assert "organisation" not in render_collection_script(ROLE, REGION, *KEYS.arns)


@pytest.mark.parametrize("which", KeyPurpose)
def test_remedy_shows_the_statement_with_the_tag(which: KeyPurpose) -> None:
    subject = RemedyContext(REGION, ROLE, ON, which, KEYS.s3_key_arn, organisation="acme")
    remedy = {KeyPurpose.S3: Remedy.S3_KEY_POLICY, KeyPurpose.RDS: Remedy.RDS_KEY}[which]
    assert f'"{TAG}": "acme"' in text_of(build_remediation(remedy, subject))
    assert TAG not in text_of(build_remediation(remedy, replace(subject, vendor=OFF)))
