"""Writes and reads probes: objects that S3 encrypts with a key, in one of the platform's buckets."""

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError

from activities.aws_errors import decide_error_outcome
from activities.bucket_settings import (
    BUCKET_OWNER_ENFORCED,
    PUBLIC_ACCESS_BLOCK,
    build_bucket_arn,
    create_bucket_if_absent,
)
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok.domain.iam.bucket_policy import build_probe_bucket_policy
from byok.domain.models import Environment
from byok.domain.problems.aws_errors import ErrorOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef

_PROBES: Final = "probes/"
_UNFINISHED: Final = "probe-bucket"


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
    """Uses keys through S3 in the probe bucket of an environment's Region. The first probe creates the bucket."""

    s3: "S3Client"
    environment: Environment

    def write_and_read(self, key_arn: str, *, bucket_key: bool) -> WrittenProbe:
        """Write an object with a key, read it back and delete it. Each call uses a new object.

        Args:
            key_arn: The key.
            bucket_key: Whether S3 uses a bucket key, which it may have cached.

        Raises:
            ClientError: S3 rejected one of the calls.
        """
        bucket, content = self.environment.probe_bucket, uuid.uuid4().bytes
        name = f"{_PROBES}{self.environment.environment_id}/{uuid.uuid4()}"
        written = self._put(name, content, key_arn, bucket_key=bucket_key)
        try:
            read = self.s3.get_object(Bucket=bucket, Key=name)["Body"].read()
        finally:
            self.s3.delete_object(Bucket=bucket, Key=name)
        return WrittenProbe(written["SSEKMSKeyId"], read == content, written["ResponseMetadata"].get("RequestId"))

    def succeeds(self, key_arn: str, *, bucket_key: bool) -> bool:
        """Return whether S3 can use a key. Any error counts as no, because the caller reports an earlier error."""
        try:
            return self.write_and_read(key_arn, bucket_key=bucket_key).intact
        except (ClientError, BotoCoreError):
            return False

    def _put(self, name: str, content: bytes, key_arn: str, *, bucket_key: bool) -> "PutObjectOutputTypeDef":
        """Write the probe. If the probe bucket does not exist yet, create it first."""

        def put() -> "PutObjectOutputTypeDef":
            return self.s3.put_object(
                Bucket=self.environment.probe_bucket,
                Key=name,
                Body=content,
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=key_arn,
                BucketKeyEnabled=bucket_key,
            )

        if not load_from_previous_attempt(_UNFINISHED):
            try:
                return put()
            except ClientError as error:
                if decide_error_outcome(error) is not ErrorOutcome.ABSENT:
                    raise
            # If this attempt fails after creating the bucket, the bucket may be unprotected. The saved value tells the
            # next attempt to repeat the setup.
            save_for_retry(_UNFINISHED, self.environment.probe_bucket)
        create_bucket_if_absent(self.s3, self.environment.probe_bucket, self.environment.region, {})
        _protect(self.s3, self.environment.probe_bucket, self.environment.region)
        save_for_retry(_UNFINISHED, "")
        return put()


def _protect(s3: "S3Client", name: str, region: str) -> None:
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK)
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=BUCKET_OWNER_ENFORCED)
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(build_probe_bucket_policy(build_bucket_arn(name, region))))
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "forget-probes", "Status": "Enabled", "Filter": {"Prefix": _PROBES}, "Expiration": {"Days": 1}}
            ]
        },
    )
