"""Writes and reads probes: objects that S3 encrypts with a key, in one of the platform's buckets."""

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from activities.probe_bucket import PROBES, ProbeBucket
from byok.domain.models import Environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef


@dataclass(frozen=True)
class WrittenProbe:
    """What S3 reports about a probe.

    Attributes:
        key_arn: The ARN of the key that, according to S3, encrypts the probe.
        intact: Whether S3 returned the content that was written.
        request_id: S3's request id for the write.
    """

    key_arn: str
    intact: bool
    request_id: str | None


@dataclass(frozen=True)
class S3Probe:
    """Tests whether S3 can use a key, by writing and reading objects in the probe bucket of the environment's Region.

    The first probe creates the bucket.
    """

    s3: "S3Client"
    environment: Environment

    def write_and_read(self, key_arn: str, *, bucket_key: bool) -> WrittenProbe:
        """Write an object with a key, read it back and delete it. Each call uses a new object.

        Args:
            key_arn: The key.
            bucket_key: Whether S3 uses a bucket key, which S3 may have cached.

        Raises:
            ClientError: S3 rejected one of the calls.
        """
        bucket, content = self.environment.probe_bucket, uuid.uuid4().bytes
        name = f"{PROBES}{self.environment.environment_id}/{uuid.uuid4()}"
        written = self._put(name, content, key_arn, bucket_key=bucket_key)
        try:
            read = self.s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        finally:
            self.s3.delete_object(Bucket=bucket, Key=name)
        return WrittenProbe(written["SSEKMSKeyId"], read == content, written["ResponseMetadata"].get("RequestId"))

    def succeeds(self, key_arn: str, *, bucket_key: bool) -> bool:
        """Return whether S3 can use a key.

        Return False after any error. The details of the error are not needed, because the caller reports an earlier
        error.
        """
        try:
            return self.write_and_read(key_arn, bucket_key=bucket_key).intact
        except (ClientError, BotoCoreError):
            return False

    def _put(self, name: str, content: bytes, key_arn: str, *, bucket_key: bool) -> "PutObjectOutputTypeDef":
        """Write the probe. If the probe bucket does not exist yet, create it first."""
        bucket = self.environment.probe_bucket
        return ProbeBucket(self.s3, bucket, self.environment.region).write(
            lambda: self.s3.put_object(
                Bucket=bucket,
                Key=name,
                Body=content,
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=key_arn,
                BucketKeyEnabled=bucket_key,
            )
        )
