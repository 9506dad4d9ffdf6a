"""The rules in a template contain assertions about the template's parameters.

If an assertion fails, CloudFormation does not change anything.
"""

import json
from typing import Any

import pytest

from byok.domain.onboarding.customer_commands import TENANT_ROLE_ARN_OUTPUT
from byok.onboarding.template import render_keys_template
from byok.onboarding.tenant_role import render_tenant_role_template
from localaws.accounts import PLATFORM_ROLE_ARN
from tests.localaws.server import EXTERNAL_ID, REGION, VENDOR, AwsHarness
from tests.localaws.test_cloudformation import build_parameters
from tests.localaws.test_rds_clusters import catch_error

ELSEWHERE = "eu-west-1"
STACK = "ruled"


def build_template_with_rule(**rule: Any) -> str:
    """Build a template that has one key and one rule."""
    return json.dumps(
        {
            "Parameters": {
                "Stage": {"Type": "String", "Default": "test"},
                "Sizes": {"Type": "CommaDelimitedList", "Default": "a,b"},
            },
            "Rules": {"TheRule": rule},
            "Resources": {"Key": {"Type": "AWS::KMS::Key", "Properties": {}}},
        }
    )


def build_template_with_assertion(test: Any, **more: Any) -> str:
    return build_template_with_rule(Assertions=[{"Assert": test, "AssertDescription": "It must be so."}], **more)


def to_parameter_list(**values: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


# contract 54
def test_keys_are_not_created_outside_the_environments_region(aws: AwsHarness) -> None:
    there = aws.customer_client("cloudformation", ELSEWHERE)
    wanted = {"StackName": STACK, "TemplateBody": render_keys_template(VENDOR), "Parameters": build_parameters()}

    for operation, more in ((there.create_stack, {}), (there.create_change_set, _NEW)):
        code, message = catch_error(operation, **wanted, **more)
        assert code == "ValidationError"
        assert "a different Region from the environment" in message

    assert there.list_stacks()["StackSummaries"] == []
    assert aws.customer_client("kms", ELSEWHERE).list_keys()["Keys"] == []


_NEW = {"ChangeSetName": "first", "ChangeSetType": "CREATE"}


def test_keys_are_not_moved_out_of_the_environments_region(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    wanted = {"StackName": STACK, "TemplateBody": render_keys_template(VENDOR)}
    cloudformation.create_stack(**wanted, Parameters=build_parameters())

    moved = build_parameters() + to_parameter_list(PlatformRegion=ELSEWHERE)
    for operation, more in (
        (cloudformation.update_stack, {}),
        (cloudformation.create_change_set, {"ChangeSetName": "next"}),
    ):
        assert "a different Region" in catch_error(operation, **wanted, Parameters=moved, **more)[1]

    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}["PlatformRegion"] == REGION


def test_tenant_role_names_the_keys_from_any_region(aws: AwsHarness) -> None:
    s3, rds = aws.create_s3_key(), aws.create_rds_key()
    there = aws.customer_client("cloudformation", ELSEWHERE)
    there.create_stack(
        StackName=STACK,
        TemplateBody=render_tenant_role_template(VENDOR),
        Parameters=to_parameter_list(
            AtaccamaPlatformRoleArn=PLATFORM_ROLE_ARN, S3KmsKeyArn=s3, RdsKmsKeyArn=rds, ExternalId=EXTERNAL_ID
        ),
        Capabilities=["CAPABILITY_IAM"],
    )
    outputs = there.describe_stacks(StackName=STACK)["Stacks"][0]["Outputs"]
    role = next(one["OutputValue"] for one in outputs if one["OutputKey"] == TENANT_ROLE_ARN_OUTPUT)

    kms = aws.assumed_role_client("kms", role)
    alias = "alias/ataccama-database-byok-db-key-alias-acme"
    kms.create_alias(AliasName=alias, TargetKeyId=rds)

    assert [one["AliasName"] for one in kms.list_aliases(KeyId=rds)["Aliases"]] == [alias]


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ({"Fn::Equals": [{"Ref": "Stage"}, "test"]}, True),
        ({"Fn::Equals": [{"Ref": "AWS::Region"}, REGION]}, True),
        ({"Fn::Equals": [{"Ref": "AWS::AccountId"}, "111122223333"]}, False),
        ({"Fn::Not": [{"Fn::Equals": [{"Ref": "Stage"}, "test"]}]}, False),
        ({"Fn::Contains": [["dev", "test"], {"Ref": "Stage"}]}, True),
        ({"Fn::Contains": [{"Ref": "Sizes"}, "c"]}, False),
        ({"Fn::And": [{"Fn::Contains": [{"Ref": "Sizes"}, one]} for one in "ac"]}, False),
        ({"Fn::Or": [{"Fn::Contains": [{"Ref": "Sizes"}, one]} for one in "ac"]}, True),
        ({"Fn::EachMemberIn": [{"Ref": "Sizes"}, ["a", "b", "c"]]}, True),
        ({"Fn::EachMemberEquals": [{"Ref": "Sizes"}, "a"]}, False),
    ],
)
def test_assertion_is_evaluated_before_anything_is_created(aws: AwsHarness, test: Any, holds: bool) -> None:
    cloudformation = aws.customer_client("cloudformation")
    wanted = {"StackName": STACK, "TemplateBody": build_template_with_assertion(test)}
    if holds:
        cloudformation.create_stack(**wanted)
    else:
        assert "TheRule failed: It must be so." in catch_error(cloudformation.create_stack, **wanted)[1]

    assert len(aws.customer_client("kms").list_keys()["Keys"]) == holds


