"""Proves the S3 key by using it.

The platform role may use a customer's key only through S3 and RDS. AWS denies a direct KMS call even if the key is set
up correctly, so such a call would prove nothing (D2). The proof is therefore an object that byok writes, reads back and
deletes in one of the platform's buckets.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws_errors import decide_error_outcome
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
            ApplicationError: `s3.KMS.…` or `s3.AccessDenied` with AWS's message. Stops at once or after the grace
                period.
        """
        step = ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
        s3, bucket = self.clients.s3(environment.region), environment.probe_bucket
        # A new object per attempt and no bucket key: what S3 caches could hide a revocation (D13).
        key, content = f"{_PROBES}{environment.environment_id}/{uuid.uuid4()}", uuid.uuid4().bytes
        with step.translate_aws_errors():
            used = _put_probe(s3, environment, key, content)
            try:
                answer = s3.get_object(Bucket=bucket, Key=key)
                intact = answer["Body"].read() == content
            finally:
                s3.delete_object(Bucket=bucket, Key=key)
        if not intact or used != environment.s3_key_arn:
            message = f"The probe was written with {environment.s3_key_arn}; S3 reports {used} or different content."
            raise step.non_retryable_error("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return KeyProbeResult(key=KeyPurpose.S3, key_arn=environment.s3_key_arn, at=datetime.now(UTC))


def _put_probe(s3: "S3Client", environment: Environment, key: str, content: bytes) -> str:
    """Write the probe. If it is the first one in the Region, create its bucket.

    Returns:
        The key that S3 reports as used.
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
        # The next attempt must finish the setup if this one cannot: an existing bucket may still be unprotected.
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
