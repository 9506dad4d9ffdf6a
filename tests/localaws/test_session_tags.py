"""Session tags: who is allowed to pass the tags, and how key policies evaluate the tags in calls through S3 and RDS.

Sources: IAM user guide, "Pass session tags in AWS STS" and "Forward access sessions".
"""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import StatementParameters, build_key_statements
from byok.domain.vendor import VendorProfile
from byok.onboarding.template import render_keys_template
from localaws.accounts import PLATFORM_ROLE_ARN, PLATFORM_ROLE_NAME
from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status

VENDOR = VendorProfile(organisation_session_tag=True)
ASKED = {"RoleArn": PLATFORM_ROLE_ARN, "RoleSessionName": "tagged"}


def build_client(aws: AwsHarness, service: str, organisation: str) -> Any:
    tags = [{"Key": "organisation", "Value": organisation}]
    taken = aws.platform_client("sts").assume_role(**ASKED, Tags=tags)["Credentials"]
    session = boto3.Session(taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"], region_name=REGION)
    return session.client(service, endpoint_url=aws.endpoint)  # type: ignore[call-overload]


def create_key(aws: AwsHarness, which: KeyPurpose, organisation: str) -> str:
    grantee = StatementParameters.for_platform_role(PLATFORM_ROLE_ARN, REGION, organisation)
    return aws.create_key(*build_key_statements(which, grantee, VENDOR))


def create_database(rds: Any, key: str) -> None:
    rds.create_db_cluster(
        DBClusterIdentifier="tagged",
        Engine="aurora-postgresql",
        MasterUsername="byok",
        ManageMasterUserPassword=True,
        StorageEncrypted=True,
        KmsKeyId=key,
    )


def test_s3_passes_the_tag_of_the_session_to_kms(aws: AwsHarness) -> None:
    key = create_key(aws, KeyPurpose.S3, "acme")
    aws.platform_client("s3").create_bucket(
        Bucket="tagged-bucket", CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    put = {"Bucket": "tagged-bucket", "Key": "one", "Body": b"1", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}

    build_client(aws, "s3", "acme").put_object(**put)

    for s3 in (build_client(aws, "s3", "globex"), aws.platform_client("s3")):
        code, status, message = catch_error_with_status(s3.put_object, **put)
        assert (code, status) == ("AccessDenied", 403)
        assert "kms:GenerateDataKey" in message


def test_rds_passes_the_tag_of_the_session_to_kms(aws: AwsHarness) -> None:
    key = create_key(aws, KeyPurpose.RDS, "acme")
    for rds in (build_client(aws, "rds", "globex"), aws.platform_client("rds")):
        assert catch_error_with_status(create_database, rds=rds, key=key)[0] == "KMSKeyNotAccessibleFault"
    create_database(build_client(aws, "rds", "acme"), key)


@pytest.mark.parametrize("actions", [["sts:AssumeRole"], ["sts:TagSession"]])
def test_tag_needs_both_permissions_in_the_trust_policy(aws: AwsHarness, actions: list[str]) -> None:
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"AWS": PLATFORM_ROLE_ARN}, "Action": actions}]}
    aws.operator_client("iam").update_assume_role_policy(
        RoleName=PLATFORM_ROLE_NAME, PolicyDocument=json.dumps({"Version": "2012-10-17", **trust})
    )
    (missing,) = {"sts:AssumeRole", "sts:TagSession"} - set(actions)
    tags = [{"Key": "organisation", "Value": "acme"}]

    code, status, message = catch_error_with_status(aws.platform_client("sts").assume_role, **ASKED, Tags=tags)

    assert (code, status) == ("AccessDenied", 403)
    assert message.endswith(f"not authorized to perform: {missing} on resource: {PLATFORM_ROLE_ARN}")


def test_trust_policy_can_restrict_the_tags(aws: AwsHarness) -> None:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": PLATFORM_ROLE_ARN},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        "Condition": {"StringEquals": {"aws:RequestTag/organisation": "acme"}},
    }
    aws.operator_client("iam").update_assume_role_policy(
        RoleName=PLATFORM_ROLE_NAME, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    build_client(aws, "s3", "acme").list_buckets()
    with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
        build_client(aws, "s3", "globex")


@pytest.mark.parametrize(("organisation", "tagged"), [("acme", True), ("", False)])
def test_stack_of_the_template_requires_the_tag_of_the_organisation(
    aws: AwsHarness, organisation: str, tagged: bool
) -> None:
    stacks = aws.customer_client("cloudformation")
    given = {VENDOR.role_parameter_name: PLATFORM_ROLE_ARN, "PlatformRegion": REGION, "Organisation": organisation}
    stacks.create_stack(
        StackName="keys",
        TemplateBody=render_keys_template(VENDOR),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
    )
    (stack,) = stacks.describe_stacks(StackName="keys")["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    policy = aws.customer_client("kms").get_key_policy(KeyId=outputs["S3KeyArn"], PolicyName="default")["Policy"]
    grantee = StatementParameters.for_platform_role(PLATFORM_ROLE_ARN, REGION, organisation or None)
    assert json.loads(policy)["Statement"][1:] == build_key_statements(KeyPurpose.S3, grantee, VENDOR)
    assert ("aws:PrincipalTag/organisation" in policy) is tagged


def test_stack_without_the_parameter_is_refused(aws: AwsHarness) -> None:
    given = {VENDOR.role_parameter_name: PLATFORM_ROLE_ARN, "PlatformRegion": REGION}
    code, _, message = catch_error_with_status(
        aws.customer_client("cloudformation").create_stack,
        StackName="keys",
        TemplateBody=render_keys_template(VENDOR),
        Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()],
    )
    assert (code, "Organisation" in message) == ("ValidationError", True)
