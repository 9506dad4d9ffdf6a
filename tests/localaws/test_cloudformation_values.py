"""Test how CloudFormation converts YAML's booleans and numbers to text, in comparisons and in outputs."""

from typing import Any

import pytest

from tests.localaws.server import AwsHarness
from tests.localaws.test_rds_clusters import catch_error

STACK = "values"
TEMPLATE = """
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  CreateKey: {Type: String, Default: true, AllowedValues: [true, false]}
  Owner: {Type: String, Default: 012345678901}
  Days: {Type: Number, Default: 30}
Mappings:
  Accounts:
    444455556666: {known: yes}
Rules:
  OwnKey:
    RuleCondition: !Equals [!Ref CreateKey, true]
    Assertions:
      - Assert: !Contains [[true, false], !Ref CreateKey]
Conditions:
  IsCreated: !Equals [!Ref CreateKey, true]
Resources:
  Key:
    Type: AWS::KMS::Key
    Condition: IsCreated
    Properties:
      Description: true
      EnableKeyRotation: "true"
      RotationPeriodInDays: "180"
      PendingWindowInDays: "7"
      KeyPolicy:
        Version: 2012-10-17
        Statement:
          - Effect: Allow
            Principal: {AWS: !Ref AWS::AccountId}
            Action: kms:*
            Resource: '*'
            Condition: {StringEquals: {kms:CallerAccount: 444455556666}}
      Tags:
        - {Key: production, Value: YES}
  Other: {Type: AWS::KMS::Key, Properties: {Description: 1}}
Outputs:
  Created: {Value: !If [IsCreated, 'yes', 'no']}
  Flag: {Value: !Ref CreateKey}
  Joined: {Value: !Join [' ', [no, 7, !Ref Owner, !Sub '${CreateKey}']]}
  Found: {Value: !FindInMap [Accounts, !Ref AWS::AccountId, known]}
"""


@pytest.fixture
def outputs(aws: AwsHarness) -> dict[str, Any]:
    """The outputs of a stack that was created from the template."""
    cloudformation = aws.customer_client("cloudformation")
    cloudformation.create_stack(StackName=STACK, TemplateBody=TEMPLATE)
    (stack,) = cloudformation.describe_stacks(StackName=STACK)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    parameters = {one["ParameterKey"]: one["ParameterValue"] for one in stack["Parameters"]}
    assert parameters == {"CreateKey": "true", "Owner": "012345678901", "Days": "30"}
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


def test_booleans_and_numbers_are_text_to_functions(outputs: dict[str, Any]) -> None:
    joined = "false 7 012345678901 true"
    assert outputs == {"Created": "yes", "Flag": "true", "Joined": joined, "Found": "true"}


def test_properties_get_the_types_of_their_resource(aws: AwsHarness, outputs: dict[str, Any]) -> None:
    kms, cloudformation = aws.customer_client("kms"), aws.customer_client("cloudformation")
    resources = cloudformation.describe_stack_resources(StackName=STACK)["StackResources"]
    keys = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in resources}

    described = {name: kms.describe_key(KeyId=key)["KeyMetadata"]["Description"] for name, key in keys.items()}

    assert outputs["Created"] == "yes"
    assert described == {"Key": "true", "Other": "1"}
    assert kms.list_resource_tags(KeyId=keys["Key"])["Tags"] == [{"TagKey": "production", "TagValue": "true"}]
    assert kms.get_key_rotation_status(KeyId=keys["Key"])["RotationPeriodInDays"] == 180


def test_default_is_described_as_text(aws: AwsHarness) -> None:
    described = aws.customer_client("cloudformation").get_template_summary(TemplateBody=TEMPLATE)["Parameters"]

    assert {one["ParameterKey"]: one["DefaultValue"] for one in described} == {
        "CreateKey": "true",
        "Owner": "012345678901",
        "Days": "30",
    }


def test_value_that_does_not_match_its_pattern_is_refused(aws: AwsHarness) -> None:
    template = TEMPLATE.replace("Default: 012345678901", "AllowedPattern: '[0-9]{12}'")
    given = [{"ParameterKey": "Owner", "ParameterValue": "me"}]
    create = aws.customer_client("cloudformation").create_stack

    code, message = catch_error(create, StackName=STACK, TemplateBody=template, Parameters=given)

    assert (code, message) == ("ValidationError", "Parameter 'Owner' must match pattern [0-9]{12}")
