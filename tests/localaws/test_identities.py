"""Authorization of callers: two accounts, assumed roles, and the permissions in the callers' policies."""

import json
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.exceptions import ClientError

from localaws.accounts import PLATFORM_ROLE_NAME, build_platform_role_policy
from tests.localaws.server import EXTERNAL_ID, REGION, AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status
from tests.signed_requests import presign_identity_request

PLATFORM_SESSION = "arn:aws:sts::111122223333:assumed-role/AtaccamaPlatform/worker"


def test_callers_get_their_identity(aws: AwsHarness) -> None:
    platform = aws.platform_client("sts").get_caller_identity()
    customer = aws.customer_client("sts").get_caller_identity()

    assert platform["Arn"] == PLATFORM_SESSION
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
def test_unknown_credentials_are_refused(aws: AwsHarness, service: str, call: str, code: str) -> None:
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


def fetch(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_presigned_request_gets_the_identity_as_json_or_xml(aws: AwsHarness) -> None:
    url = aws.customer_client("sts").generate_presigned_url("get_caller_identity", HttpMethod="GET")

    status, body = fetch(url, Accept="application/json")
    found = json.loads(body)["GetCallerIdentityResponse"]["GetCallerIdentityResult"]
    assert (status, found["Account"]) == (200, "444455556666")
    assert "<Account>444455556666</Account>" in fetch(url)[1]


def test_presigned_request_is_accepted_only_with_the_signed_headers(aws: AwsHarness) -> None:
    url = presign_identity_request(aws.endpoint, "signed")

    answers = [fetch(url, **{"x-k8s-aws-id": value, "Accept": "application/json"}) for value in ("signed", "other", "")]

    assert [status for status, _ in answers] == [200, 403, 403]
    assert json.loads(answers[1][1])["Error"]["Code"] == "SignatureDoesNotMatch"


def test_other_presigned_operations_are_not_modelled(aws: AwsHarness) -> None:
    url = aws.customer_client("sts").generate_presigned_url("get_session_token", HttpMethod="GET")

    status, body = fetch(url)
    assert (status, "does not model pre-signed requests" in body) == (501, True)


def test_cross_account_role_requires_the_external_id(aws: AwsHarness) -> None:
    arn, sts = aws.create_customer_role(), aws.platform_client("sts")
    request = {"RoleArn": arn, "RoleSessionName": "worker"}

    without = catch_error_with_status(sts.assume_role, **request)
    wrong = catch_error_with_status(sts.assume_role, **request, ExternalId=f"{EXTERNAL_ID}-of-another")
    taken = sts.assume_role(**request, ExternalId=EXTERNAL_ID)

    told = f"User: {PLATFORM_SESSION} is not authorized to perform: sts:AssumeRole on resource: {arn}"
    assert without == wrong == ("AccessDenied", 403, told)
    assert taken["AssumedRoleUser"]["Arn"] == "arn:aws:sts::444455556666:assumed-role/Reconciler/worker"
    who = aws.assumed_role_client("sts", arn).get_caller_identity()
    assert (who["Account"], who["Arn"]) == ("444455556666", taken["AssumedRoleUser"]["Arn"])


def test_cross_account_role_also_requires_the_callers_permission(aws: AwsHarness) -> None:
    arn = aws.create_customer_role()
    aws.operator_client("iam").delete_role_policy(RoleName=PLATFORM_ROLE_NAME, PolicyName="platform")

    request = {"RoleArn": arn, "RoleSessionName": "worker", "ExternalId": EXTERNAL_ID}

    assert catch_error_with_status(aws.platform_client("sts").assume_role, **request)[0] == "AccessDenied"


def test_role_that_does_not_trust_the_caller_looks_missing(aws: AwsHarness) -> None:
    arn = aws.create_customer_role()
    request = {"RoleSessionName": "worker", "ExternalId": EXTERNAL_ID}

    assert catch_error_with_status(aws.customer_client("sts").assume_role, RoleArn=arn, **request)[:2] == (
        "AccessDenied",
        403,
    )
    assert catch_error_with_status(aws.platform_client("sts").assume_role, RoleArn=f"{arn}x", **request)[:2] == (
        "AccessDenied",
        403,
    )


def test_platform_role_may_do_only_what_the_activities_do(aws: AwsHarness) -> None:
    s3 = aws.platform_client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})

    with pytest.raises(ClientError) as caught:
        s3.delete_bucket_policy(Bucket="bucket")

    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert "s3:DeleteBucketPolicy" in str(caught.value)


def test_deleting_a_version_needs_its_own_permission(aws: AwsHarness) -> None:
    s3 = aws.platform_client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    policy = build_platform_role_policy()
    policy["Statement"][0]["Action"].remove("s3:DeleteObjectVersion")
    aws.operator_client("iam").put_role_policy(
        RoleName=PLATFORM_ROLE_NAME, PolicyName="platform", PolicyDocument=json.dumps(policy)
    )

    s3.delete_object(Bucket="bucket", Key="x")
    code, status, message = catch_error_with_status(s3.delete_object, Bucket="bucket", Key="x", VersionId="null")

    assert (code, status) == ("AccessDenied", 403)
    assert "s3:DeleteObjectVersion" in message


def test_valid_key_is_unusable_without_the_callers_permission(aws: AwsHarness) -> None:
    key, s3 = aws.create_s3_key(), aws.platform_client("s3")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    only_s3 = {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    aws.operator_client("iam").put_role_policy(
        RoleName=PLATFORM_ROLE_NAME, PolicyName="platform", PolicyDocument=json.dumps(only_s3)
    )

    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket="bucket", Key="x", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)

    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert "no identity-based policy allows the kms:GenerateDataKey action" in str(caught.value)
