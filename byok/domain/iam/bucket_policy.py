"""The policy of an environment's bucket. It requires TLS, and denies writes with any key except the customer's."""

from typing import Any


def build_bucket_policy(bucket_arn: str, key_arn: str) -> dict[str, Any]:
    """Build the policy document.

    A write without encryption headers is allowed, because it uses the bucket's default, which is the customer's key. A
    write is denied if its headers request any other encryption: another KMS key, S3 managed keys, the AWS managed key,
    or a customer-provided key. A negated condition operator is true if the header is missing, so the statement also has
    a `Null` condition that requires the header (IAM user guide, "Condition operators").

    Replication and UpdateObjectEncryption must name the customer's key, so their statement has no `Null` condition. A
    replica gets its source object's encryption type, not the bucket's default (S3 user guide, "Default bucket
    encryption", "Replication"). UpdateObjectEncryption always moves an object to a named key (S3 API reference,
    UpdateObjectEncryption). Both actions support the condition key (service authorization reference, "Amazon S3").

    Args:
        bucket_arn: The bucket's ARN.
        key_arn: Full ARN of the customer's key. IAM compares this text and does not check whether the key exists.
    """
    objects = f"{bucket_arn}/*"
    return {
        "Version": "2012-10-17",
        "Statement": [
            _deny("DenyPlainHttp", "s3:*", [bucket_arn, objects], {"Bool": {"aws:SecureTransport": "false"}}),
            _deny(
                "DenyAnyOtherKey",
                "s3:PutObject",
                objects,
                {
                    "Null": {"s3:x-amz-server-side-encryption": "false"},
                    "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn},
                },
            ),
            _deny(
                "DenyReplicasAndUpdatesToAnotherKey",
                ["s3:ReplicateObject", "s3:UpdateObjectEncryption"],
                objects,
                {"StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": key_arn}},
            ),
            _deny(
                "DenyKeysOfTheClient",
                "s3:PutObject",
                objects,
                {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
            ),
        ],
    }


def build_probe_bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """Build the policy of the platform's probe bucket. It requires only TLS, because probes use many different keys."""
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return {
        "Version": "2012-10-17",
        "Statement": [_deny("DenyPlainHttp", "s3:*", [bucket_arn, f"{bucket_arn}/*"], condition)],
    }


def _deny(sid: str, action: str | list[str], resource: str | list[str], condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": condition,
    }
