"""Who may call: two accounts, roles that are taken on, and what their own policies allow."""

import json

import boto3
import pytest
from botocore.exceptions import ClientError

from byok.localaws.accounts import PLATFORM_ROLE, PLATFORM_ROLE_ARN
from tests.localaws.server import REGION, Aws

EXTERNAL_ID = "the-vendors-word"


def customer_role(aws: Aws) -> str:
    """A role of the customer's that the platform may take on, with an external id."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": PLATFORM_ROLE_ARN},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}},
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    made = aws.customer("iam").create_role(RoleName="Reconciler", AssumeRolePolicyDocument=trust)
    arn: str = made["Role"]["Arn"]
    return arn


def allow_assume_role(aws: Aws, arn: str) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": arn}
    aws.operator("iam").put_role_policy(
        RoleName=PLATFORM_ROLE, PolicyName="assume", PolicyDocument=json.dumps({"Statement": [statement]})
    )


def test_everybody_knows_who_he_is(aws: Aws) -> None:
    platform = aws.platform("sts").get_caller_identity()
    customer = aws.customer("sts").get_caller_identity()

    assert platform["Arn"] == "arn:aws:sts::111122223333:assumed-role/AtaccamaPlatform/worker"
    assert (platform["Account"], customer["Account"]) == ("111122223333", "444455556666")


@pytest.mark.parametrize(
    ("service", "call", "code"),
    [
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("kms", "list_keys", "UnrecognizedClientException"),
        ("rds", "describe_db_clusters", "InvalidClientTokenId"),
    ],
)
def test_unknown_credentials_are_refused(aws: Aws, service: str, call: str, code: str) -> None:
    client = boto3.client(
        service,  # type: ignore[call-overload]
        region_name=REGION,
        endpoint_url=aws.endpoint,
        aws_access_key_id="AKIANOBODY",
        aws_secret_access_key="nothing",
    )
    with pytest.raises(ClientError) as caught:
        getattr(client, call)()
    assert caught.value.response["Error"]["Code"] == code


def test_role_of_the_other_account_needs_trust_external_id_and_permission(aws: Aws) -> None:
    arn, sts = customer_role(aws), aws.platform("sts")
    request = {"RoleArn": arn, "RoleSessionName": "worker"}

    with pytest.raises(ClientError) as without_permission:
        sts.assume_role(**request, ExternalId=EXTERNAL_ID)
    allow_assume_role(aws, arn)
    with pytest.raises(ClientError) as without_external_id:
        sts.assume_role(**request)
    taken = sts.assume_role(**request, ExternalId=EXTERNAL_ID)

    assert without_permission.value.response["Error"]["Code"] == "AccessDenied"
    assert without_external_id.value.response["Error"]["Code"] == "AccessDenied"
    assert taken["AssumedRoleUser"]["Arn"] == "arn:aws:sts::444455556666:assumed-role/Reconciler/worker"
    session = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=aws.endpoint,
        aws_access_key_id=taken["Credentials"]["AccessKeyId"],
        aws_secret_access_key=taken["Credentials"]["SecretAccessKey"],
        aws_session_token=taken["Credentials"]["SessionToken"],
    )
    assert session.get_caller_identity()["Account"] == "444455556666"


def test_platform_role_may_do_what_the_activities_do_and_no_more(aws: Aws) -> None:
    with pytest.raises(ClientError) as caught:
        aws.platform("s3").list_buckets()

    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert "s3:ListAllMyBuckets" in str(caught.value)


def test_without_its_own_permission_a_perfect_key_is_no_use(aws: Aws) -> None:
    key, s3 = aws.s3_key(), aws.platform("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    only_s3 = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    aws.operator("iam").put_role_policy(
        RoleName=PLATFORM_ROLE, PolicyName="platform", PolicyDocument=json.dumps(only_s3)
    )

    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="bucket", Key="x", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)

    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert "no identity-based policy allows the kms:GenerateDataKey action" in str(caught.value)
