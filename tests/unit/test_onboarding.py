"""All onboarding artefacts grant the same permissions: the tests render, parse and evaluate each artefact."""

import json
import re
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from byok.domain.arns import KeyPair, KeyPurpose, partition_of_region
from byok.domain.iam.evaluator import AccessRequest, CallingPrincipal, evaluate_policy
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_policy,
    build_key_statements,
    build_owner_statement,
)
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.vendor import VendorProfile
from byok.onboarding.template import render_keys_template
from byok.onboarding.tenant_role import render_tenant_role_template
from byok.onboarding.terraform import render_terraform_file
from localaws.cloudformation.template import NO_VALUE, EvaluationScope, Template, parse_template

CUSTOMER = "444455556666"
REGIONS = ("eu-central-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1")
VENDORS = (VendorProfile(), VendorProfile(name="Globex", resource_prefix="globex", tag_prefix="globex"))
Policies = dict[KeyPurpose, dict[str, Any]]


def role_arn(region: str) -> str:
    return f"arn:{partition_of_region(region)}:iam::111122223333:role/vendor/Platform"


def evaluate_keys_template(region: str, vendor: VendorProfile, tenant: str = "") -> tuple[Template, EvaluationScope]:
    template = parse_template(render_keys_template(vendor))
    parameters = {vendor.role_parameter_name: role_arn(region), "PlatformRegion": region, "TenantName": tenant}
    pseudo: dict[str, Any] = {"AWS::Region": region, "AWS::AccountId": CUSTOMER, "AWS::NoValue": NO_VALUE}
    pseudo["AWS::Partition"] = partition_of_region(region)
    attributes = {name: {"Ref": f"{name}-id", "Arn": f"{name}-arn"} for name in ("S3Key", "RdsKey")}
    return template, EvaluationScope(template, parameters, pseudo, attributes)


def policies_from_template(region: str, vendor: VendorProfile) -> Policies:
    template, scope = evaluate_keys_template(region, vendor)
    resources = template.section("Resources")
    names = {KeyPurpose.S3: "S3Key", KeyPurpose.RDS: "RdsKey"}
    return {which: scope.evaluate(resources[name]["Properties"]["KeyPolicy"]) for which, name in names.items()}


def policies_from_terraform(region: str, vendor: VendorProfile) -> Policies:
    text = render_terraform_file(role_arn(region), region, vendor)
    policies = re.findall(r'resource "aws_kms_key" "(\w+)".*?jsonencode\((.*?)\n  \)', text, re.DOTALL) or re.findall(
        r'resource "aws_kms_key" "(\w+)".*?jsonencode\((\{.*?\n  \})\)', text, re.DOTALL
    )
    account = re.compile(r'format\("([^"]*)%s([^"]*)", data\.aws_caller_identity\.owner\.account_id\)')
    return {KeyPurpose(name): json.loads(account.sub(rf'"\g<1>{CUSTOMER}\g<2>"', policy)) for name, policy in policies}


def policies_from_commands(region: str, vendor: VendorProfile) -> Policies:
    text = CustomerCommands(role_arn(region), region, vendor, "keys").create_keys_commands()
    documents = [
        json.loads(text) for text in re.findall(r"--policy '(.*?)'\)", text.replace(INSERTED, CUSTOMER), re.DOTALL)
    ]
    return dict(zip(KeyPurpose, documents, strict=True))


INSERTED = "'\"$ACCOUNT\"'"


def policies_from_statements(region: str, vendor: VendorProfile) -> Policies:
    owner = build_owner_statement(f"arn:{partition_of_region(region)}:iam::{CUSTOMER}:root")
    grantee = StatementParameters.for_platform_role(role_arn(region), region)
    return {which: build_key_policy(owner, build_key_statements(which, grantee, vendor)) for which in KeyPurpose}


