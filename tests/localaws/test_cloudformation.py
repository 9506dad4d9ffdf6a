"""Deploy the customer's template as a customer would: with API calls, and with `aws cloudformation deploy`."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.exceptions import ClientError, WaiterError

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import (
    StatementParameters,
    build_key_statements,
    build_owner_statement,
)
from byok.onboarding.kit import OnboardingKit
from byok.onboarding.template import render_keys_template
from localaws.accounts import PLATFORM_ROLE_ARN, write_aws_config
from localaws.state import CUSTOMER_ACCOUNT
from tests.localaws.server import REGION, VENDOR, AwsHarness
from tests.localaws.test_rds_clusters import build_cluster_params, catch_error

TEMPLATE: Final = render_keys_template(VENDOR)
STACK_NAME: Final = "byok-keys"


def build_parameters(**more: str) -> list[dict[str, str]]:
    """Build the parameters of the template."""
    values = {"AtaccamaPlatformRoleArn": PLATFORM_ROLE_ARN, "PlatformRegion": REGION, **more}
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in values.items()]


def get_payload(cloudformation: Any) -> dict[str, str]:
    """Parse and return the onboarding payload from the stack's outputs."""
    outputs = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]["Outputs"]
    text = next(one["OutputValue"] for one in outputs if one["OutputKey"] == "AtaccamaOnboardingPayload")
    parsed: dict[str, str] = json.loads(text)
    return parsed


def describe_stack(cloudformation: Any) -> dict[str, Any]:
    """Return the stack's description."""
    found: dict[str, Any] = cloudformation.describe_stacks(StackName=STACK_NAME)["Stacks"][0]
    return found


def deploy(cloudformation: Any, name: str, **more: str) -> str:
    """Make the same API calls as `aws cloudformation deploy`, and return the stack's final status."""
    try:
        exists = describe_stack(cloudformation)["StackStatus"] != "REVIEW_IN_PROGRESS"
    except ClientError as error:
        # The AWS CLI recognises a missing stack only by this exact message.
        if error.response["Error"]["Message"] != f"Stack with id {STACK_NAME} does not exist":
            raise
        exists = False
    kind, wanted = ("UPDATE", "stack_update_complete") if exists else ("CREATE", "stack_create_complete")
    made = cloudformation.create_change_set(
        StackName=STACK_NAME,
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=TEMPLATE,
        Parameters=build_parameters(**more),
    )
    cloudformation.get_waiter("change_set_create_complete").wait(ChangeSetName=made["Id"], StackName=STACK_NAME)
    cloudformation.execute_change_set(ChangeSetName=made["Id"], StackName=STACK_NAME)
    cloudformation.get_waiter(wanted).wait(StackName=STACK_NAME)
    status: str = describe_stack(cloudformation)["StackStatus"]
    return status


# contract 32, 33, 37, 44-48, 52, 54, 113
def test_stack_creates_both_keys_and_the_payload(aws: AwsHarness) -> None:
    cloudformation, kms = aws.customer_client("cloudformation"), aws.customer_client("kms")
    cloudformation.create_stack(StackName=STACK_NAME, TemplateBody=TEMPLATE, Parameters=build_parameters())
    assert describe_stack(cloudformation)["StackStatus"] == "CREATE_COMPLETE"
    keys = get_payload(cloudformation)
    assert list(keys) == ["S3KmsKeyArn", "RdsKmsKeyArn"]
    assert {one["KeyArn"] for one in kms.list_keys()["Keys"]} == set(keys.values())
    owner = build_owner_statement(f"arn:aws:iam::{CUSTOMER_ACCOUNT}:root")
    grantee = StatementParameters.for_platform_role(PLATFORM_ROLE_ARN, REGION)
    for which, arn in zip(KeyPurpose, keys.values(), strict=True):
        made = kms.describe_key(KeyId=arn)["KeyMetadata"]
        assert (made["KeySpec"], made["KeyUsage"], made["Enabled"]) == ("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", True)
        assert kms.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"] is True
        policy = json.loads(kms.get_key_policy(KeyId=arn)["Policy"])
        assert policy["Statement"] == [owner, *build_key_statements(which, grantee, VENDOR)]


# contract 41
@pytest.mark.parametrize("name", ["k", "K" + "-9" * 63 + "z"], ids=["shortest", "longest"])
def test_every_valid_stack_name_works(aws: AwsHarness, name: str) -> None:
    OnboardingKit.for_region(PLATFORM_ROLE_ARN, REGION, VENDOR, stack_name=name)
    cloudformation = aws.customer_client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=TEMPLATE, Parameters=build_parameters())
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"


# contract 74, 80
def test_stack_keys_obey_their_policies_in_rds_and_s3(aws: AwsHarness) -> None:
    aws.customer_client("cloudformation").create_stack(
        StackName=STACK_NAME, TemplateBody=TEMPLATE, Parameters=build_parameters()
    )
    keys = get_payload(aws.customer_client("cloudformation"))
    rds, s3 = aws.platform_client("rds"), aws.platform_client("s3")
    assert (
        rds.create_db_cluster(**build_cluster_params(keys["RdsKmsKeyArn"]))["DBCluster"]["KmsKeyId"]
        == keys["RdsKmsKeyArn"]
    )
    other = build_cluster_params(keys["S3KmsKeyArn"], DBClusterIdentifier="other")
    assert catch_error(rds.create_db_cluster, **other)[0] == "KMSKeyNotAccessibleFault"
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    put = {"Bucket": "bucket", "Key": "k", "Body": b"x", "ServerSideEncryption": "aws:kms"}
    s3.put_object(**put, SSEKMSKeyId=keys["S3KmsKeyArn"])
    assert catch_error(s3.put_object, **put, SSEKMSKeyId=keys["RdsKmsKeyArn"])[0] == "AccessDenied"
    assert catch_error(aws.platform_client("kms").describe_key, KeyId=keys["S3KmsKeyArn"])[0] == "AccessDeniedException"


# contract 36, 101-104, 106, 108-110
def test_redeploying_with_a_tenant_adds_aliases_and_tags_and_keeps_the_keys(aws: AwsHarness) -> None:
    cloudformation, kms = aws.customer_client("cloudformation"), aws.customer_client("kms")
    assert deploy(cloudformation, "first") == "CREATE_COMPLETE"
    before = get_payload(cloudformation)
    assert kms.list_aliases()["Aliases"] == []
    assert deploy(cloudformation, "second", TenantName="acme") == "UPDATE_COMPLETE"
    assert get_payload(cloudformation) == before
    names = {alias["AliasName"]: alias["TargetKeyId"] for alias in kms.list_aliases()["Aliases"]}
    assert names == {
        "alias/ataccama-objectstorage-byok-encryption-key-alias-for-acme": before["S3KmsKeyArn"].rpartition("/")[2],
        "alias/ataccama-database-byok-db-key-alias-acme": before["RdsKmsKeyArn"].rpartition("/")[2],
    }
    for arn in before.values():
        tags = {tag["TagKey"]: tag["TagValue"] for tag in kms.list_resource_tags(KeyId=arn)["Tags"]}
        assert tags == {"ataccama:automation:TenantName": "acme", "aatn": "acme"}


def test_change_set_lists_its_changes(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    deploy(cloudformation, "first")
    cloudformation.create_change_set(
        StackName=STACK_NAME,
        ChangeSetName="next",
        TemplateBody=TEMPLATE,
        Parameters=build_parameters(TenantName="acme"),
    )
    changes = cloudformation.describe_change_set(StackName=STACK_NAME, ChangeSetName="next")["Changes"]
    assert {
        (one["LogicalResourceId"], one["Action"], one.get("Replacement"))
        for one in (change["ResourceChange"] for change in changes)
    } == {
        ("S3Key", "Modify", "False"),
        ("RdsKey", "Modify", "False"),
        ("S3KeyAlias", "Add", None),
        ("RdsKeyAlias", "Add", None),
    }
    assert aws.customer_client("kms").list_aliases()["Aliases"] == []


def test_deploying_the_same_template_again_changes_nothing(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    deploy(cloudformation, "first")
    made = cloudformation.create_change_set(
        StackName=STACK_NAME, ChangeSetName="again", TemplateBody=TEMPLATE, Parameters=build_parameters()
    )
    with pytest.raises(WaiterError) as error:
        cloudformation.get_waiter("change_set_create_complete").wait(ChangeSetName=made["Id"])
    assert error.value.last_response["StatusReason"].startswith("The submitted information didn't contain changes.")
    same = {"StackName": STACK_NAME, "UsePreviousTemplate": True, "Parameters": build_parameters()}
    assert catch_error(cloudformation.update_stack, **same) == (
        "ValidationError",
        "No updates are to be performed.",
    )


def test_previous_values_are_used_on_request(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")
    deploy(cloudformation, "first")
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in ("AtaccamaPlatformRoleArn", "PlatformRegion")]
    cloudformation.update_stack(
        StackName=STACK_NAME,
        UsePreviousTemplate=True,
        Parameters=[*kept, {"ParameterKey": "TenantName", "ParameterValue": "acme"}],
    )
    assert len(aws.customer_client("kms").list_aliases()["Aliases"]) == 2


def build_key_template(**properties: Any) -> str:
    """Build a template that creates a key with these properties and outputs the key's ARN."""
    key = {"Type": "AWS::KMS::Key", "Properties": {"Description": "One key.", **properties}}
    return json.dumps({"Resources": {"S3Key": key}, "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["S3Key", "Arn"]}}}})


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({"Version": "2012-10-17"}, "no Statement"),
        (
            {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": PLATFORM_ROLE_ARN},
                        "Action": "kms:DescribeKey",
                        "Resource": "*",
                    }
                ]
            },
            "will not allow you to update the key policy in the future",
        ),
    ],
    ids=["malformed", "lock-out"],
)
def test_refused_key_policy_rolls_the_stack_back_and_says_why(
    aws: AwsHarness, policy: dict[str, Any], words: str
) -> None:
    cloudformation = aws.customer_client("cloudformation")
    cloudformation.create_stack(StackName=STACK_NAME, TemplateBody=build_key_template(KeyPolicy=policy))
    assert describe_stack(cloudformation)["StackStatus"] == "ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    failed = next(one for one in events if one["ResourceStatus"] == "CREATE_FAILED")
    assert (failed["LogicalResourceId"], words in failed["ResourceStatusReason"]) == ("S3Key", True)
    assert aws.customer_client("kms").list_keys()["Keys"] == []


