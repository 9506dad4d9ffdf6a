"""What every bucket of the platform's has in common: how it is made and recognised, and that nobody else gets in."""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from botocore.exceptions import ClientError

from activities.aws import outcome_of
from byok.domain.arns import partition_of
from byok.domain.errors import Outcome
from byok.domain.models import Environment

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import OwnershipControlsTypeDef, PublicAccessBlockConfigurationTypeDef

_T = TypeVar("_T")

PUBLIC_ACCESS_BLOCK: "PublicAccessBlockConfigurationTypeDef" = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}
OWNER_ENFORCED: "OwnershipControlsTypeDef" = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def bucket_arn(name: str, region: str) -> str:
    """The ARN of a bucket; it names neither Region nor account."""
    return f"arn:{partition_of(region)}:s3:::{name}"


def make_bucket(s3: "S3Client", name: str, region: str, tags: dict[str, str]) -> None:
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
        if outcome_of(error) is not Outcome.EXISTS:
            raise


def or_absent(read: Callable[[], _T]) -> _T | None:
    """What a call reads, None where S3 says that it is not there."""
    try:
        return read()
    except ClientError as error:
        if outcome_of(error) is not Outcome.ABSENT:
            raise
        return None


def is_there(s3: "S3Client", bucket: str) -> bool:
    """Whether there is a bucket of this name that the platform may see."""
    return or_absent(lambda: s3.head_bucket(Bucket=bucket)) is not None


def owner_of(s3: "S3Client", bucket: str, environment: Environment) -> str | None:
    """The environment whose tag a bucket bears; None where there is no tag, or no bucket."""
    tags = or_absent(lambda: s3.get_bucket_tagging(Bucket=bucket)["TagSet"]) or []
    return {tag["Key"]: tag["Value"] for tag in tags}.get(environment.environment_tag)


def default_encryption(s3: "S3Client", bucket: str) -> tuple[str | None, str | None, bool]:
    """Algorithm, key and whether bucket keys are on."""
    answer = or_absent(lambda: s3.get_bucket_encryption(Bucket=bucket))
    if answer is None:
        return None, None, False
    rule = answer["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule.get("ApplyServerSideEncryptionByDefault")
    if default is None:
        return None, None, False
    return default["SSEAlgorithm"], default.get("KMSMasterKeyID"), rule.get("BucketKeyEnabled", False)
