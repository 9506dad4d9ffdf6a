"""Activities that create, adopt, fill, verify and delete the buckets."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.aws_errors import none_if_absent
from activities.bucket_owner import refuse_foreign_bucket
from activities.bucket_settings import (
    bucket_exists,
    build_bucket_arn,
    create_bucket_if_absent,
    read_bucket_tags,
    read_default_encryption,
    required_bucket_settings,
)
from activities.clients import AwsClients
from activities.encryption import require_same_encryption
from activities.failures import ActivityContext, with_partial_result
from activities.key_claims import KeyClaims
from activities.ownership import has_environment_tag, reason_to_keep
from byok.domain.arns import KeyPurpose, is_key_arn
from byok.domain.blueprint import InitialObject
from byok.domain.models import (
    BucketEvidence,
    BucketPlan,
    BucketRemovalTask,
    BucketResource,
    BucketTask,
    BucketWithForeignObjects,
    Environment,
    ForeignObjects,
    ForeignObjectsTask,
    ObjectEvidence,
    RemovalResult,
)
from byok.domain.phases import Phase, request_kind_for_phase
from byok.domain.planning import Platform
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

_CHECKSUM: Final = "byok-sha256"
_NAMED_AT_MOST: Final = 3
"""The maximum number of objects that a message lists as the reason for keeping a bucket. A bucket can contain millions
of objects.
"""


@dataclass(frozen=True)
class StorageActivities:
    """All activities for the environment's buckets."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def ensure_bucket(self, task: BucketTask) -> BucketResource:
        """Adopt or create one of the environment's buckets, apply missing settings, and write its initial objects.

        Writing these objects is the environment's first use of the key. The requests do not specify a key, so they
        prove that the bucket's default encryption works (contract 95-97).

        Raises:
            ApplicationError: `byok.BucketOfAnotherAccount`, `byok.NameTaken`, `byok.EncryptionCannotChange` or
                `byok.OtherKey`, immediately; or `s3.KMS.…` or `s3.AccessDenied` with AWS's message, immediately or
                after the grace period. For other S3 errors, see the error table. If byok has already created or adopted
                the bucket, the error's details include the bucket.
        """
        step, s3 = self._step(task.environment, Phase.CREATING_STORAGE), self._s3(task.environment)
        claims = KeyClaims(self.clients, self.platform, step)
        if activity.info().workflow_run_id != task.environment.run_id:
            # A replay resumes here. When the earlier run stopped, it released the claim on the key if no bucket used
            # the key yet.
            with step.translate_aws_errors():
                claims.acquire(KeyPurpose.S3)
        with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, task.bucket.name):
            made = not bucket_exists(s3, task.bucket.name)
            if made:
                create_bucket_if_absent(s3, task.bucket.name, task.environment.region, task.environment.tags)
            else:
                _require_own(s3, step, claims, task)
        written: list[str] = []
        try:
            with step.translate_aws_errors():
                for setting in required_bucket_settings(task.bucket.name, task.environment):
                    if made or not setting.is_applied(s3, task.bucket.name):
                        setting.apply(s3, task.bucket.name)
                for item in task.bucket.objects:
                    _require_writable(s3, task, item, empty=made)
                    written.append(item.key)
        except ApplicationError as refusal:
            raise with_partial_result(refusal, _resource(task, created=made, objects=written)) from refusal
        return _resource(task, created=made, objects=written)

    def read_and_verify_bucket(self, environment: Environment, bucket: BucketPlan) -> BucketEvidence:
        """Read back one bucket's default encryption and its objects' KMS keys (contract 98, 119).

        Raises:
            ApplicationError: `byok.VerificationFailed`, if a field differs from the request; the error contains the
                field, the expected value and the actual value. `byok.BucketOfAnotherAccount`, if another account owns
                the bucket.
        """
        step, key, s3 = self._step(environment, Phase.VERIFYING), environment.s3_key_arn, self._s3(environment)
        with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, bucket.name):
            found = _evidence(s3, bucket)
        step.require_match(bucket.name, found, {"algorithm": "aws:kms", "key_arn": key, "bucket_key_enabled": True})
        for item in found.objects:
            key_arn = environment.expected_key_arn(KeyPurpose.S3, item.key_arn)
            step.require_match(f"{bucket.name}/{item.key}", item, {"algorithm": "aws:kms", "key_arn": key_arn})
        return found

    @activity.defn(no_thread_cancel_exception=True)
    def remove_bucket(self, task: BucketRemovalTask) -> RemovalResult:
        """Delete the objects that byok wrote, and then the bucket.

        The bucket is kept if it does not belong to the environment or contains other objects.

        Raises:
            ApplicationError: `byok.BucketOfAnotherAccount`, if another account owns the bucket. For other S3 errors,
                see the error table.
        """
        step, s3 = self._step(task.environment, task.phase), self._s3(task.environment)
        name = task.bucket.name
        with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, name):
            if not bucket_exists(s3, name):
                return RemovalResult(resource=name, removed=True)
            why = reason_to_keep(read_bucket_tags(s3, name), task.environment, task.phase)
            if why is not None:
                return RemovalResult(resource=name, removed=False, why_kept=why)
            written, foreign = _contents(s3, name, task.environment)
            if foreign:
                why = f"it holds objects that provisioning did not write: {', '.join(foreign)}"
                return RemovalResult(resource=name, removed=False, why_kept=why)
            for key, version in written:
                s3.delete_object(Bucket=name, Key=key, VersionId=version)
            s3.delete_bucket(Bucket=name)
        return RemovalResult(resource=name, removed=True)

    @activity.defn(no_thread_cancel_exception=True)
    def find_foreign_objects(self, task: ForeignObjectsTask) -> ForeignObjects:
        """Look for objects that provisioning did not write, in all of the environment's buckets. It changes nothing.

        Raises:
            ApplicationError: S3 returned an error. The error table decides whether the error stops the activity.
        """
        step, s3 = self._step(task.environment, Phase.DELETING), self._s3(task.environment)
        found: list[BucketWithForeignObjects] = []
        for name in task.buckets:
            with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, name):
                _, foreign = _contents(s3, name, task.environment)
            if foreign:
                found.append(BucketWithForeignObjects(bucket=name, keys=tuple(foreign)))
        return ForeignObjects(buckets=tuple(found))

    def _step(self, environment: Environment, phase: Phase) -> ActivityContext:
        return ActivityContext(
            environment, self.platform.vendor, phase, KeyPurpose.S3, request_kind=request_kind_for_phase(phase)
        )

    def _s3(self, environment: Environment) -> "S3Client":
        return self.clients.on_behalf_of(environment.organisation).s3(environment.region)


