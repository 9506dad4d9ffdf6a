"""The KMS calls that S3 makes: the encryption context with and without an S3 Bucket Key, and kms:Decrypt for writes."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.iam.statements import build_s3_key_statements
from localaws.accounts import PLATFORM_ROLE_ARN
from localaws.state import PLATFORM_ACCOUNT
from tests.localaws.server import REGION, VENDOR, AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status

BUCKET = "plain-bucket"
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
GENERATE = "kms:GenerateDataKey"
PART = b"x" * (5 << 20)  # the minimum size of every part except the last


def create_pinned_key(aws: AwsHarness, context_arn: str) -> str:
    """Create a key that the platform may use only with an encryption context that matches this ARN pattern."""
    (statement,) = build_s3_key_statements(PLATFORM_ROLE_ARN, REGION, VENDOR)
    condition = {**statement["Condition"], "StringLike": {"kms:EncryptionContext:aws:s3:arn": context_arn}}
    return aws.create_key({**statement, "Condition": condition})


def create_key_for(aws: AwsHarness, *actions: str) -> str:
    """Create a key whose policy allows the platform only these actions, and only through S3."""
    (statement,) = build_s3_key_statements(PLATFORM_ROLE_ARN, REGION, VENDOR)
    return aws.create_key({**statement, "Action": list(actions)})


@pytest.fixture
def s3(aws: AwsHarness) -> Any:
    """A platform client and an empty bucket, which does not use an S3 Bucket Key."""
    client = aws.platform_client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


def set_default_encryption(s3: Any, key: str, *, bucket_key: bool) -> None:
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})


def find_denied_action(call: Callable[..., Any], **params: Any) -> str | None:
    """Return the denied KMS action that makes a call on the object fail, or None if the call succeeds."""
    try:
        call(Bucket=BUCKET, Key="a", **params)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return str(re.findall(r"not authorized to perform: (kms:\w+) ", error.response["Error"]["Message"])[0])
    return None


def build_write(key: str, **params: Any) -> dict[str, Any]:
    return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, **params}


@pytest.mark.parametrize("bucket_key", [False, True], ids=["object's own key", "bucket key"])
def test_encryption_context_is_the_object_or_with_a_bucket_key_the_bucket(
    aws: AwsHarness, s3: Any, bucket_key: bool
) -> None:
    of_objects, of_bucket = create_pinned_key(aws, "arn:aws:s3:::*/*"), create_pinned_key(aws, BUCKET_ARN)

    denied = [
        find_denied_action(s3.put_object, Body=b"x", **build_write(key, BucketKeyEnabled=bucket_key))
        for key in (of_objects, of_bucket)
    ]

    assert denied == ([GENERATE, None] if bucket_key else [None, GENERATE])
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"x"


@pytest.mark.parametrize("named", [False, True], ids=["bucket's key", "key of the request"])
def test_write_without_the_header_does_as_its_bucket_is_set(aws: AwsHarness, s3: Any, named: bool) -> None:
    key = create_pinned_key(aws, BUCKET_ARN)
    write = build_write(key) if named else {}
    set_default_encryption(s3, key, bucket_key=True)

    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", **write)

    assert s3.head_object(Bucket=BUCKET, Key="a")["BucketKeyEnabled"] is True
    set_default_encryption(s3, key, bucket_key=False)
    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"x", "an object keeps its own setting"
    assert find_denied_action(s3.put_object, Body=b"x", **write) == GENERATE


def test_two_layers_have_no_bucket_key(aws: AwsHarness, s3: Any) -> None:
    key = create_pinned_key(aws, "arn:aws:s3:::*/*")
    set_default_encryption(s3, key, bucket_key=True)

    s3.put_object(Bucket=BUCKET, Key="a", Body=b"x", ServerSideEncryption="aws:kms:dsse", SSEKMSKeyId=key)

    assert s3.get_object(Bucket=BUCKET, Key="a")["Body"].read() == b"x"


def test_write_needs_decrypt_only_with_a_bucket_key(aws: AwsHarness, s3: Any) -> None:
    key = create_key_for(aws, GENERATE)

    assert find_denied_action(s3.put_object, Body=b"x", **build_write(key, BucketKeyEnabled=False)) is None
    assert find_denied_action(s3.put_object, Body=b"x", **build_write(key, BucketKeyEnabled=True)) == "kms:Decrypt"


def test_parts_need_decrypt(aws: AwsHarness, s3: Any) -> None:
    key = create_key_for(aws, GENERATE)
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="a", **build_write(key))["UploadId"]

    assert find_denied_action(s3.upload_part, UploadId=upload, PartNumber=1, Body=b"x") == "kms:Decrypt"


@pytest.mark.parametrize("bucket_key", [False, True], ids=["object's own key", "bucket key"])
@pytest.mark.parametrize("named", [False, True], ids=["bucket's key", "key of the request"])
def test_upload_in_parts_keeps_its_context(aws: AwsHarness, s3: Any, bucket_key: bool, named: bool) -> None:
    key = create_pinned_key(aws, BUCKET_ARN if bucket_key else f"{BUCKET_ARN}/*")
    set_default_encryption(s3, key, bucket_key=bucket_key != named)
    write = build_write(key, BucketKeyEnabled=bucket_key) if named else {}

    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="a", **write)["UploadId"]
    parts = [
        {
            "ETag": s3.upload_part(Bucket=BUCKET, Key="a", UploadId=upload, PartNumber=n, Body=body)["ETag"],
            "PartNumber": n,
        }
        for n, body in ((1, PART), (2, b"end"))
    ]
    s3.complete_multipart_upload(Bucket=BUCKET, Key="a", UploadId=upload, MultipartUpload={"Parts": parts})

    found = s3.get_object(Bucket=BUCKET, Key="a")
    assert (found["ContentLength"], found["SSEKMSKeyId"]) == (len(PART) + 3, key)


def test_copy_reads_the_version_that_it_names(aws: AwsHarness, s3: Any) -> None:
    first, second = aws.create_s3_key(), aws.create_s3_key()
    s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    old = s3.put_object(Bucket=BUCKET, Key="a", Body=b"old", **build_write(first))["VersionId"]
    s3.put_object(Bucket=BUCKET, Key="a", Body=b"new", **build_write(second))
    aws.customer_client("kms").disable_key(KeyId=first)
    copy = {"Bucket": BUCKET, "Key": "copy", **build_write(second)}

    s3.copy_object(CopySource={"Bucket": BUCKET, "Key": "a"}, **copy)
    old_copy = {"CopySource": f"{BUCKET}/a?versionId={old}", **copy}
    denied = catch_error_with_status(s3.copy_object, **old_copy)
    s3.put_bucket_policy(
        Bucket=BUCKET, Policy=build_policy("Allow", PLATFORM_ROLE_ARN, "s3:GetObjectVersion", f"{BUCKET_ARN}/*")
    )
    refused = catch_error_with_status(s3.copy_object, **old_copy)

    assert (denied[0], "s3:GetObjectVersion" in denied[2]) == ("AccessDenied", True)
    assert refused[0] == "KMS.DisabledException"


def test_customer_provided_key_is_refused_by_name(s3: Any) -> None:
    refused = catch_error_with_status(
        s3.put_object, Bucket=BUCKET, Key="a", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32
    )

    assert refused == (
        "NotImplemented",
        501,
        "The local AWS emulator does not model SSECustomerAlgorithm of s3:PutObject.",
    )


def build_policy(effect: str, principal: str, action: str, resource: str) -> str:
    statement = {"Effect": effect, "Principal": {"AWS": principal}, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_role_needs_its_own_permission_for_a_bucket_of_another_account(aws: AwsHarness) -> None:
    owner, name = aws.customer_client("s3"), "customers-bucket"
    owner.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    root = f"arn:aws:iam::{PLATFORM_ACCOUNT}:root"
    owner.put_bucket_policy(Bucket=name, Policy=build_policy("Allow", root, "s3:*", f"arn:aws:s3:::{name}"))

    assert aws.operator_client("s3").get_bucket_location(Bucket=name)["LocationConstraint"] == REGION
    code, _, message = catch_error_with_status(aws.platform_client("s3").get_bucket_location, Bucket=name)
    assert (code, "no identity-based policy allows the s3:GetBucketLocation action" in message) == (
        "AccessDenied",
        True,
    )


def test_write_that_names_no_key_uses_the_aws_managed_key_of_the_account(aws: AwsHarness, s3: Any) -> None:
    written = s3.put_object(Bucket=BUCKET, Key="a", ServerSideEncryption="aws:kms")
    assert written["ServerSideEncryption"] == "aws:kms"
    assert written["SSEKMSKeyId"].startswith(f"arn:aws:kms:{REGION}:{PLATFORM_ACCOUNT}:key/")
    assert s3.head_object(Bucket=BUCKET, Key="a")["SSEKMSKeyId"] == written["SSEKMSKeyId"]
    named = s3.put_object(Bucket=BUCKET, Key="b", ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/aws/s3")
    assert named["SSEKMSKeyId"] == written["SSEKMSKeyId"]
    s3.get_object(Bucket=BUCKET, Key="a")


def test_another_account_cannot_read_an_object_under_the_aws_managed_key(aws: AwsHarness, s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a", ServerSideEncryption="aws:kms")
    allow = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"{BUCKET_ARN}/*"}
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]}))
    assert find_denied_action(aws.customer_client("s3").get_object) == "kms:Decrypt"
