"""What every bucket of the platform's has in common: how it is made, and that nobody else gets in."""

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from activities.aws import outcome_of
from byok.domain.arns import partition_of
from byok.domain.errors import Outcome

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import OwnershipControlsTypeDef, PublicAccessBlockConfigurationTypeDef

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