def test_refused_update_is_rolled_back(aws: AwsHarness) -> None:
    cloudformation, kms = aws.customer_client("cloudformation"), aws.customer_client("kms")
    cloudformation.create_stack(
        StackName=STACK_NAME, TemplateBody=build_key_template(Tags=[{"Key": "a", "Value": "1"}])
    )
    arn = describe_stack(cloudformation)["Outputs"][0]["OutputValue"]
    policy = kms.get_key_policy(KeyId=arn)["Policy"]
    bad = build_key_template(Description="new", KeyPolicy={"Version": "2012-10-17"}, Tags=[{"Key": "a", "Value": "2"}])
    cloudformation.update_stack(StackName=STACK_NAME, TemplateBody=bad)
    assert describe_stack(cloudformation)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert kms.get_key_policy(KeyId=arn)["Policy"] == policy
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["Description"] == "One key."
    assert kms.list_resource_tags(KeyId=arn)["Tags"] == [{"TagKey": "a", "TagValue": "1"}]


def test_key_kind_comes_from_the_template_and_cannot_be_changed(aws: AwsHarness) -> None:
    cloudformation, kms = aws.customer_client("cloudformation"), aws.customer_client("kms")
    kind = {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "MultiRegion": True, "Enabled": False}
    cloudformation.create_stack(StackName=STACK_NAME, TemplateBody=build_key_template(**kind))
    arn = describe_stack(cloudformation)["Outputs"][0]["OutputValue"]
    made = kms.describe_key(KeyId=arn)["KeyMetadata"]
    assert {name: made[name] for name in kind} == kind
    cloudformation.update_stack(StackName=STACK_NAME, TemplateBody=build_key_template(**kind | {"KeySpec": "RSA_4096"}))
    assert describe_stack(cloudformation)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeySpec"] == "RSA_2048"


# contract 111, 112, D12
def test_deleting_the_stack_keeps_retained_keys_and_schedules_the_others(aws: AwsHarness) -> None:
    cloudformation, kms = aws.customer_client("cloudformation"), aws.customer_client("kms")
    deploy(cloudformation, "first", TenantName="acme")
    retained = get_payload(cloudformation)
    cloudformation.create_stack(StackName="other", TemplateBody=build_key_template(PendingWindowInDays=7))
    lost = cloudformation.describe_stacks(StackName="other")["Stacks"][0]["Outputs"][0]["OutputValue"]
    for name in (STACK_NAME, "other"):
        cloudformation.delete_stack(StackName=name)
        assert catch_error(cloudformation.describe_stacks, StackName=name)[0] == "ValidationError"
    assert {kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] for arn in retained.values()} == {"Enabled"}
    gone = kms.describe_key(KeyId=lost)["KeyMetadata"]
    assert gone["KeyState"] == "PendingDeletion"
    assert 6 <= (gone["DeletionDate"] - gone["CreationDate"]).days <= 7
    assert kms.list_aliases()["Aliases"] == []


