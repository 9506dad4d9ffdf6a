"""Rejects a bucket that belongs to another AWS account, with an error that states this cause."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from activities.aws_errors import is_platform_denied
from activities.bucket_settings import list_own_buckets
from activities.failures import ActivityContext
from byok.domain.arns import account_id_of_role
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@contextmanager
def refuse_foreign_bucket(step: ActivityContext, s3: "S3Client", bucket: str) -> Iterator[None]:
    """If another account owns the bucket, report this cause instead of a missing permission.

    For a bucket of another account and for a missing permission, S3 returns the same error: 403 Access Denied (S3 user
    guide, "Verifying bucket ownership with bucket owner condition"). byok finds the cause with ListBuckets, which
    returns only buckets that the caller's account owns (S3 API reference, ListBuckets).

    Raises:
        ApplicationError: `byok.BucketOfAnotherAccount`, if another account owns the bucket.
        ClientError: Any other S3 error, unchanged.
    """
    try:
        yield
    except ClientError as error:
        role = step.environment.platform_role_arn
        if not is_platform_denied(error, role) or not _is_foreign(s3, bucket, role):
            raise
        account = account_id_of_role(role)
        raise step.non_retryable_error(
            "byok.BucketOfAnotherAccount",
            f"The bucket {bucket} belongs to another AWS account, not to {account}.",
            Remedy.BUCKET_OF_ANOTHER_ACCOUNT,
        ) from error


def _is_foreign(s3: "S3Client", bucket: str, platform_role_arn: str) -> bool:
    """Return whether another account owns the bucket; False if the platform is not allowed to list its own buckets."""
    try:
        return bucket not in list_own_buckets(s3, bucket)
    except ClientError as error:
        if is_platform_denied(error, platform_role_arn):
            return False
        raise