def _head(s3: "S3Client", bucket: str, key: str) -> "HeadObjectOutputTypeDef | None":
    """Return S3's response to a HEAD request for an object, or None if the object does not exist.

    An error response to HEAD has no body and so does not explain the error (S3 API reference, HeadObject). After an
    error, this function therefore sends a GET request for the same object: an error response to GET has a body.
    """
    try:
        return none_if_absent(lambda: s3.head_object(Bucket=bucket, Key=key))
    except ClientError:
        s3.get_object(Bucket=bucket, Key=key)
        raise


def _contents(s3: "S3Client", name: str, environment: Environment) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the keys and versions to delete, and the keys of a few objects that provisioning did not write.

    The versions to delete are all delete markers and the object versions that provisioning wrote, which have the
    environment's tag. The tags of an object, unlike its metadata, remain readable after the key becomes unusable (S3
    API reference, GetObjectTagging).
    """
    written, foreign = list[tuple[str, str]](), dict[str, None]()
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        written += ((marker["Key"], marker["VersionId"]) for marker in page.get("DeleteMarkers", []))
        for item in page.get("Versions", []):
            key, version = item["Key"], item["VersionId"]
            if has_environment_tag(
                s3.get_object_tagging(Bucket=name, Key=key, VersionId=version)["TagSet"], environment
            ):
                written.append((key, version))
            else:
                foreign[key] = None
            if len(foreign) == _NAMED_AT_MOST:
                return written, list(foreign)
    return written, list(foreign)


def _require_own(s3: "S3Client", step: ActivityContext, claims: KeyClaims, task: BucketTask) -> None:
    """Stop if the bucket does not have this environment's tag, or if it holds objects encrypted with another key.

    byok adopts an empty bucket even if it uses another key, because the setup of such a bucket is incomplete.
    """
    name, key = task.bucket.name, task.environment.s3_key_arn
    if not has_environment_tag(read_bucket_tags(s3, name), task.environment):
        raise step.non_retryable_error(
            "byok.NameTaken", f"The bucket {name} does not belong to this environment.", Remedy.NAME_TAKEN
        )
    algorithm, current, _ = read_default_encryption(s3, name)
    if current in {None, key}:
        return
    if _versions(s3, name):
        require_same_encryption(step, f"The bucket {name}", current)
        message = f"The bucket {name} holds objects encrypted with {current}."
        raise step.non_retryable_error("byok.OtherKey", message, Remedy.OTHER_KEY, customer_key=True)
    if algorithm == "aws:kms" and is_key_arn(current):
        # An earlier request for this environment contained another key. Release the claim on that key, so that other
        # environments can use it.
        claims.release_key(current)


def _versions(s3: "S3Client", bucket: str) -> list[tuple[str, str]]:
    """Return the key and version id of every object version and every delete marker in a bucket."""
    found: list[tuple[str, str]] = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found += ((item["Key"], item["VersionId"]) for item in page.get("Versions", []))
        found += ((item["Key"], item["VersionId"]) for item in page.get("DeleteMarkers", []))
    return found


def _checksum(item: InitialObject) -> str:
    """Return the checksum of an object's content.

    The ETag cannot serve as a checksum, because with KMS encryption the ETag is not a digest of the content (S3 API
    reference, "Object").
    """
    return base64.b64encode(hashlib.sha256(item.content.encode()).digest()).decode()


def _require_writable(s3: "S3Client", task: BucketTask, item: InitialObject, *, empty: bool = False) -> None:
    """Write an object and read it back, unless the object already exists.

    The object is read back because the environment's services cannot start without permission to read, which is
    separate from the permission to write.
    """
    if empty or not _is_written(s3, task, item):
        _write(s3, task, item)
        s3.get_object(Bucket=task.bucket.name, Key=item.key)["Body"].read()


def _is_written(s3: "S3Client", task: BucketTask, item: InitialObject) -> bool:
    found = _head(s3, task.bucket.name, item.key)
    key_arn = found.get("SSEKMSKeyId") if found is not None else None
    return (
        found is not None
        and key_arn == task.environment.expected_key_arn(KeyPurpose.S3, key_arn)
        and found["Metadata"].get(_CHECKSUM) == _checksum(item)
    )


def _write(s3: "S3Client", task: BucketTask, item: InitialObject) -> None:
    s3.put_object(
        Bucket=task.bucket.name,
        Key=item.key,
        Body=item.content.encode(),
        ContentType=item.content_type,
        Metadata={_CHECKSUM: _checksum(item)},
        Tagging=urlencode(task.environment.owner_tags),
    )


def _evidence(s3: "S3Client", bucket: BucketPlan) -> BucketEvidence:
    algorithm, key, bucket_key = read_default_encryption(s3, bucket.name)
    return BucketEvidence(
        name=bucket.name,
        algorithm=algorithm or "none",
        key_arn=key or "none",
        bucket_key_enabled=bucket_key,
        objects=tuple(_object_evidence(s3, bucket.name, item.key) for item in bucket.objects),
    )


def _object_evidence(s3: "S3Client", bucket: str, key: str) -> ObjectEvidence:
    found = _head(s3, bucket, key)
    if found is None:
        return ObjectEvidence(key=key, algorithm="missing", key_arn="missing")
    return ObjectEvidence(
        key=key, algorithm=found.get("ServerSideEncryption", "none"), key_arn=found.get("SSEKMSKeyId", "none")
    )


def _resource(task: BucketTask, *, created: bool = False, objects: Sequence[str] = ()) -> BucketResource:
    return BucketResource(
        purpose=task.bucket.purpose,
        name=task.bucket.name,
        arn=build_bucket_arn(task.bucket.name, task.environment.region),
        key_arn=task.environment.s3_key_arn,
        objects=tuple(objects),
        created=created,
    )
