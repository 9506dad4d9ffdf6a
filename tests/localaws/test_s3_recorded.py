"""If S3 cannot use a key, the local AWS emulator returns the errors that were recorded from real AWS."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.iam.bucket_policy import build_bucket_policy
from tests.localaws.parity import OTHER_REGION, TwoAccounts

HIDDEN = (
    "on this resource because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)
# The owner is allowed to manage the key, but not to use the key. If the key policy allowed the account all actions, the
# policy would delegate the use of the key to IAM.
MANAGED_ONLY = ["kms:Describe*", "kms:Put*", "kms:Get*", "kms:Schedule*", "kms:Enable*", "kms:Disable*"]


def build_management_only_policy(accounts: TwoAccounts) -> dict[str, Any]:
    root = f"arn:aws:iam::{accounts.customer_account}:root"
    statement = {"Effect": "Allow", "Principal": {"AWS": root}, "Action": MANAGED_ONLY, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def catch_error_with_status(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Make a call that must fail, and return the code, HTTP status and message of the error."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"].get("Message", "")


def catch_put_error_with_status(s3: Any, bucket: str, key: str) -> tuple[str, int, str]:
    return catch_error_with_status(
        s3.put_object, Bucket=bucket, Key="x", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
    )


def put_encrypted_object(s3: Any, bucket: str, key: str) -> None:
    s3.put_object(Bucket=bucket, Key="x", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)


def test_unusable_keys_in_the_callers_account_get_distinct_errors(accounts: TwoAccounts) -> None:
    s3, kms = accounts.customer_client("s3"), accounts.customer_client("kms")
    bucket = accounts.create_bucket(s3)
    nonexistent = f"arn:aws:kms:{accounts.region}:{accounts.customer_account}:key/{uuid.uuid4()}"
    disabled, deleted = accounts.create_key(), accounts.create_key()
    imported, hmac = (
        accounts.create_key(Origin="EXTERNAL"),
        accounts.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"),
    )
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=deleted, PendingWindowInDays=7)
    elsewhere = accounts.create_key(region=OTHER_REGION)

    answers = {
        key: catch_put_error_with_status(s3, bucket, key)
        for key in (nonexistent, disabled, deleted, imported, hmac, elsewhere)
    }

    assert answers[nonexistent] == ("KMS.NotFoundException", 400, f"Key '{nonexistent}' does not exist")
    assert answers[disabled] == ("KMS.DisabledException", 400, f"{disabled} is disabled.")
    assert answers[deleted] == ("KMS.KMSInvalidStateException", 400, f"{deleted} is pending deletion.")
    assert answers[imported] == ("KMS.KMSInvalidStateException", 400, f"{imported} is pending import.")
    assert answers[hmac][:2] == ("KMS.InvalidKeyUsageException", 400)
    assert answers[elsewhere] == ("KMS.NotFoundException", 400, f"Invalid arn {OTHER_REGION}")
    assert catch_put_error_with_status(s3, bucket, "fake-key-id") == (
        "KMS.NotFoundException",
        400,
        "Invalid keyId 'fake-key-id'",
    )


def test_object_is_unreadable_after_its_key_is_disabled(accounts: TwoAccounts) -> None:
    s3, key = accounts.customer_client("s3"), accounts.create_key()
    bucket = accounts.create_bucket(s3)
    put_encrypted_object(s3, bucket, key)
    accounts.customer_client("kms").disable_key(KeyId=key)

    answer = catch_error_with_status(s3.get_object, Bucket=bucket, Key="x")

    assert answer == ("KMS.DisabledException", 400, f"{key} is disabled.")


def test_head_hides_the_reason(accounts: TwoAccounts) -> None:
    s3, key = accounts.customer_client("s3"), accounts.create_key()
    bucket = accounts.create_bucket(s3)
    put_encrypted_object(s3, bucket, key)
    accounts.customer_client("kms").disable_key(KeyId=key)

    assert catch_error_with_status(s3.head_object, Bucket=bucket, Key="x") == ("400", 400, "Bad Request")


def test_missing_permission_in_the_callers_account_names_the_policy(accounts: TwoAccounts) -> None:
    s3, key = accounts.customer_client("s3"), accounts.create_key()
    bucket = accounts.create_bucket(s3)
    put_encrypted_object(s3, bucket, key)
    accounts.customer_client("kms").put_key_policy(KeyId=key, Policy=json.dumps(build_management_only_policy(accounts)))

    code, status, message = catch_put_error_with_status(s3, bucket, key)
    read = catch_error_with_status(s3.get_object, Bucket=bucket, Key="x")

    why = "because no resource-based policy allows the kms:{} action"
    assert (code, status) == ("AccessDenied", 403)
    assert message.endswith(f"kms:GenerateDataKey on resource: {key} {why.format('GenerateDataKey')}")
    assert read[:2] == ("AccessDenied", 403)
    assert read[2].endswith(f"kms:Decrypt on the resource associated with this ciphertext {why.format('Decrypt')}")


def test_key_existence_is_hidden_across_accounts(accounts: TwoAccounts) -> None:
    s3 = accounts.platform_client("s3")
    bucket = accounts.create_bucket(s3)
    nonexistent = f"arn:aws:kms:{accounts.region}:{accounts.customer_account}:key/{uuid.uuid4()}"

    answers = [catch_put_error_with_status(s3, bucket, key) for key in (nonexistent, accounts.create_key())]

    assert {answer[:2] for answer in answers} == {("AccessDenied", 403)}
    assert len({answer[2] for answer in answers}) == 1
    assert answers[0][2].startswith("User: arn:aws:sts::")
    assert answers[0][2].endswith(f"is not authorized to perform: kms:GenerateDataKey {HIDDEN}")


def test_key_of_another_region_is_reported_before_anything_else(accounts: TwoAccounts) -> None:
    s3 = accounts.platform_client("s3")
    elsewhere = accounts.create_key(region=OTHER_REGION)

    answer = catch_put_error_with_status(s3, accounts.create_bucket(s3), elsewhere)

    assert answer == ("KMS.NotFoundException", 400, f"Invalid arn {OTHER_REGION}")


def test_put_bucket_encryption_validates_nothing(accounts: TwoAccounts) -> None:
    s3 = accounts.customer_client("s3")
    bucket = accounts.create_bucket(s3)
    nonexistent = f"arn:aws:kms:{accounts.region}:{accounts.customer_account}:key/{uuid.uuid4()}"
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": nonexistent}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)

    code, _, message = catch_error_with_status(s3.put_object, Bucket=bucket, Key="x", Body=b"x")

    assert (code, message) == ("KMS.NotFoundException", f"Key '{nonexistent}' does not exist")  # contract 96, 97


def test_new_bucket_uses_the_s3_managed_key(accounts: TwoAccounts) -> None:
    s3 = accounts.customer_client("s3")

    rules = s3.get_bucket_encryption(Bucket=accounts.create_bucket(s3))["ServerSideEncryptionConfiguration"]["Rules"]

    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}


def test_own_bucket_can_be_created_again_only_in_us_east_1(accounts: TwoAccounts) -> None:
    s3, bucket = accounts.customer_client("s3", "us-east-1"), f"byok-parity-{uuid.uuid4().hex[:16]}"
    s3.create_bucket(Bucket=bucket)
    accounts.buckets.append((s3, bucket))
    elsewhere = accounts.customer_client("s3")
    again = {
        "Bucket": accounts.create_bucket(elsewhere),
        "CreateBucketConfiguration": {"LocationConstraint": accounts.region},
    }

    s3.create_bucket(Bucket=bucket)

    assert catch_error_with_status(elsewhere.create_bucket, **again)[:2] == ("BucketAlreadyOwnedByYou", 409)


def test_copy_needs_both_keys(accounts: TwoAccounts) -> None:
    s3, source, target = accounts.customer_client("s3"), accounts.create_key(), accounts.create_key()
    bucket = accounts.create_bucket(s3)
    put_encrypted_object(s3, bucket, source)
    copy = {
        "Bucket": bucket,
        "Key": "y",
        "CopySource": f"{bucket}/x",
        "ServerSideEncryption": "aws:kms",
        "SSEKMSKeyId": target,
    }
    assert s3.copy_object(**copy)["SSEKMSKeyId"] == target
    accounts.customer_client("kms").disable_key(KeyId=source)

    assert catch_error_with_status(s3.copy_object, **copy) == ("KMS.DisabledException", 400, f"{source} is disabled.")


def test_alias_is_resolved_to_its_key(accounts: TwoAccounts) -> None:
    s3, key = accounts.customer_client("s3"), accounts.create_key()
    name = f"alias/byok-parity-{uuid.uuid4()}"
    accounts.customer_client("kms").create_alias(AliasName=name, TargetKeyId=key)
    alias = f"arn:aws:kms:{accounts.region}:{accounts.customer_account}:{name}"
    bucket = accounts.create_bucket(s3)

    put_encrypted_object(s3, bucket, alias)

    assert s3.head_object(Bucket=bucket, Key="x")["SSEKMSKeyId"] == key
    accounts.customer_client("kms").delete_alias(AliasName=name)


def test_bucket_of_an_unexpected_owner_is_refused_without_a_reason(accounts: TwoAccounts) -> None:
    s3 = accounts.customer_client("s3")
    bucket = accounts.create_bucket(s3)
    put = {"Bucket": bucket, "Key": "x", "Body": b"x"}
    s3.put_object(**put, ExpectedBucketOwner=accounts.customer_account)

    refused = catch_error_with_status(s3.put_object, **put, ExpectedBucketOwner="123456789012")
    head = catch_error_with_status(s3.head_bucket, Bucket=bucket, ExpectedBucketOwner="123456789012")
    malformed = catch_error_with_status(s3.put_object, **put, ExpectedBucketOwner="the-owner")

    assert refused[:2] == ("AccessDenied", 403)
    assert head[:2] == ("403", 403)
    assert malformed[:2] == ("InvalidBucketOwnerAWSAccountID", 400)


def test_bucket_policy_gives_another_account_access(accounts: TwoAccounts) -> None:
    s3, bucket = accounts.platform_client("s3"), accounts.create_bucket(accounts.customer_client("s3"))
    assert catch_error_with_status(s3.put_object, Bucket=bucket, Key="x", Body=b"x")[:2] == ("AccessDenied", 403)
    principal = {"AWS": accounts.role_arn}
    allow = {
        "Effect": "Allow",
        "Principal": principal,
        "Action": ["s3:GetObject", "s3:PutObject"],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    accounts.customer_client("s3").put_bucket_policy(
        Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    )

    s3.put_object(Bucket=bucket, Key="x", Body=b"x")

    assert s3.get_object(Bucket=bucket, Key="x")["Body"].read() == b"x"
    assert catch_error_with_status(s3.delete_object, Bucket=bucket, Key="x")[:2] == ("AccessDenied", 403)
    assert catch_error_with_status(s3.get_bucket_policy, Bucket=bucket)[:2] == ("AccessDenied", 403)


def test_product_bucket_policy_has_its_intended_effect(accounts: TwoAccounts) -> None:
    s3, key, other = accounts.customer_client("s3"), accounts.create_key(), accounts.create_key()
    bucket = accounts.create_bucket(s3)
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    rules = {"Rules": [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rules)
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(build_bucket_policy(f"arn:aws:s3:::{bucket}", key)))

    # This call does not specify a key, so S3 uses the bucket's default key.
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    put_encrypted_object(s3, bucket, key)

    assert s3.head_object(Bucket=bucket, Key="x")["SSEKMSKeyId"] == key
    assert catch_put_error_with_status(s3, bucket, other)[:2] == ("AccessDenied", 403)
    own = catch_error_with_status(s3.put_object, Bucket=bucket, Key="x", Body=b"x", ServerSideEncryption="AES256")
    managed = catch_error_with_status(s3.put_object, Bucket=bucket, Key="x", Body=b"x", ServerSideEncryption="aws:kms")
    assert own[:2] == managed[:2] == ("AccessDenied", 403)
