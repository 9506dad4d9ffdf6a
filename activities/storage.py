"""The buckets and their initial objects: found or made, filled, read back, removed."""

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
from activities.bucket_settings import (
    bucket_exists,
    build_bucket_arn,
    create_bucket_if_absent,
    read_bucket_tags,
    read_default_encryption,
    required_bucket_settings,
)
from activities.clients import AwsClients
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
    Environment,
    ObjectEvidence,
    OwnedResources,
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
"""Objects that are named where a bucket is kept for them: one is reason enough, and there may be millions."""


@dataclass(frozen=True)
class StorageActivities:
    """Everything that is done with the environment's buckets."""

    clients: AwsClients
    platform: Platform

    @activity.defn(no_thread_cancel_exception=True)
    def ensure_bucket(self, task: BucketTask) -> BucketResource:
        """Adopt a bucket of the environment, or make it, give it every setting it lacks, and write what is to be in it.

        The objects are the first use of the key by the environment itself; the writes name no key, so that they prove
        the bucket's default (contract 95-97).

        Raises:
            ApplicationError: `byok.NameTaken` or `byok.OtherKey`, stops; `s3.KMS.…` or `s3.AccessDenied` with AWS's
                words, stops at once or after the grace; what S3 refuses else, as the table says. Where the bucket is
                there by then, it is among the details.
        """
        step, s3 = self._step(task.environment, Phase.CREATING_STORAGE), self._s3(task.environment)
        with step.translate_aws_errors():
            made = not bucket_exists(s3, task.bucket.name)
            if made:
                create_bucket_if_absent(s3, task.bucket.name, task.environment.region, task.environment.tags)
            else:
                _require_own(s3, step, task)
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
        """Read one bucket's default encryption and its objects' keys back (contract 98, 119).

        Raises:
            ApplicationError: `byok.VerificationFailed`, a stop that names the field, what was asked and what is.
        """
        step, key = self._step(environment, Phase.VERIFYING), environment.s3_key_arn
        with step.translate_aws_errors():
            found = _evidence(self._s3(environment), bucket)
        step.require_match(bucket.name, found, {"algorithm": "aws:kms", "key_arn": key, "bucket_key_enabled": True})
        for item in found.objects:
            step.require_match(f"{bucket.name}/{item.key}", item, {"algorithm": "aws:kms", "key_arn": key})
        return found

    @activity.defn(no_thread_cancel_exception=True)
    def remove_bucket(self, task: BucketRemovalTask) -> RemovalResult:
        """Remove what was written and then the bucket, if it is the environment's and holds nothing else.

        Raises:
            ApplicationError: What S3 refuses, as the table says.
        """
        step, s3 = self._step(task.environment, task.phase), self._s3(task.environment)
        name = task.bucket.name
        with step.translate_aws_errors():
            if not bucket_exists(s3, name):
                return RemovalResult(resource=name, removed=True)
            why = reason_to_keep(read_bucket_tags(s3, name), task.environment, task.phase)
            if why is not None:
                return RemovalResult(resource=name, removed=False, why_kept=why)
            written, foreign = _contents(s3, task)
            if foreign:
                why = f"it holds objects that provisioning did not write: {', '.join(foreign)}"
                return RemovalResult(resource=name, removed=False, why_kept=why)
            for key, version in written:
                s3.delete_object(Bucket=name, Key=key, VersionId=version)
            s3.delete_bucket(Bucket=name)
        return RemovalResult(resource=name, removed=True)

    @activity.defn(no_thread_cancel_exception=True)
    def list_buckets(self, environment: Environment) -> OwnedResources:
        """Every bucket that bears the environment's tag, whatever the blueprint says today.

        Raises:
            ApplicationError: What S3 refuses, as the table says.
        """
        step, s3 = self._step(environment, Phase.DELETING), self._s3(environment)
        prefix = f"{self.platform.vendor.resource_prefix}-{environment.environment_id}-"
        with step.translate_aws_errors():
            pages = s3.get_paginator("list_buckets").paginate(Prefix=prefix)
            names = [bucket["Name"] for page in pages for bucket in page.get("Buckets", [])]
            return OwnedResources(
                buckets=tuple(name for name in names if has_environment_tag(read_bucket_tags(s3, name), environment))
            )

    def _step(self, environment: Environment, phase: Phase) -> ActivityContext:
        return ActivityContext(
            environment, self.platform.vendor, phase, KeyPurpose.S3, request_kind=request_kind_for_phase(phase)
        )

    def _s3(self, environment: Environment) -> "S3Client":
        return self.clients.s3(environment.region)


