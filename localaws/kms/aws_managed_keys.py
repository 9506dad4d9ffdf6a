"""AWS managed keys: `aws/s3`, `aws/rds` and `aws/secretsmanager` of each account and Region.

AWS creates such a key when the account first uses it, and only AWS can change the key or its policy (KMS developer
guide, "AWS managed keys"). The keys are not in the local AWS emulator's state, so KMS operations do not find them.
"""

import uuid

from byok.domain.arns import partition_of_region


def build_aws_managed_key_arn(service: str, account: str, region: str) -> str:
    """Build the ARN of an AWS managed key, which depends only on the service, the account and the Region."""
    place = f"arn:{partition_of_region(region)}:kms:{region}:{account}"
    return f"{place}:key/{uuid.uuid5(uuid.NAMESPACE_URL, f'{place}:alias/aws/{service}')}"
