"""Proves the S3 key by using it, and looks up which environments hold the two keys.

The platform role may use a customer's key only through S3 and RDS. AWS denies a direct call to KMS even if the key is
set up correctly, so a direct call would prove nothing (D2). byok therefore writes an object with the key to one of the
platform's buckets, reads the object back and deletes it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws_errors import is_denied_by_key_policy
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.failures import ActivityContext, stop_with_problems
from activities.key_claims import KeyClaims
from activities.s3_probe import S3Probe
from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckedKey, Environment, KeyConflicts, Problem
from byok.domain.phases import Phase
from byok.domain.planning import Platform
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.domain.problems.remediation import Remedy

_ONLY_BUCKET_ARNS: Final = (
    "S3 can use the key only with a bucket key. Either the key policy pins kms:EncryptionContext:aws:s3:arn to the "
    "ARNs of buckets, or the permission was revoked and S3 still has its bucket key. An object without a bucket key "
    "was refused: {message}"
)


@dataclass(frozen=True)
class KeyActivities:
    """Probes of the customer's keys."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def probe_s3_key(self, environment: Environment) -> CheckedKey:
        """Use the S3 key as the environment's buckets will, with an object that is deleted again.

        The object without a bucket key is the verdict: S3 caches bucket keys, and could hide a revocation (D13). The
        object with a bucket key has the bucket's ARN as its encryption context, as all objects of the environment: it
        finds a key policy that allows the ARNs of objects only (S3 user guide, "Changes to note before enabling an S3
        Bucket Key").

        Raises:
            ApplicationError: `s3.KMS.…` or `s3.AccessDenied` with AWS's message. Stops at once or after the grace
                period; with `byok.KeysExchanged` if S3 can use the other key of the pair instead (contract 127); with
                `byok.ProbeMismatch` or `byok.BucketOfAnotherAccount` at once.
        """
        step = self._step(environment)
        s3 = self.clients.s3(environment.region)
        probe = S3Probe(s3, environment)
        arn = environment.s3_key_arn
        try:
            with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, environment.probe_bucket):
                written = probe.write_and_read(arn, bucket_key=False)
        except ApplicationError as refusal:
            if not refusal.non_retryable or not is_denied_by_key_policy(refusal.__cause__):
                raise
            if probe.succeeds(environment.rds_key_arn, bucket_key=False):
                raise _exchanged_error(step, refusal) from refusal
            if not probe.succeeds(arn, bucket_key=True):
                raise
            return CheckedKey.not_proved(KeyPurpose.S3, arn, _ONLY_BUCKET_ARNS.format(message=refusal.message))
        with step.translate_aws_errors():
            cached = probe.write_and_read(arn, bucket_key=True)
        for one in (written, cached):
            if not one.intact or one.key_arn != arn:
                message = f"The probe was written with {arn}; S3 reports {one.key_arn} or different content."
                raise step.non_retryable_error("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return CheckedKey.proved(KeyPurpose.S3, arn, datetime.now(UTC), written.request_id)

    @activity.defn(no_thread_cancel_exception=True)
    def probe_key_claims(self, environment: Environment) -> KeyConflicts:
        """Look up which environments hold the two keys, without claiming them (contract 129).

        Raises:
            ApplicationError: The error table decides about S3 errors.
        """
        step = self._step(environment)
        with step.translate_aws_errors():
            return KeyConflicts(problems=KeyClaims(self.clients, self.platform, step).list_conflicts())

    def _step(self, environment: Environment) -> ActivityContext:
        return ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)


def _exchanged_error(step: ActivityContext, refusal: ApplicationError) -> ApplicationError:
    """Build the stop for ARNs that were given in each other's place. It keeps AWS's answer to the wrong one."""
    answer = Problem.model_validate(refusal.details[0])
    environment = step.environment
    message = (
        f"The two ARNs are exchanged: S3 can use {environment.rds_key_arn}, given as {KeyPurpose.RDS.field_label}, and "
        f"cannot use {environment.s3_key_arn}, given as {KeyPurpose.S3.field_label}: {answer.message}"
    )
    problem = step.build_problem(
        KEYS_EXCHANGED_CODE,
        message,
        Remedy.KEYS_EXCHANGED,
        customer_key=True,
        operation=answer.operation,
        request_id=answer.request_id,
    )
    return stop_with_problems([problem])
