"""The key policy statements the customer appends, as the contract words them (contract 61-73).

What a policy *means* is in `byok.domain.evaluation`; this module only writes statements.
"""

from typing import Any, Final

from byok.domain.arns import account_of
from byok.domain.vendor import VendorProfile

Statement = dict[str, Any]

S3_ACTIONS: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
RDS_DESCRIBE_ACTIONS: Final = ("kms:DescribeKey",)
RDS_GRANT_ACTIONS: Final = ("kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant")


def via_service(service: str, region: str) -> str:
    """The value of `kms:ViaService` for a service of a Region.

    It ends in `.amazonaws.com` in every partition (AWS KMS developer guide, "kms:ViaService").
    """
    return f"{service}.{region}.amazonaws.com"


def s3_key_statements(platform_role_arn: str, region: str, vendor: VendorProfile) -> list[Statement]:
    """The one statement of the S3 key (contract 61-66).

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    return [_statement(vendor.s3_access_sid, S3_ACTIONS, platform_role_arn, via_service("s3", region))]


def rds_key_statements(platform_role_arn: str, region: str, vendor: VendorProfile) -> list[Statement]:
    """The two statements of the Aurora key (contract 67-73): RDS works through grants on an AWS resource.

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    via = via_service("rds", region)
    describe = _statement(vendor.rds_describe_key_sid, RDS_DESCRIBE_ACTIONS, platform_role_arn, via)
    grants = _statement(vendor.rds_grants_sid, RDS_GRANT_ACTIONS, platform_role_arn, via)
    grants["Condition"]["Bool"] = {"kms:GrantIsForAWSResource": "true"}
    return [describe, grants]


def _statement(sid: str, actions: tuple[str, ...], platform_role_arn: str, via: str) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": platform_role_arn},
        "Action": list(actions),
        "Resource": "*",
        "Condition": {
            "StringEquals": {"kms:ViaService": via, "aws:PrincipalAccount": account_of(platform_role_arn)},
        },
    }
