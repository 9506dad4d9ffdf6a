"""Buckets, objects and uploads in moto's state."""

from typing import Any, Final

from moto.s3.models import FakeBucket, FakeKey, FakeMultipart, s3_backends

AES_RULE: Final = {
    "Rule": {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": "false"}
}
"""The default encryption of buckets created since January 2023 (S3 user guide, "Default encryption"), in moto's
format."""


def find_bucket(name: str) -> FakeBucket | None:
    """Return a bucket in any account, or None."""
    owner = s3_backends.bucket_accounts.get(name)
    if owner is None:
        return None
    partition, account = owner
    found: FakeBucket | None = s3_backends[account][partition].buckets.get(name)
    return found


def get_backend(bucket: FakeBucket) -> Any:
    """Return moto's S3 backend for the bucket's account."""
    return s3_backends[bucket.account_id][bucket.partition]


def find_object(bucket: FakeBucket, key: str, version: str | None) -> FakeKey | None:
    """Return an object, or None."""
    found: FakeKey | None = get_backend(bucket).get_object(bucket.name, key, version_id=version)
    return found


def find_upload(bucket: FakeBucket, upload_id: str | None) -> FakeMultipart | None:
    """Return a multipart upload in progress, or None."""
    found: FakeMultipart | None = bucket.multiparts.get(upload_id) if upload_id else None
    return found


def get_default_rule(bucket: FakeBucket) -> dict[str, Any]:
    """Return the rule of a bucket's default encryption."""
    rule: Any = (bucket.encryption or AES_RULE)["Rule"]
    return dict(rule[0] if isinstance(rule, list) else rule)
