"""The key policy statements that the customer appends, exactly as the contract specifies them (contract 61-73).

All of byok's commands and templates use these functions. If the parameters are real values, the functions build
statements that a customer can paste. If the parameters are references in a template language, the functions build
statements for a template. This module only builds statements; `byok.domain.iam.evaluator` evaluates policies.
"""

from dataclasses import dataclass
from typing import Any, Final, Self

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.vendor import VendorProfile

Statement = dict[str, Any]

S3_KEY_ACTIONS: Final = ("kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey")
RDS_KEY_DESCRIBE_ACTIONS: Final = ("kms:DescribeKey",)
RDS_KEY_GRANT_ACTIONS: Final = ("kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant")

ORGANISATION_TAG: Final = "organisation"
"""The session tag that contains the organisation for which the platform acts."""

ORGANISATION_CONDITION_KEY: Final = f"aws:PrincipalTag/{ORGANISATION_TAG}"
"""The condition key for the session tag (IAM user guide, "Pass session tags in AWS STS"). S3 and RDS pass the "session
attributes" of the caller to KMS (IAM user guide, "Forward access sessions")."""


def via_service_value(service: str, region: str) -> str:
    """Return the value of `kms:ViaService` for a service in a Region.

    The value ends in `.amazonaws.com` in every partition (AWS KMS developer guide, "kms:ViaService").
    """
    return f"{service}.{region}.amazonaws.com"


@dataclass(frozen=True)
class StatementParameters:
    """The values in the statements, either as text or as references in a template language.

    Attributes:
        role_arn: The ARN of the platform role.
        account: The account of the platform role.
        via_s3: The value of `kms:ViaService` for S3 in the environment's Region.
        via_rds: The value of `kms:ViaService` for RDS in the environment's Region.
        organisation: The organisation that owns the environment; None for the vendor. The statements require the
            organisation's session tag only if the vendor profile turns on session tags.
    """

    role_arn: Any
    account: Any
    via_s3: Any
    via_rds: Any
    organisation: Any = None

    @classmethod
    def for_platform_role(cls, platform_role_arn: str, region: str, organisation: str | None = None) -> Self:
        """Build the parameters for a platform role that uses the keys through S3 and RDS in a Region.

        Raises:
            ValueError: `platform_role_arn` is not the ARN of an IAM role.
        """
        account = account_id_of_role(platform_role_arn)
        via_s3, via_rds = via_service_value("s3", region), via_service_value("rds", region)
        return cls(platform_role_arn, account, via_s3, via_rds, organisation)


def build_key_statements(which: KeyPurpose, grantee: StatementParameters, vendor: VendorProfile) -> list[Statement]:
    """Build the statements for the S3 key or for the Aurora key.

    The S3 key's policy needs one statement. The Aurora key's policy needs two statements, because RDS uses grants,
    which need an additional condition. If the vendor profile turns on session tags, each statement allows only sessions
    that act for the organisation that owns the environment.
    """
    if which is KeyPurpose.S3:
        return [_statement(vendor.s3_access_sid, S3_KEY_ACTIONS, grantee, grantee.via_s3, vendor)]
    describe = _statement(vendor.rds_describe_key_sid, RDS_KEY_DESCRIBE_ACTIONS, grantee, grantee.via_rds, vendor)
    grants = _statement(vendor.rds_grants_sid, RDS_KEY_GRANT_ACTIONS, grantee, grantee.via_rds, vendor)
    grants["Condition"]["Bool"] = {"kms:GrantIsForAWSResource": "true"}
    return [describe, grants]


def build_s3_key_statements(
    platform_role_arn: str, region: str, vendor: VendorProfile, organisation: str | None = None
) -> list[Statement]:
    """Build the platform's only statement in the S3 key's policy (contract 61-66).

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    grantee = StatementParameters.for_platform_role(platform_role_arn, region, organisation)
    return build_key_statements(KeyPurpose.S3, grantee, vendor)


def build_rds_key_statements(
    platform_role_arn: str, region: str, vendor: VendorProfile, organisation: str | None = None
) -> list[Statement]:
    """Build the platform's two statements in the Aurora key's policy (contract 67-73).

    Raises:
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    grantee = StatementParameters.for_platform_role(platform_role_arn, region, organisation)
    return build_key_statements(KeyPurpose.RDS, grantee, vendor)


def build_owner_statement(root: Any) -> Statement:
    """Build AWS's default key policy statement, which gives the account that owns the key full control of the key.

    Without this statement, the key can become unmanageable (AWS KMS developer guide, "Default key policy").

    Args:
        root: The account as a principal, for example `arn:aws:iam::444455556666:root`.
    """
    return {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": root},
        "Action": "kms:*",
        "Resource": "*",
    }


def build_key_policy(owner: Statement, statements: list[Statement]) -> dict[str, Any]:
    """Build a complete key policy: the default statement for the owner, then byok's statements (contract 56-59)."""
    return {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [owner, *statements]}


def _statement(
    sid: str, actions: tuple[str, ...], grantee: StatementParameters, via: Any, vendor: VendorProfile
) -> Statement:
    equal = {"kms:ViaService": via, "aws:PrincipalAccount": grantee.account}
    if vendor.organisation_session_tag and grantee.organisation is not None:
        equal[ORGANISATION_CONDITION_KEY] = grantee.organisation
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": grantee.role_arn},
        "Action": list(actions),
        "Resource": "*",
        "Condition": {"StringEquals": equal},
    }
