"""The bucket policy for an environment's buckets.

The policy requires TLS, and denies writes that use any key except the environment's key.
"""

from typing import Any, Final

from byok.domain.arns import is_aws_managed

_ALGORITHM: Final = "s3:x-amz-server-side-encryption"
_KEY_ID: Final = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_CHANGES: Final = ("s3:ReplicateObject", "s3:UpdateObjectEncryption")


def build_bucket_policy(bucket_arn: str, key_arn: str) -> dict[str, Any]:
    """Build the policy document.

    A write without encryption headers is allowed, because S3 then encrypts the object with the bucket's default key,
    which is the environment's key. A write is denied if its headers request any other encryption: another KMS key, S3
    managed keys, an AWS managed key that is not the environment's, or a customer-provided key. A negated condition
    operator is true if the header is missing, so the statement also has a `Null` condition that requires the header
    (IAM user guide, "Condition operators").

    Replication and UpdateObjectEncryption requests must specify the environment's key, so the statement for these
    actions has no `Null` condition. A replica gets its source object's encryption type, not the bucket's default (S3
    user guide, "Default bucket encryption", "Replication"). UpdateObjectEncryption always changes an object's
    encryption to a key that the request specifies (S3 API reference, UpdateObjectEncryption). `s3:ReplicateObject` and
    `s3:UpdateObjectEncryption` support the condition key for the KMS key id (service authorization reference, "Amazon
    S3").

    Args:
        bucket_arn: The bucket's ARN.
        key_arn: Full ARN of the key, or the alias of the AWS managed key. IAM compares this text with the key in the
            request, and does not check whether the key exists.
    """
    objects = f"{bucket_arn}/*"
    deny_other_keys = _deny_named_keys(objects) if is_aws_managed(key_arn) else _deny_keys_except(key_arn, objects)
    return {
        "Version": "2012-10-17",
        "Statement": [
            _deny("DenyPlainHttp", "s3:*", [bucket_arn, objects], {"Bool": {"aws:SecureTransport": "false"}}),
            *deny_other_keys,
            _deny(
                "DenyKeysOfTheClient",
                "s3:PutObject",
                objects,
                {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
            ),
        ],
    }


def build_probe_bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """Build the probe bucket's policy.

    The policy requires TLS but no specific key, because probes use many different keys.
    """
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return {
        "Version": "2012-10-17",
        "Statement": [_deny("DenyPlainHttp", "s3:*", [bucket_arn, f"{bucket_arn}/*"], condition)],
    }


def _deny_keys_except(key_arn: str, objects: str) -> list[dict[str, Any]]:
    other_key = {"StringNotEquals": {_KEY_ID: key_arn}}
    by_header = {"Null": {_ALGORITHM: "false"}, **other_key}
    return [
        _deny("DenyAnyOtherKey", "s3:PutObject", objects, by_header),
        _deny("DenyReplicasAndUpdatesToAnotherKey", list(_CHANGES), objects, other_key),
    ]


def _deny_named_keys(objects: str) -> list[dict[str, Any]]:
    """Return the statements for the AWS managed key, whose ARN is not known.

    A write uses the AWS managed key if the request's headers specify `aws:kms` but no key (S3 API reference,
    PutObject). A replication or UpdateObjectEncryption request must specify the ARN of a key, so the policy denies both
    types of request.
    """
    other_type = {"Null": {_ALGORITHM: "false"}, "StringNotEquals": {_ALGORITHM: "aws:kms"}}
    return [
        _deny("DenyAnyNamedKey", "s3:PutObject", objects, {"Null": {_KEY_ID: "false"}}),
        _deny("DenyOtherEncryption", "s3:PutObject", objects, other_type),
        _deny("DenyReplicasAndUpdates", list(_CHANGES), objects, {}),
    ]


def _deny(sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any]) -> dict[str, Any]:
    statement = {"Sid": sid, "Effect": "Deny", "Principal": "*", "Action": action, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement
