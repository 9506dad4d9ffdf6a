"""The policy of an environment's bucket: TLS only, and nothing encrypted with any key but the customer's."""

from typing import Any


def build_bucket_policy(bucket_arn: str, key_arn: str) -> dict[str, Any]:
    """The policy document.

    A write that says nothing of encryption passes, and gets the bucket's default, which is the customer's key. One that
    asks for anything else is denied: another key, S3's own keys, AWS's managed key, or a key the client brings along. A
    negated operator is true where the header is missing, so `Null` has to say first that there is one (IAM user guide,
    "Condition operators").

    Args:
        bucket_arn: The bucket's ARN.
        key_arn: Full ARN of the customer's key: IAM compares the text, and never asks whether the key exists.
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
                "DenyKeysOfTheClient",
                "s3:PutObject",
                objects,
                {"Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}},
            ),
        ],
    }


def build_probe_bucket_policy(bucket_arn: str) -> dict[str, Any]:
    """The policy of the platform's bucket for probes, which uses many keys: TLS only."""
    condition = {"Bool": {"aws:SecureTransport": "false"}}
    return {
        "Version": "2012-10-17",
        "Statement": [_deny("DenyPlainHttp", "s3:*", [bucket_arn, f"{bucket_arn}/*"], condition)],
    }


def _deny(sid: str, action: str, resource: str | list[str], condition: dict[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": action,
        "Resource": resource,
        "Condition": condition,
    }
