"""How a bucket is made, set up and recognised: that nobody else gets in, and what encrypts it."""

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
    """The ARN of a bucket; it names neither Region nor account."""
    return f"arn:{partition_of_region(region)}:s3:::{name}"


def create_bucket_if_absent(s3: "S3Client", name: str, region: str, tags: dict[str, str]) -> None:
    """Make a bucket with its tags; one that the platform has already is fine.

    The tags come with the bucket, so that there is no moment in which it is nobody's. S3 refuses the name of
    us-east-1 as a location (S3 API reference, CreateBucket).
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
    """Whether there is a bucket of this name that the platform may see."""
    return none_if_absent(lambda: s3.head_bucket(Bucket=bucket)) is not None


def read_bucket_tags(s3: "S3Client", bucket: str) -> "list[TagTypeDef]":
    """The tags of a bucket."""
    return none_if_absent(lambda: s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) or []


@dataclass(frozen=True)
class BucketSetting:
    """One setting of a bucket: how it is read, what it has to be, how it is written."""

    read: Callable[["S3Client", str], object]
    wanted: object
    write: Callable[["S3Client", str], object]

    def is_applied(self, s3: "S3Client", bucket: str) -> bool:
        """Whether a bucket has it."""
        return none_if_absent(lambda: self.read(s3, bucket)) == self.wanted

    def apply(self, s3: "S3Client", bucket: str) -> None:
        """Give it to a bucket."""
        self.write(s3, bucket)


def required_bucket_settings(name: str, environment: Environment) -> tuple[BucketSetting, ...]:
    """Every setting of a bucket of an environment, in the order in which they are made.

    The doors are shut before anything is inside.
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