def build_all_access_requests(region: str) -> list[AccessRequest]:
    """Build an access request for every combination of caller, action and service, whether valid or invalid."""
    partition = partition_of_region(region)
    account = "111122223333"
    callers = [
        CallingPrincipal(f"arn:{partition}:sts::{account}:assumed-role/Platform/worker", account, role_arn(region)),
        CallingPrincipal(f"arn:{partition}:sts::{account}:assumed-role/Other/x", account, f"{role_arn(region)}Other"),
        CallingPrincipal(f"arn:{partition}:iam::999988887777:user/stranger", "999988887777"),
        CallingPrincipal(f"arn:{partition}:iam::{CUSTOMER}:user/administrator", CUSTOMER),
    ]
    actions = ["Encrypt", "Decrypt", "ReEncryptFrom", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"]
    actions += ["DescribeKey", "CreateGrant", "ListGrants", "RevokeGrant", "PutKeyPolicy", "ScheduleKeyDeletion"]
    ways = [None, *(f"{service}.{place}.amazonaws.com" for service in ("s3", "rds") for place in (region, "eu-west-3"))]
    return [
        AccessRequest(
            caller,
            f"kms:{action}",
            f"arn:{partition}:kms:{region}:{CUSTOMER}:key/1",
            {"aws:PrincipalAccount": caller.account}
            | ({"kms:ViaService": way} if way else {})
            | ({"kms:GrantIsForAWSResource": "true"} if for_resource else {}),
        )
        for caller in callers
        for action in actions
        for way in ways
        for for_resource in (False, True)
    ]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("artefact", [policies_from_template, policies_from_terraform, policies_from_commands])
def test_every_artefact_allows_and_denies_the_same_calls(
    artefact: Callable[[str, VendorProfile], Policies], region: str, vendor: VendorProfile
) -> None:
    made, meant = artefact(region, vendor), policies_from_statements(region, vendor)  # contract 33, 74-80

    assert set(made) == set(KeyPurpose)
    allowed = 0
    for which in KeyPurpose:
        for access in build_all_access_requests(region):
            expected = evaluate_policy(meant[which], access)
            assert evaluate_policy(made[which], access) == expected
            allowed += expected.allowed
    assert allowed > 0


@pytest.mark.parametrize("region", REGIONS)
def test_rendered_artefacts_contain_no_placeholder(region: str) -> None:
    commands = CustomerCommands(role_arn(region), region, VENDORS[0], "keys")
    keys = KeyPair(*(f"arn:{partition_of_region(region)}:kms:{region}:{CUSTOMER}:key/{number}" for number in "12"))
    rendered = [
        *(json.dumps(policy) for policy in policies_from_statements(region, VENDORS[0]).values()),
        render_terraform_file(role_arn(region), region, VENDORS[0]),
        commands.deploy_keys_command(),
        commands.deploy_keys_command("acme"),
        commands.print_payload_command(),
        commands.create_keys_commands(),
        commands.name_key_commands(KeyPurpose.S3, keys.s3_key_arn, "acme"),
        commands.deploy_tenant_role_command(keys, "external-id"),
        *commands.name_keys_commands(keys, "acme", "external-id"),
    ]
    for text in rendered:
        assert "${" not in text  # contract 26
        assert not re.search(r"<[a-z -]+>", text)
        assert "amazonaws.com.cn" not in text  # contract 65: the suffix is the same in every partition


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
@pytest.mark.parametrize("template", [render_keys_template, render_tenant_role_template])
def test_templates_pass_cfn_lint(template: Callable[[VendorProfile], str], vendor: VendorProfile) -> None:
    from cfnlint.api import ManualArgs, lint  # imported here because cfn-lint takes a second to load

    strictly = ManualArgs(include_checks=["I"], regions=["ALL_REGIONS"])  # including informational findings

    assert [str(finding) for finding in lint(template(vendor), config=strictly)] == []


def test_keys_template_has_the_documented_names() -> None:
    template = parse_template(render_keys_template(VendorProfile()))
    resources = template.section("Resources")

    assert list(template.section("Parameters")) == [
        "AtaccamaPlatformRoleArn",
        "PlatformRegion",
        "TenantName",
    ]  # contract 34-37
    assert "AtaccamaOnboardingPayload" in template.section("Outputs")  # contract 45
    keys = [one for one in resources.values() if one["Type"] == "AWS::KMS::Key"]
    assert len(keys) == 2  # contract 32
    assert {one["DeletionPolicy"] for one in keys} == {one["UpdateReplacePolicy"] for one in keys} == {"Retain"}  # D12
    assert not [one for one in resources.values() if "IAM" in one["Type"]]  # contract 43


def test_keys_template_creates_symmetric_keys_that_rotate_with_the_name_of_the_tenant() -> None:
    template, scope = evaluate_keys_template("eu-central-1", VendorProfile(), tenant="acme")
    resources = {name: scope.evaluate(one["Properties"]) for name, one in template.section("Resources").items()}

    tags = [{"Key": key, "Value": "acme"} for key in ("ataccama:automation:TenantName", "aatn")]  # contract 101, 102
    for name, purpose in (("S3Key", KeyPurpose.S3), ("RdsKey", KeyPurpose.RDS)):
        assert {key: value for key, value in resources[name].items() if key != "KeyPolicy"} == {
            "Description": f"Ataccama BYOK: {purpose.encrypted_data}",
            "KeySpec": "SYMMETRIC_DEFAULT",  # contract 52
            "KeyUsage": "ENCRYPT_DECRYPT",
            "EnableKeyRotation": True,  # contract 113
            "Tags": tags,
        }
    assert {resources[name]["TargetKeyId"]: resources[name]["AliasName"] for name in ("S3KeyAlias", "RdsKeyAlias")} == {
        "S3Key-id": "alias/ataccama-objectstorage-byok-encryption-key-alias-for-acme",  # contract 103
        "RdsKey-id": "alias/ataccama-database-byok-db-key-alias-acme",  # contract 104
    }
    outputs = {name: scope.evaluate(one["Value"]) for name, one in template.section("Outputs").items()}
    assert outputs == {
        "AtaccamaOnboardingPayload": '{"S3KmsKeyArn":"S3Key-arn","RdsKmsKeyArn":"RdsKey-arn"}',  # contract 46-48
        "S3KeyArn": "S3Key-arn",
        "RdsKeyArn": "RdsKey-arn",
    }


def test_keys_have_neither_tags_nor_aliases_before_the_tenant_name_is_known() -> None:
    template, scope = evaluate_keys_template("eu-central-1", VendorProfile())  # contract 36

    resources = template.section("Resources")
    assert not scope.evaluate_named_condition("HasTenantName")
    assert {name for name, one in resources.items() if one.get("Condition")} == {"S3KeyAlias", "RdsKeyAlias"}
    assert {one["Condition"] for one in resources.values() if "Condition" in one} == {"HasTenantName"}
    assert "Tags" not in scope.evaluate(resources["S3Key"]["Properties"])


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
def test_template_refuses_values_that_byok_refuses(vendor: VendorProfile) -> None:
    parameters = parse_template(render_keys_template(vendor)).section("Parameters")
    patterns = {name: re.compile(one["AllowedPattern"]) for name, one in parameters.items()}

    assert all(patterns["PlatformRegion"].search(region) for region in REGIONS)
    assert all(patterns[vendor.role_parameter_name].search(role_arn(region)) for region in REGIONS)
    for name, value in (
        ("PlatformRegion", "eu-central"),
        (vendor.role_parameter_name, f"arn:aws:iam::{CUSTOMER}:root"),
        ("TenantName", "a b"),
        ("TenantName", "a" * (vendor.tenant_name_max_length + 1)),  # contract 105
    ):
        assert not patterns[name].search(value)
    assert parameters["TenantName"]["Default"] == ""  # contract 36
    (rule,) = parse_template(render_keys_template(vendor)).section("Rules").values()
    (assertion,) = rule["Assertions"]  # contract 54
    assert assertion["Assert"] == {"Fn::Equals": [{"Ref": "AWS::Region"}, {"Ref": "PlatformRegion"}]}
    assert "--region" in assertion["AssertDescription"]
    terraform = render_terraform_file(role_arn(REGIONS[0]), REGIONS[0], vendor)
    assert f'regex("{patterns["TenantName"].pattern}", var.tenant_name)' in terraform


@pytest.mark.parametrize("render", [render_keys_template, render_tenant_role_template])
def test_every_parameter_and_output_is_explained(render: Callable[[VendorProfile], str]) -> None:
    text = render(VENDORS[0])
    template = parse_template(text)

    for parameter in template.section("Parameters").values():
        assert set(parameter) - {"Default"} == {"Type", "Description", "AllowedPattern", "ConstraintDescription"}
        assert parameter["Type"] == "String"
    assert {frozenset(one) for one in template.section("Outputs").values()} == {frozenset(("Description", "Value"))}
    assert not re.search(r"!Ref '\w+'", text), "the usual style has no quotes here"


def test_console_groups_every_parameter_under_a_label() -> None:
    template = parse_template(render_keys_template(VENDORS[0]))
    groups = template.section("Metadata")["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert [name for group in groups for name in group["Parameters"]] == list(template.section("Parameters"))
    assert all(group["Label"]["default"] for group in groups)


@pytest.mark.parametrize("template", [render_keys_template, render_tenant_role_template])
def test_vendor_profile_changes_every_name_in_every_artefact(template: Callable[[VendorProfile], str]) -> None:
    region, globex = REGIONS[0], VENDORS[1]
    commands = CustomerCommands(role_arn(region), region, globex, "keys")
    artefacts = [
        template(globex),
        render_terraform_file(role_arn(region), region, globex),
        commands.create_keys_commands(),
        commands.deploy_keys_command("acme"),
        commands.print_payload_command(),
        commands.name_key_commands(KeyPurpose.RDS, "arn:aws:kms:eu-central-1:444455556666:key/1", "acme"),
    ]
    for text in artefacts:
        assert "globex" in text.lower()
        assert "ataccama" not in text.lower()
        assert "aatn" not in text


def split_shell_words(text: str) -> list[str]:
    """Split a command into words, as a shell does."""
    listing = subprocess.run(
        ["bash", "-c", f"aws() {{ printf '%s\\n' \"$@\"; }}\n{text}"], capture_output=True, text=True, check=True
    )
    return listing.stdout.splitlines()


def test_deploy_command_matches_the_guide_token_for_token() -> None:
    arn = "arn:aws:iam::111122223333:role/AtaccamaPlatform"
    commands = CustomerCommands(arn, "eu-central-1", VendorProfile(), stack_name="my-keys")

    assert split_shell_words(commands.deploy_keys_command()) == (  # contract 38, 39
        "cloudformation deploy --profile byok --template-file byok-kms-keys.yaml --stack-name my-keys "
        f"--parameter-overrides AtaccamaPlatformRoleArn={arn} PlatformRegion=eu-central-1 --region eu-central-1"
    ).split(" ")
    assert "TenantName=acme" in split_shell_words(commands.deploy_keys_command("acme"))  # contract 108


def test_payload_command_matches_the_guide_exactly() -> None:
    text = CustomerCommands(
        "arn:aws:iam::111122223333:role/R", "eu-central-1", VendorProfile(), "keys"
    ).print_payload_command()

    assert r'"Stacks[0].Outputs[?OutputKey==\`AtaccamaOnboardingPayload\`].OutputValue"' in text  # contract 49
    assert split_shell_words(text)[-3:] == [
        *("Stacks[0].Outputs[?OutputKey==`AtaccamaOnboardingPayload`].OutputValue", "--output", "text")
    ]


def test_user_input_is_quoted_for_the_shell() -> None:
    commands = CustomerCommands(
        "arn:aws:iam::111122223333:role/R",
        "eu-central-1",
        VendorProfile(),
        profile="my profile; id",
        stack_name="$(id)",
    )
    assert "my profile; id" in split_shell_words(commands.deploy_keys_command())
    assert "$(id)" in split_shell_words(commands.print_payload_command())


def test_comments_contain_no_characters_special_to_zsh() -> None:
    commands = CustomerCommands(role_arn(REGIONS[0]), REGIONS[0], VENDORS[0], "keys").name_keys_commands(
        KeyPair("a", "b"), "acme", "external-id"
    )
    comments = [line for command in commands for line in command.splitlines() if line.startswith("#")]
    assert len(comments) >= len(commands)
    for line in comments:
        assert not set(line) & set("()'\"`$;&|<>*?[]{}!"), line


def test_commands_for_the_role_are_left_out_without_the_external_id() -> None:
    commands = CustomerCommands(role_arn(REGIONS[0]), REGIONS[0], VENDORS[0], "keys")
    known, unknown = (commands.name_keys_commands(KeyPair("a", "b"), "acme", one) for one in ("its-id", None))
    assert known[:-1] == unknown
    assert "ExternalId=its-id" in known[-1]


@pytest.mark.parametrize(("name", "output"), [("Ataccama", "ataccama"), ("IBM", "ibm"), ("GlobexCorp", "globex_corp")])
def test_terraform_output_name_is_in_snake_case(name: str, output: str) -> None:
    text = render_terraform_file(role_arn(REGIONS[0]), REGIONS[0], VendorProfile(name=name))
    assert f'output "{output}_onboarding_payload"' in text
