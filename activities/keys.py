"""Proves that the platform can use the S3 key.

The platform role may use a customer's key only through S3 and RDS. AWS denies a direct call to KMS even if the key is
set up correctly, so a direct call would prove nothing (D2). byok therefore writes an object with the key to one of the
platform's buckets, reads the object back and deletes it.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws_errors import decide_error_outcome
from activities.bucket_owner import refuse_foreign_bucket
from activities.bucket_settings import (
    BUCKET_OWNER_ENFORCED,
    PUBLIC_ACCESS_BLOCK,
    build_bucket_arn,
    create_bucket_if_absent,
)
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok.domain.arns import KeyPurpose
from byok.domain.iam.bucket_policy import build_probe_bucket_policy
from byok.domain.models import Environment, KeyProbeResult
from byok.domain.phases import Phase
from byok.domain.planning import Platform
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PROBES: Final = "probes/"
_UNFINISHED: Final = "probe-bucket"


@dataclass(frozen=True)
class KeyActivities:
    """Probes of the customer's keys."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def probe_s3_key(self, environment: Environment) -> KeyProbeResult:
        """Write an object with the S3 key, read it back and delete it.

        Raises:
            ApplicationError: Stops at once or after the grace period with `s3.KMS.…` or `s3.AccessDenied`, and shows
                AWS's message. Stops at once with `byok.ProbeMismatch` or `byok.BucketOfAnotherAccount`. Other S3
                errors: see the error table.
        """
        step = ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
        s3, bucket = self.clients.s3(environment.region), environment.probe_bucket
        # Each attempt writes a new object without a bucket key, because S3's caches could otherwise hide a revocation
        # of access to the key (D13).
        key, content = f"{_PROBES}{environment.environment_id}/{uuid.uuid4()}", uuid.uuid4().bytes
        with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, bucket):
            used = _put_probe(s3, environment, key, content)
            try:
                answer = s3.get_object(Bucket=bucket, Key=key)
                intact = answer["Body"].read() == content
            finally:
                s3.delete_object(Bucket=bucket, Key=key)
        if not intact or used != environment.s3_key_arn:
            message = (
                f"The probe was written with {environment.s3_key_arn}, but S3 reports {used} or different content."
            )
            raise step.non_retryable_error("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return KeyProbeResult(key=KeyPurpose.S3, key_arn=environment.s3_key_arn, at=datetime.now(UTC))


def _put_probe(s3: "S3Client", environment: Environment, key: str, content: bytes) -> str:
    """Write the probe object. If the probe bucket of this Region does not exist yet, create it first.

    Returns:
        The ARN of the key that S3 reports for the object.
    """

    def put() -> str:
        answer = s3.put_object(
            Bucket=environment.probe_bucket,
            Key=key,
            Body=content,
            ServerSideEncryption="aws:kms",
            SSEKMSKeyId=environment.s3_key_arn,
            BucketKeyEnabled=False,
        )
        return answer["SSEKMSKeyId"]

    if load_from_previous_attempt(_UNFINISHED) is None:
        try:
            return put()
        except ClientError as error:
            if decide_error_outcome(error) is not ErrorOutcome.ABSENT:
                raise
        # If this attempt fails after creating the bucket, the bucket may be unprotected. The saved value tells the next
        # attempt to repeat the setup.
        save_for_retry(_UNFINISHED, environment.probe_bucket)
    create_bucket_if_absent(s3, environment.probe_bucket, environment.region, {})
    _protect(s3, environment.probe_bucket, environment.region)
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
