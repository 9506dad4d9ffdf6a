"""The files that send AWS events to byok are valid, and forward exactly the events that byok uses (contract 141)."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from byok.api.routes.aws_events import EVENT_HEADER
from byok.domain.aws_events import KMS_DETAIL_TYPES, KMS_OPERATIONS, MAX_AGE, RDS_EVENT_IDS
from tests.programs import ROOT, Terraform

FOLDER: Final = ROOT / "deploy" / "eventbridge"
PLATFORM: Final = FOLDER / "platform" / "byok-aws-events.yaml"
CUSTOMER: Final = FOLDER / "customer" / "byok-key-events.yaml"
CLOUDTRAIL: Final = "AWS API Call via CloudTrail"


def parse(template: Path) -> dict[str, Any]:
    """Parse a template. cfn-lint resolves short forms such as `!Ref`."""
    from cfnlint.decode import cfn_yaml  # imported here because cfn-lint takes a second to load

    found: dict[str, Any] = cfn_yaml.loads(template.read_text())
    return found


def read_resources(template: Path, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of a template's resources of one type."""
    resources = parse(template)["Resources"]
    return {name: one["Properties"] for name, one in resources.items() if one["Type"] == f"AWS::{kind}"}


@pytest.mark.parametrize("template", [PLATFORM, CUSTOMER], ids=["platform", "customer"])
def test_template_passes_cfn_lint(template: Path) -> None:
    from cfnlint.api import ManualArgs, lint  # imported here because cfn-lint takes a second to load

    assert lint(template.read_text(), config=ManualArgs(regions=["eu-central-1"])) == []


def test_rules_forward_the_events_that_byok_uses() -> None:
    platform, customer = read_resources(PLATFORM, "Events::Rule"), read_resources(CUSTOMER, "Events::Rule")
    patterns = {name: one["EventPattern"] for name, one in (platform | customer).items()}

    assert set(patterns["RdsRule"]["detail"]["EventID"]) == RDS_EVENT_IDS  # contract 141
    assert set(patterns["KmsRule"]["detail-type"]) == KMS_DETAIL_TYPES
    assert set(patterns["CloudTrailRule"]["detail"]["eventName"]) == KMS_OPERATIONS
    assert set(patterns["KeyRule"]["detail-type"]) == KMS_DETAIL_TYPES | {CLOUDTRAIL}
    for rule in platform.values():
        assert [one["RetryPolicy"]["MaximumEventAgeInSeconds"] for one in rule["Targets"]] == [MAX_AGE.total_seconds()]


def test_secret_is_sent_in_the_header_and_never_shown() -> None:
    (connection,) = read_resources(PLATFORM, "Events::Connection").values()
    key = connection["AuthParameters"]["ApiKeyAuthParameters"]
    content = parse(PLATFORM)

    assert key["ApiKeyName"] == EVENT_HEADER
    assert content["Parameters"]["EventSecret"]["NoEcho"] in (True, "true")
    assert "EventSecret" not in str(content["Outputs"])


def test_customer_needs_no_secret_and_sends_only_events_about_the_two_keys() -> None:
    keys = [{"Ref": "S3KmsKeyArn"}, {"Ref": "RdsKmsKeyArn"}]
    rules = read_resources(CUSTOMER, "Events::Rule")

    assert rules["KmsRule"]["EventPattern"]["resources"] == keys
    assert rules["CloudTrailRule"]["EventPattern"]["detail"]["resources"]["ARN"] == keys
    assert "Secret" not in CUSTOMER.read_text()
    (role,) = read_resources(CUSTOMER, "IAM::Role").values()
    (statement,) = role["Policies"][0]["PolicyDocument"]["Statement"]
    assert statement["Action"] == "events:PutEvents"


@pytest.mark.parametrize("template", [PLATFORM, CUSTOMER], ids=["platform", "customer"])
def test_terraform_file_forwards_the_same_events(template: Path) -> None:
    def list_names(text: str) -> set[str]:
        return set(
            re.findall(rf"RDS-EVENT-\d+|KMS (?:CMK|Imported)[ \w]+|{CLOUDTRAIL}|{'|'.join(KMS_OPERATIONS)}", text)
        )

    cloudformation = list_names(template.read_text())
    assert len(cloudformation) > 5
    assert list_names(template.with_suffix(".tf").read_text()) == cloudformation


@pytest.mark.parametrize("template", [PLATFORM, CUSTOMER], ids=["platform", "customer"])
def test_terraform_file_is_valid(template: Path, terraform: Terraform, tmp_path: Path) -> None:
    file = template.with_suffix(".tf")
    shutil.copy(file, tmp_path)
    subprocess.run([terraform.program, *terraform.init_arguments(tmp_path)], check=True, capture_output=True)
    for arguments in (("validate", "-no-color"), ("fmt", "-check", "-diff")):
        command = [terraform.program, f"-chdir={tmp_path}", *arguments]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
