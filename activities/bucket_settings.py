"""Creates a bucket, and reads and writes the settings that secure the bucket, such as its default encryption."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from activities.aws_errors import decide_error_outcome, none_if_absent
from byok.domain.arns import AWS_MANAGED_KEYS, is_aws_managed, partition_of_region
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
_BUCKETS_PER_PAGE: Final = 1000
BUCKET_OWNER_ENFORCED: "OwnershipControlsTypeDef" = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def build_bucket_arn(name: str, region: str) -> str:
    """Build the ARN of a bucket. The ARN contains neither the Region nor the account."""
    return f"arn:{partition_of_region(region)}:s3:::{name}"


def create_bucket_if_absent(s3: "S3Client", name: str, region: str, tags: dict[str, str]) -> None:
    """Create a bucket with its tags, unless the bucket already exists in the platform's account.

    CreateBucket itself sets the tags, so the bucket never exists without its tags. S3 rejects us-east-1 as a location
    constraint (S3 API reference, CreateBucket).
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
    """Return whether a bucket with this name exists and is accessible to the platform."""
    return none_if_absent(lambda: s3.head_bucket(Bucket=bucket)) is not None


def list_own_buckets(s3: "S3Client", prefix: str) -> dict[str, str]:
    """Return the names and Regions of the platform's own buckets whose names begin with a prefix, in all Regions.

    The page size is required, because S3 rejects a request without a page size if the account's quota is above 10,000
    buckets. S3 returns the Region only if a request has at least one parameter (S3 API reference, ListBuckets).
    """
    pages = s3.get_paginator("list_buckets").paginate(Prefix=prefix, PaginationConfig={"PageSize": _BUCKETS_PER_PAGE})
    return {bucket["Name"]: bucket["BucketRegion"] for page in pages for bucket in page.get("Buckets", [])}


def read_bucket_tags(s3: "S3Client", bucket: str) -> "list[TagTypeDef]":
    """Return the tags of a bucket; empty if the bucket has none."""
    return none_if_absent(lambda: s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) or []


@dataclass(frozen=True)
class BucketSetting:
    """A bucket setting: its name, the functions that read and write it, and the required value."""

    name: str
    read: Callable[["S3Client", str], object]
    wanted: object
    write: Callable[["S3Client", str], object]

    def is_applied(self, s3: "S3Client", bucket: str) -> bool:
        """Return whether the bucket's setting has the required value."""
        return none_if_absent(lambda: self.read(s3, bucket)) == self.wanted

    def apply(self, s3: "S3Client", bucket: str) -> None:
        """Write the required value to the bucket."""
        self.write(s3, bucket)


def required_bucket_settings(name: str, environment: Environment) -> tuple[BucketSetting, ...]:
    """Return the required settings of an environment's bucket, in the order in which byok applies them.

    The first setting blocks public access, so a bucket is never public when byok writes an object.
    """
    key = environment.s3_key_arn
    # Without a key, `aws:kms` means the AWS managed key (S3 API reference, PutBucketEncryption).
    named = {} if is_aws_managed(key) else {"KMSMasterKeyID": key}
    encryption: Any = {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", **named},
                "BucketKeyEnabled": True,  # with a bucket key, one call to KMS serves many objects (D13)
            }
        ]
    }
    policy = build_bucket_policy(build_bucket_arn(name, environment.region), key)
    return (
        BucketSetting(
            "public access block",
            lambda s3, bucket: s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"],
            PUBLIC_ACCESS_BLOCK,
            lambda s3, bucket: s3.put_public_access_block(
                Bucket=bucket, PublicAccessBlockConfiguration=PUBLIC_ACCESS_BLOCK
            ),
        ),
        BucketSetting(
            "object ownership",
            lambda s3, bucket: s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"],
            BUCKET_OWNER_ENFORCED,
            lambda s3, bucket: s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=BUCKET_OWNER_ENFORCED),
        ),
        BucketSetting(
            "default encryption",
            read_default_encryption,
            ("aws:kms", key, True),
            lambda s3, bucket: s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=encryption),
        ),
        BucketSetting(
            "versioning",
            lambda s3, bucket: s3.get_bucket_versioning(Bucket=bucket).get("Status"),
            "Enabled",
            lambda s3, bucket: s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}),
        ),
        BucketSetting(
            "bucket policy",
            lambda s3, bucket: json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]),
            policy,
            lambda s3, bucket: s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy)),
        ),
    )


def read_default_encryption(s3: "S3Client", bucket: str) -> tuple[str | None, str | None, bool]:
    """Return a bucket's default encryption: the algorithm, the key, and whether S3 Bucket Keys are enabled.

    The AWS managed key is returned as its alias, because S3 reports `aws:kms` without a key.
    """
    answer = none_if_absent(lambda: s3.get_bucket_encryption(Bucket=bucket))
    if answer is None:
        return None, None, False
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule.get("ApplyServerSideEncryptionByDefault")
    if default is None:
        return None, None, False
    algorithm = default["SSEAlgorithm"]
    unnamed = AWS_MANAGED_KEYS.s3_key_arn if algorithm == "aws:kms" else None
    return algorithm, default.get("KMSMasterKeyID", unnamed), rule.get("BucketKeyEnabled", False)
