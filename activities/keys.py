"""Proves the S3 key by using it, and looks up which environments have claimed the two keys.

The platform role may use a customer's key only through S3 and RDS. AWS denies a direct call to KMS even if the key is
set up correctly, so a direct call would prove nothing (D2). byok therefore writes an object, encrypted with the key,
to one of the platform's buckets, reads the object back and deletes it.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws_errors import is_denied_by_key_policy
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.encryption import build_conflict_problems, find_encryption_conflict
from activities.failures import ActivityContext, stop_with_problems
from activities.key_claims import KeyClaims
from activities.rds_resources import find_cluster, is_tagged_for
from activities.s3_probe import S3Probe
from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckedKey, Environment, KeyConflicts, Problem
from byok.domain.phases import Phase
from byok.domain.planning import KEY_CHECK_ENVIRONMENT_ID, Platform, plan_cluster
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.domain.problems.remediation import Remedy

_ONLY_BUCKET_ARNS: Final = (
    "S3 can use the key only with a bucket key. Either the key policy pins kms:EncryptionContext:aws:s3:arn to the "
    "ARNs of buckets, or the permission was revoked and S3 still has its bucket key. S3 rejected an object "
    "without a bucket key: {message}"
)


@dataclass(frozen=True)
class KeyActivities:
    """The activities that probe the customer's keys and look up the keys' claims."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def probe_s3_key(self, environment: Environment) -> CheckedKey:
        """Use the S3 key as the environment's buckets use it, with two objects that are deleted afterwards.

        The first object, written without a bucket key, determines the verdict, because S3 caches bucket keys, and a
        cached bucket key could hide a revocation (D13). The second object, written with a bucket key, has the bucket's
        ARN as its encryption context, like all objects in the environment's buckets. The second write fails if the key
        policy allows only the ARNs of objects as encryption context (S3 user guide, "Changes to note before enabling an
        S3 Bucket Key").

        Raises:
            ApplicationError: `s3.KMS.…` or `s3.AccessDenied` with AWS's message, or `byok.KeysExchanged` if S3 can use
                only the other key of the pair (contract 127). These errors occur immediately or after the grace period.
                `byok.ProbeMismatch` and `byok.BucketOfAnotherAccount` always occur immediately.
        """
        step = self._step(environment)
        s3 = self.clients.on_behalf_of(environment.organisation).s3(environment.region)
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
                message = (
                    f"The probe was written with {arn}, but S3 reports the key {one.key_arn} or returned different "
                    "content."
                )
                raise step.non_retryable_error("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return CheckedKey.proved(KeyPurpose.S3, arn, datetime.now(UTC), written.request_id)

    @activity.defn(no_thread_cancel_exception=True)
    def probe_key_claims(self, environment: Environment) -> KeyConflicts:
        """Look up which environments have claimed the two keys, without creating a claim (contract 129).

        Return a problem for each of the two keys if the environment already exists and uses platform-managed keys
        (contract 9).

        Raises:
            ApplicationError: `byok.BucketOfAnotherAccount`, if another account owns the probe bucket. For other RDS and
                S3 errors, see the error table.
        """
        step = self._step(environment)
        with step.translate_aws_errors():
            conflicts = KeyClaims(self.clients, self.platform, step).list_conflicts()
            return KeyConflicts(problems=(*self._find_encryption_conflicts(step), *conflicts))

    def _find_encryption_conflicts(self, step: ActivityContext) -> tuple[Problem, ...]:
        environment = step.environment
        if environment.environment_id == KEY_CHECK_ENVIRONMENT_ID:
            return ()
        planned = plan_cluster(environment.environment_id, self.platform)
        cluster = find_cluster(self.clients.rds(environment.region), planned.identifier)
        if cluster is None or not is_tagged_for(cluster, environment):
            return ()
        conflict = find_encryption_conflict(step, cluster.get("KmsKeyId"))
        return () if conflict is None else build_conflict_problems(step, conflict)

    def _step(self, environment: Environment) -> ActivityContext:
        phase, kind = Phase.VALIDATING_KEYS, environment.request_kind
        return ActivityContext(environment, self.platform.vendor, phase, KeyPurpose.S3, kind)


def _exchanged_error(step: ActivityContext, refusal: ApplicationError) -> ApplicationError:
    """Build the error for two key ARNs that were entered in the wrong order.

    The error contains AWS's message about the key that S3 cannot use.
    """
    answer = Problem.model_validate(refusal.details[0])
    environment = step.environment
    message = (
        f"The two ARNs are swapped: S3 can use {environment.rds_key_arn}, given as {KeyPurpose.RDS.field_label}, and "
        f"cannot use {environment.s3_key_arn}, given as {KeyPurpose.S3.field_label}. AWS said: {answer.message}"
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
