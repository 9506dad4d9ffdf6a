"""Proves the S3 key by using it, and keeps two environments from sharing a key.

The platform role may use a customer's key through S3 and RDS alone: a direct call to KMS is denied on a perfect key,
and would prove nothing (D2). The proof is therefore an object: written, read back and removed in a bucket of the
platform's.
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError
from temporalio import activity

from activities.aws import ActivityContext, AwsClients
from activities.aws_errors import none_if_absent, outcome_of
from activities.bucket_settings import OWNER_ENFORCED, PUBLIC_ACCESS_BLOCK, bucket_arn, make_bucket
from activities.heartbeat import load_from_previous_attempt, save_for_retry
from byok.domain.access import organisation_of
from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.iam.bucket_policy import probe_bucket_policy
from byok.domain.models import Environment, KeyProbeResult
from byok.domain.phases import Phase
from byok.domain.planning import Platform
from byok.domain.problems.aws_errors import Outcome
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PROBES: Final = "probes/"
_CLAIMS: Final = "claims/"
_UNFINISHED: Final = "probe-bucket"


@dataclass(frozen=True)
class KeyActivities:
    """Probes of the customer's keys."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def probe_s3_key(self, environment: Environment) -> KeyProbeResult:
        """Write an object with the S3 key, read it back and remove it.

        Raises:
            ApplicationError: `s3.KMS.…` or `s3.AccessDenied` with AWS's words; stops at once or after the grace.
        """
        step = ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
        s3, bucket = self.clients.s3(environment.region), environment.probe_bucket
        # A fresh object for every attempt, and no bucket key: what S3 remembers could hide a revocation (D13).
        key, content = f"{_PROBES}{environment.environment_id}/{uuid.uuid4()}", uuid.uuid4().bytes
        with step.translate_aws_errors():
            used = _put_probe(s3, environment, key, content)
            try:
                answer = s3.get_object(Bucket=bucket, Key=key)
                intact = answer["Body"].read() == content
            finally:
                s3.delete_object(Bucket=bucket, Key=key)
        if not intact or used != environment.s3_key_arn:
            message = f"The probe was written with {environment.s3_key_arn}, and S3 reports {used} and other content."
            raise step.refuse("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return KeyProbeResult(key=KeyPurpose.S3, key_arn=environment.s3_key_arn, at=datetime.now(UTC))


@dataclass(frozen=True)
class KeyClaims:
    """Which environment a key belongs to (contract 123): one object per key in the platform's probe bucket.

    S3 writes it only if it is not there yet, so that of two environments started at one moment one gets the key.
    """

    s3: "S3Client"
    step: ActivityContext

    def take(self) -> None:
        """Claim both keys for the environment; what it holds already it keeps.

        Raises:
            ApplicationError: `byok.KeyInUse`, a stop: another environment holds one of them.
        """
        for which in KeyPurpose:
            owner = self._claim(which)
            if owner != self._environment.environment_id:
                arn = self._environment.key_arn(which)
                step = ActivityContext(self._environment, self.step.vendor, self.step.phase, which)
                message = f"{arn} is the {which.key_name} of {_named(owner, self._environment.environment_id)}."
                raise step.refuse("byok.KeyInUse", message, Remedy.KEY_IN_USE, customer_key=True)

    def release(self) -> None:
        """Give both keys back; only those that are this environment's."""
        for which in KeyPurpose:
            self.release_key(self._environment.key_arn(which))

    def release_key(self, key_arn: str) -> None:
        """Give a key back that the environment has had, if it is still this environment's."""
        name = _claim_on(key_arn)
        if self._owner(name) == self._environment.environment_id:
            self.s3.delete_object(Bucket=self._environment.probe_bucket, Key=name)

    @property
    def _environment(self) -> Environment:
        return self.step.environment

    def _claim(self, which: KeyPurpose) -> str:
        name = _claim_on(self._environment.key_arn(which))
        body = json.dumps({"environment_id": self._environment.environment_id}).encode()
        try:
            self.s3.put_object(
                Bucket=self._environment.probe_bucket,
                Key=name,
                Body=body,
                ContentType="application/json",
                IfNoneMatch="*",
            )
        except ClientError as error:
            if outcome_of(error) is not Outcome.EXISTS:
                raise
            # None: it was given back between the two calls, and is there for the asking.
            return self._owner(name) or self._claim(which)
        return self._environment.environment_id

    def _owner(self, name: str) -> str | None:
        answer = none_if_absent(lambda: self.s3.get_object(Bucket=self._environment.probe_bucket, Key=name))
        if answer is None:
            return None
        owner: str = json.loads(answer["Body"].read())["environment_id"]
        return owner


def _claim_on(key_arn: str) -> str:
    arn = parse_key_arn(key_arn)
    return f"{_CLAIMS}{arn.account}/{arn.key_id}"


def _put_probe(s3: "S3Client", environment: Environment, key: str, content: bytes) -> str:
    """Write the probe; make its bucket where this is the first one in the Region.

    Returns:
        The key that S3 says it used.
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
            if outcome_of(error) is not Outcome.ABSENT:
                raise
        # The next attempt finishes what this one may not: a bucket that is there does not tell that it is protected.
        save_for_retry(_UNFINISHED, environment.probe_bucket)
    make_bucket(s3, environment.probe_bucket, environment.region, {})
    _protect(s3, environment.probe_bucket, environment.region)
    return put()


def _protect(s3: "S3Client", name: str, region: str) -> None:
    s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK)
    s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=OWNER_ENFORCED)
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(probe_bucket_policy(bucket_arn(name, region))))
    s3.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "forget-probes", "Status": "Enabled", "Filter": {"Prefix": _PROBES}, "Expiration": {"Days": 1}}
            ]
        },
    )


def _named(owner: str, environment_id: str) -> str:
    """An environment by its id, but for one of another organisation: nobody learns what those are called."""
    same = organisation_of(owner) == organisation_of(environment_id)
    return f"environment {owner}" if same else "another environment"
