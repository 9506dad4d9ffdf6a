"""How byok creates, secures and recognises a bucket: access settings and default encryption."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from activities.aws_errors import decide_error_outcome, none_if_absent
from byok.domain.arns import partition_of_region
from byok.domain.iam.bucket_policy import build_bucket_policy
from byok.domain.models import Environment
from byok.domain.problems.aws_errors import ErrorOutcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import OwnershipControlsTypeDef, PublicAccessBlockConfigurationTypeDef, TagTypeDef

PUBLIC_ACCESS_BLOCK: "PublicAccessBlockConfigurationTypeDef" = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
BUCKET_OWNER_ENFORCED: "OwnershipControlsTypeDef" = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def build_bucket_arn(name: str, region: str) -> str:
    """Build the ARN of a bucket, which contains neither Region nor account."""
    return f"arn:{partition_of_region(region)}:s3:::{name}"


def create_bucket_if_absent(s3: "S3Client", name: str, region: str, tags: dict[str, str]) -> None:
    """Create a bucket with its tags, unless the platform already has it.

    CreateBucket sets the tags, so the bucket is never without an owner. S3 rejects us-east-1 as a location constraint
    (S3 API reference, CreateBucket).
    """
    configuration: dict[str, object] = {}
    if region != "us-east-1":
        configuration["LocationConstraint"] = region
    if tags:
        configuration["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
    try:
        if configuration:
            s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)  # type: ignore[arg-type]
        else:
            s3.create_bucket(Bucket=name)
    except ClientError as error:
        if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
            raise


def bucket_exists(s3: "S3Client", bucket: str) -> bool:
    """Return whether a bucket with this name exists and is visible to the platform."""
    return none_if_absent(lambda: s3.head_bucket(Bucket=bucket)) is not None


def read_bucket_tags(s3: "S3Client", bucket: str) -> "list[TagTypeDef]":
    """Return the tags of a bucket."""
    return none_if_absent(lambda: s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) or []


@dataclass(frozen=True)
class BucketSetting:
    """One bucket setting: how to read it, its required value, and how to write it."""

    read: Callable[["S3Client", str], object]
    wanted: object
    write: Callable[["S3Client", str], object]

    def is_applied(self, s3: "S3Client", bucket: str) -> bool:
        """Return whether the bucket has the required value."""
        return none_if_absent(lambda: self.read(s3, bucket)) == self.wanted

    def apply(self, s3: "S3Client", bucket: str) -> None:
        """Write the required value to the bucket."""
        self.write(s3, bucket)


def required_bucket_settings(name: str, environment: Environment) -> tuple[BucketSetting, ...]:
    """Return every setting of an environment's bucket, in the order in which byok applies them.

    Public access is blocked before the bucket contains anything.
    """
    key = environment.s3_key_arn
    encryption: Any = {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
                "BucketKeyEnabled": True,  # one call to KMS serves many objects (D13)
            }
        ]
    }
    policy = build_bucket_policy(build_bucket_arn(name, environment.region), key)
    return (
        BucketSetting(
            lambda s3, bucket: s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
            PUBLIC_ACCESS_BLOCK,
            lambda s3, bucket: s3.put_public_access_block(
                Bucket=bucket, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK
            ),
        ),
        BucketSetting(
            lambda s3, bucket: s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"],
            BUCKET_OWNER_ENFORCED,
            lambda s3, bucket: s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=BUCKET_OWNER_ENFORCED),
        ),
        BucketSetting(
            read_default_encryption,
            ("aws:kms", key, True),
            lambda s3, bucket: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption),
        ),
        BucketSetting(
            lambda s3, bucket: s3.get_bucket_versioning(Bucket=bucket).get("Status"),
            "Enabled",
            lambda s3, bucket: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
        ),
        BucketSetting(
            lambda s3, bucket: json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]),
            policy,
            lambda s3, bucket: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy)),
        ),
    )


def read_default_encryption(s3: "S3Client", bucket: str) -> tuple[str | None, str | None, bool]:
    """Algorithm, key and whether bucket keys are on."""
    answer = none_if_absent(lambda: s3.get_bucket_encryption(Bucket=bucket))
    if answer is None:
        return None, None, False
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule.get("ApplyServerSideEncryptionByDefault")
    if default is None:
        return None, None, False
    return default["SSEAlgorithm"], default.get("KMSMasterKeyID"), rule.get("BucketKeyEnabled", False)