def test_rule_with_a_false_condition_is_skipped(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    never = {"Fn::Equals": [{"Ref": "Stage"}, "never"]}
    template = build_template_with_assertion(never, RuleCondition={"Fn::Equals": [{"Ref": "Stage"}, "prod"]})

    cloudformation.create_stack(StackName=STACK, TemplateBody=template)
    again = {"StackName": STACK, "UsePreviousTemplate": True, "Parameters": to_parameter_list(Stage="prod")}

    assert "It must be so." in catch_error(cloudformation.update_stack, **again)[1]


@pytest.mark.parametrize(
    ("rule", "code", "words"),
    [
        ({}, "ValidationError", "Assertions"),
        ({"Assertions": []}, "ValidationError", "Assertions"),
        ({"Assertions": [{"Assert": {"Fn::Equals": ["a", "a"]}}], "Then": "x"}, "ValidationError", "no other member"),
        ({"Assertions": [{"AssertDescription": "x"}]}, "ValidationError", "has an Assert"),
        ({"Assertions": [{"Assert": "true"}]}, "ValidationError", "true or false"),
        ({"Assertions": [{"Assert": {"Fn::Equals": ["a"]}}]}, "ValidationError", "2 parameters"),
        ({"Assertions": [{"Assert": {"Fn::Equals": [{"Ref": "Key"}, "a"]}}]}, "ValidationError", "reference Key"),
        ({"Assertions": [{"Assert": {"Fn::Equals": [{"Fn::Sub": "a"}, "a"]}}]}, "ValidationError", "Fn::Sub"),
        ({"Assertions": [{"Assert": {"Condition": "C"}}]}, "ValidationError", "true or false"),
        ({"Assertions": [{"Assert": {"Fn::Not": ["x"]}}]}, "ValidationError", "true or false"),
        (
            {"Assertions": [{"Assert": {"Fn::Contains": [{"Fn::RefAll": "AWS::EC2::VPC::Id"}, "a"]}}]},
            "NotImplemented",
            "Fn::RefAll",
        ),
    ],
)
def test_invalid_or_unmodelled_rule_is_refused(aws: AwsHarness, rule: Any, code: str, words: str) -> None:
    cloudformation = aws.customer_client("cloudformation")
    for operation in (cloudformation.validate_template, cloudformation.create_stack):
        more = {} if operation == cloudformation.validate_template else {"StackName": STACK}
        told = catch_error(operation, TemplateBody=build_template_with_rule(**rule), **more)
        assert told[0] == code
        assert words in told[1]
