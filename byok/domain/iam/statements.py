"""The key policy statements the customer appends, as the contract words them (contract 61-73).

One model for every artefact: with real values they are pasted as they are, with a template language's own references
they stand in a template. What a policy *means* is in `byok.domain.iam.evaluator`; this module only writes statements.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.vendor import VendorProfile

Statement = dict[str, Any]

S3_KEY_ACTIONS: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
RDS_KEY_DESCRIBE_ACTIONS: Final = ("kms:DescribeKey",)
RDS_KEY_GRANT_ACTIONS: Final = ("kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant")


def via_service_value(service: str, region: str) -> str:
    """The value of `kms:ViaService` for a service of a Region.

    It ends in `.amazonaws.com` in every partition (AWS KMS developer guide, "kms:ViaService").
    """
    return f"{service}.{region}.amazonaws.com"


@dataclass(frozen=True)
class StatementParameters:
    """Whom the statements let in: texts, or references of a template language that stand for them.

    Attributes:
        role_arn: The platform's role.
        account: Its account.
        via_s3: S3's name in the environment's Region, as `kms:ViaService` has it.
        via_rds: Likewise for RDS.
    """

    role_arn: Any
    account: Any
    via_s3: Any
    via_rds: Any

    @classmethod
    def for_platform_role(cls, platform_role_arn: str, region: str) -> Self:
        """The platform's role, using the keys through the services of a Region.

        Raises:
            ValueError: `platform_role_arn` is not the ARN of an IAM role.
        """
        account = account_id_of_role(platform_role_arn)
        return cls(platform_role_arn, account, via_service_value("s3", region), via_service_value("rds", region))


def build_key_statements(which: KeyPurpose, grantee: StatementParameters, vendor: VendorProfile) -> list[Statement]:
    """The statements of one of the two keys: one for S3, two for Aurora, where RDS works through grants."""
    if which is KeyPurpose.S3:
        return [_statement(vendor.s3_access_sid, S3_KEY_ACTIONS, grantee, grantee.via_s3)]
    describe = _statement(vendor.rds_describe_key_sid, RDS_KEY_DESCRIBE_ACTIONS, grantee, grantee.via_rds)
    grants = _statement(vendor.rds_grants_sid, RDS_KEY_GRANT_ACTIONS, grantee, grantee.via_rds)
    grants["Condition"]["Bool"] = {"kms:GrantIsForAWSResource": "true"}
    return [describe, grants]


def build_s3_key_statements(platform_role_arn: str, region: str, vendor: VendorProfile) -> list[Statement]:
    """The one statement of the S3 key (contract 61-66).

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    return build_key_statements(KeyPurpose.S3, StatementParameters.for_platform_role(platform_role_arn, region), vendor)


def build_rds_key_statements(platform_role_arn: str, region: str, vendor: VendorProfile) -> list[Statement]:
    """The two statements of the Aurora key (contract 67-73).

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    return build_key_statements(
        KeyPurpose.RDS, StatementParameters.for_platform_role(platform_role_arn, region), vendor
    )


def build_owner_statement(root: Any) -> Statement:
    """The statement that AWS puts into every key policy, and that gives the key's own account control of it.

    Without it, nobody might be able to change the key any more (AWS KMS developer guide, "Default key policy").

    Args:
        root: The account as a principal, `arn:aws:iam::444455556666:root`.
    """
    return {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": "kms:*",
        "Resource": "*",
    }


def build_key_policy(owner: Statement, statements: list[Statement]) -> dict[str, Any]:
    """A whole key policy: the owner's statement, and ours appended (contract 56-59)."""
    return {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [owner, *statements]}


def _statement(sid: str, actions: tuple[str, ...], grantee: StatementParameters, via: Any) -> Statement:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": grantee.role_arn},
        "Action": list(actions),
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": via, "aws:PrincipalAccount": grantee.account}},
    }