def _head(s3: "S3Client", bucket: str, key: str) -> "HeadObjectOutputTypeDef | None":
    """What S3 says of an object, None where there is none.

    The answer to a HEAD has no body, and so no reason why it is refused (S3 API reference, HeadObject): a GET of the
    same object has one.
    """
    try:
        return none_if_absent(lambda: s3.head_object(Bucket=bucket, Key=key))
    except ClientError:
        s3.get_object(Bucket=bucket, Key=key)
        raise


def _contents(s3: "S3Client", task: BucketRemovalTask) -> tuple[list[tuple[str, str]], list[str]]:
    """What provisioning wrote, and the first few objects that it did not.

    What was written bears the environment's tag, version by version: a key that cannot be used any more does not hide
    that, as it would hide an object's metadata (S3 API reference, GetObjectTagging).
    """
    name, written, foreign = task.bucket.name, list[tuple[str, str]](), dict[str, None]()
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
        written += ((marker["Key"], marker["VersionId"]) for marker in page.get("DeleteMarkers", []))
        for item in page.get("Versions", []):
            key, version = item["Key"], item["VersionId"]
            if has_environment_tag(
                s3.get_object_tagging(Bucket=name, Key=key, VersionId=version)["TagSet"], task.environment
            ):
                written.append((key, version))
            else:
                foreign[key] = None
            if len(foreign) == _NAMED_AT_MOST:
                return written, list(foreign)
    return written, list(foreign)


def _require_own(s3: "S3Client", step: ActivityContext, task: BucketTask) -> None:
    """A bucket is adopted by tag and key. One on another key is, as long as it is empty, only half made."""
    name, key = task.bucket.name, task.environment.s3_key_arn
    if not has_environment_tag(read_bucket_tags(s3, name), task.environment):
        raise step.non_retryable_error(
            "byok.NameTaken", f"The bucket {name} is not this environment's.", Remedy.NAME_TAKEN
        )
    algorithm, current, _ = read_default_encryption(s3, name)
    if current in {None, key}:
        return
    if _versions(s3, name):
        message = f"The bucket {name} holds objects encrypted with {current}."
        raise step.non_retryable_error("byok.OtherKey", message, Remedy.OTHER_KEY, customer_key=True)
    if algorithm == "aws:kms" and is_key_arn(current):
        # It was asked for with another key before: that one is free again.
        KeyClaims(s3, step).release_key(current)


def _versions(s3: "S3Client", bucket: str) -> list[tuple[str, str]]:
    """Every version of every object, and every delete marker."""
    found: list[tuple[str, str]] = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found += ((item["Key"], item["VersionId"]) for item in page.get("Versions", []))
        found += ((item["Key"], item["VersionId"]) for item in page.get("DeleteMarkers", []))
    return found


def _checksum(item: InitialObject) -> str:
    """Of the content: an ETag is none where KMS encrypts (S3 API reference, "Object")."""
    return base64.b64encode(hashlib.sha256(item.content.encode()).digest()).decode()


def _require_writable(s3: "S3Client", task: BucketTask, item: InitialObject, *, empty: bool = False) -> None:
    """Write an object where it is not there yet, and read it.

    Reading takes another permission than writing: without it the services could not start.
    """
    if empty or not _is_written(s3, task, item):
        _write(s3, task, item)
        s3.get_object(Bucket=task.bucket.name, Key=item.key)["Body"].read()


def _is_written(s3: "S3Client", task: BucketTask, item: InitialObject) -> bool:
    found = _head(s3, task.bucket.name, item.key)
    return (
        found is not None
        and found.get("SSEKMSKeyId") == task.environment.s3_key_arn
        and found["Metadata"].get(_CHECKSUM) == _checksum(item)
    )


def _write(s3: "S3Client", task: BucketTask, item: InitialObject) -> None:
    s3.put_object(
        Bucket=task.bucket.name,
        Key=item.key,
        Body=item.content.encode(),
        ContentType=item.content_type,
        Metadata={_CHECKSUM: _checksum(item)},
        Tagging=urlencode({task.environment.environment_tag: task.environment.environment_id}),
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