def test_existing_alias_fails_the_update_and_keeps_the_stack(aws: AwsHarness) -> None:
    cloudformation, kms = aws.customer_client("cloudformation"), aws.customer_client("kms")
    deploy(cloudformation, "first")
    kms.create_alias(AliasName="alias/ataccama-database-byok-db-key-alias-acme", TargetKeyId=aws.create_key())
    cloudformation.update_stack(
        StackName=STACK_NAME, UsePreviousTemplate=True, Parameters=build_parameters(TenantName="acme")
    )
    assert describe_stack(cloudformation)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert len(kms.list_aliases()["Aliases"]) == 1
    reason = next(
        one["ResourceStatusReason"]
        for one in cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
        if one["ResourceStatus"] == "CREATE_FAILED"
    )
    assert "HandlerErrorCode: AlreadyExists" in reason


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (build_parameters()[:1], "Parameters: [PlatformRegion] must have values"),
        (build_parameters(Other="x"), "Parameters: [Other] do not exist in the template"),
        (
            build_parameters(AtaccamaPlatformRoleArn="role"),
            "Parameter AtaccamaPlatformRoleArn failed to satisfy constraint: Must be the full ARN of an IAM role",
        ),
    ],
)
def test_invalid_parameters_are_refused(aws: AwsHarness, given: list[dict[str, str]], message: str) -> None:
    create = aws.customer_client("cloudformation").create_stack
    code, told = catch_error(create, StackName=STACK_NAME, TemplateBody=TEMPLATE, Parameters=given)
    assert (code, told.startswith(message)) == ("ValidationError", True), told


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{", "YAML not well-formed"),
        ("[]", "unsupported structure"),
        ("{}", "At least one Resources member"),
        ("Resources: {A: {Type: 'AWS::S3::Bucket'}}", "AWS::S3::Bucket"),
        ("Resources: {A: {Type: 'AWS::KMS::Key', Properties: {Description: !Ref B}}}", "dependencies [B]"),
        ("Transform: x\nResources: {A: {Type: 'AWS::KMS::Key'}}", "Transform"),
        (
            "Resources:\n"
            "  A: {Type: 'AWS::KMS::Alias', Properties: {AliasName: alias/a, TargetKeyId: !Ref B}}\n"
            "  B: {Type: 'AWS::KMS::Alias', Properties: {AliasName: alias/b, TargetKeyId: !Ref A}}\n",
            "Circular dependency",
        ),
    ],
)
def test_invalid_template_is_refused_at_once(aws: AwsHarness, template: str, words: str) -> None:
    cloudformation = aws.customer_client("cloudformation")
    assert words in catch_error(cloudformation.create_stack, StackName=STACK_NAME, TemplateBody=template)[1]
    assert words in catch_error(cloudformation.validate_template, TemplateBody=template)[1]
    assert cloudformation.describe_stacks()["Stacks"] == []


def test_summary_and_validation_list_the_parameters_and_no_capability(aws: AwsHarness) -> None:
    cloudformation = aws.customer_client("cloudformation")  # contract 34-36, 42, 43
    summary = cloudformation.get_template_summary(TemplateBody=TEMPLATE)
    names = ["AtaccamaPlatformRoleArn", "PlatformRegion", "TenantName"]
    assert [one["ParameterKey"] for one in summary["Parameters"]] == names
    assert summary["ResourceTypes"] == ["AWS::KMS::Alias", "AWS::KMS::Key"]
    validated = cloudformation.validate_template(TemplateBody=TEMPLATE)
    assert [one["ParameterKey"] for one in validated["Parameters"]] == names
    assert validated.get("Capabilities", []) == []


def test_stacks_of_other_accounts_are_hidden(aws: AwsHarness) -> None:
    deploy(aws.customer_client("cloudformation"), "first")
    assert aws.operator_client("cloudformation").describe_stacks()["Stacks"] == []
    assert (
        catch_error(aws.platform_client("cloudformation").create_stack, StackName="s", TemplateBody=TEMPLATE)[0]
        == "AccessDenied"
    )


def test_documented_commands_run_as_written(aws: AwsHarness, aws_cli: Path, tmp_path: Path) -> None:
    config, credentials = write_aws_config(tmp_path, aws.endpoint, REGION)
    environ = {
        **os.environ,
        "PATH": f"{aws_cli.parent}{os.pathsep}{os.environ['PATH']}",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
    }
    (tmp_path / "byok-kms-keys.yaml").write_text(TEMPLATE)
    deploying = (  # contract 38, 49
        f"aws cloudformation deploy --profile byok --template-file byok-kms-keys.yaml --stack-name {STACK_NAME} "
        f"--parameter-overrides AtaccamaPlatformRoleArn={PLATFORM_ROLE_ARN} PlatformRegion={REGION} --region {REGION}"
    )
    reading = (
        f"aws cloudformation describe-stacks --profile byok --region {REGION} --stack-name {STACK_NAME} --query "
        '"Stacks[0].Outputs[?OutputKey==\\`AtaccamaOnboardingPayload\\`].OutputValue" --output text'
    )
    for command in (deploying, reading):
        ran = subprocess.run(
            ["sh", "-c", command], cwd=tmp_path, env=environ, check=True, capture_output=True, text=True
        )
    assert json.loads(ran.stdout) == get_payload(aws.customer_client("cloudformation"))
