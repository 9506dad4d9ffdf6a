"""The key policy statements that customers paste match the vendor's setup guide word for word (contract 61-73, D6)."""

import json
from pathlib import Path
from typing import Any

import pytest

from byok.domain.arns import AWS_MANAGED_KEYS
from byok.domain.iam.bucket_policy import build_bucket_policy, build_probe_bucket_policy
from byok.domain.iam.evaluator import AccessRequest, CallingPrincipal, Effect, evaluate_policy
from byok.domain.iam.statements import (
    build_key_policy,
    build_owner_statement,
    build_rds_key_statements,
    build_s3_key_statements,
    via_service_value,
)
from byok.domain.vendor import VendorProfile

ROLE = "arn:aws:iam::111122223333:role/ataccama-platform"
REGION = "eu-central-1"

# The statements in the setup guide, with the guide's three placeholders. Only the line breaks inside lists differ.
GUIDE_S3 = """
{
  "Sid": "AllowAtaccamaPlatformS3Access",
  "Effect": "Allow",
  "Principal": {"AWS": "${ataccamaPlatformRoleArn}"},
  "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
  "Resource": "*",
  "Condition": {
    "StringEquals": {
      "kms:ViaService": "s3.${platformRegion}.amazonaws.com",
      "aws:PrincipalAccount": "${platformAccountId}"
    }
  }
}
"""
GUIDE_RDS = """
{
  "Sid": "AllowAtaccamaPlatformRDSDescribeKey",
  "Effect": "Allow",
  "Principal": {"AWS": "${ataccamaPlatformRoleArn}"},
  "Action": ["kms:DescribeKey"],
  "Resource": "*",
  "Condition": {
    "StringEquals": {
      "kms:ViaService": "rds.${platformRegion}.amazonaws.com",
      "aws:PrincipalAccount": "${platformAccountId}"
    }
  }
},
{
  "Sid": "AllowAtaccamaPlatformRDSGrants",
  "Effect": "Allow",
  "Principal": {"AWS": "${ataccamaPlatformRoleArn}"},
  "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"],
  "Resource": "*",
  "Condition": {
    "StringEquals": {
      "kms:ViaService": "rds.${platformRegion}.amazonaws.com",
      "aws:PrincipalAccount": "${platformAccountId}"
    },
    "Bool": {"kms:GrantIsForAWSResource": "true"}
  }
}
"""


def fill_in(guide: str, role: str, region: str, account: str) -> Any:
    text = guide.replace("${ataccamaPlatformRoleArn}", role)
    text = text.replace("${platformRegion}", region).replace("${platformAccountId}", account)
    return json.loads(f"[{text}]")


@pytest.mark.parametrize(
    ("role", "region", "account"),
    [
        (ROLE, REGION, "111122223333"),
        ("arn:aws-cn:iam::222233334444:role/path/platform", "cn-north-1", "222233334444"),
        ("arn:aws-us-gov:iam::333344445555:role/platform", "us-gov-west-1", "333344445555"),
        ("arn:aws-eusc:iam::444455556666:role/platform", "eusc-de-east-1", "444455556666"),
    ],
)
def test_statements_match_the_guide_in_every_partition(role: str, region: str, account: str) -> None:
    vendor = VendorProfile()  # contract 61-73, D6
    ours = json.dumps([build_s3_key_statements(role, region, vendor), build_rds_key_statements(role, region, vendor)])
    # Compare the statements as text, because customers compare the order of fields and actions by eye.
    assert ours == json.dumps([fill_in(GUIDE_S3, role, region, account), fill_in(GUIDE_RDS, role, region, account)])
    assert "${" not in ours  # contract 26


@pytest.mark.parametrize("region", ["cn-north-1", "eusc-de-east-1", "us-isob-east-1", "eu-west-1"])
def test_via_service_keeps_its_suffix_in_every_partition(region: str) -> None:
    assert via_service_value("s3", region) == f"s3.{region}.amazonaws.com"  # contract 65, D6


def test_platform_role_is_the_only_principal() -> None:
    statements = build_s3_key_statements(ROLE, REGION, VendorProfile()) + build_rds_key_statements(
        ROLE, REGION, VendorProfile()
    )
    assert [statement["Principal"] for statement in statements] == [{"AWS": ROLE}] * 3  # contract 17, 62, 125


def test_vendor_profile_changes_only_the_names() -> None:
    ours = json.dumps(build_rds_key_statements(ROLE, REGION, VendorProfile()))
    theirs = json.dumps(build_rds_key_statements(ROLE, REGION, VendorProfile(name="Acme")))
    assert ours.replace("AllowAtaccamaPlatform", "AllowAcmePlatform") == theirs


@pytest.mark.parametrize("render", [build_s3_key_statements, build_rds_key_statements])
def test_statement_for_an_invalid_role_is_refused(render: Any) -> None:
    with pytest.raises(ValueError, match="not the ARN of an IAM role"):
        render("arn:aws:iam::111122223333:root", REGION, VendorProfile())


def test_key_policy_begins_with_the_default_statement_of_aws() -> None:
    root = "arn:aws:iam::444455556666:root"
    ours = build_s3_key_statements(ROLE, REGION, VendorProfile())
    assert build_key_policy(build_owner_statement(root), ours) == {  # contract 56
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": root},
                "Action": "kms:*",
                "Resource": "*",
            },
            *ours,
        ],
    }


def test_statements_of_separate_calls_share_no_state() -> None:
    first = build_s3_key_statements(ROLE, REGION, VendorProfile())
    first[0]["Action"].append("kms:*")
    assert "kms:*" not in build_s3_key_statements(ROLE, REGION, VendorProfile())[0]["Action"]


KEY = "arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def test_bucket_policy_denies_plain_http_other_keys_and_client_keys() -> None:
    statements = {item["Sid"]: item for item in build_bucket_policy("arn:aws:s3:::b", KEY)["Statement"]}
    assert {item["Effect"] for item in statements.values()} == {"Deny"}, "a bucket policy grants no access"
    assert statements["DenyPlainHttp"]["Resource"] == ["arn:aws:s3:::b", "arn:aws:s3:::b/*"]
    # StringNotEquals alone would also deny writes that rely on the bucket's default key. The Null condition exempts
    # these writes.
    assert statements["DenyAnyOtherKey"]["Condition"] == {
        "Null": {"s3:x-amz-server-side-encryption": "false"},
        "StringNotEquals": {"s3:x-amz-server-side-encryption-aws-kms-key-id": KEY},
    }
    assert statements["DenyKeysOfTheClient"]["Condition"] == {
        "Null": {"s3:x-amz-server-side-encryption-customer-algorithm": "false"}
    }


_ALGORITHM = "s3:x-amz-server-side-encryption"
_KEY_ID = f"{_ALGORITHM}-aws-kms-key-id"
_SSE_C = f"{_ALGORITHM}-customer-algorithm"


@pytest.mark.parametrize(
    ("action", "headers", "denied"),
    [
        ("s3:PutObject", {}, False),  # S3 uses the bucket's default key, which is the customer's key
        ("s3:PutObject", {_ALGORITHM: "aws:kms", _KEY_ID: KEY}, False),
        ("s3:PutObject", {_ALGORITHM: "aws:kms", _KEY_ID: f"{KEY}0"}, True),
        ("s3:PutObject", {_ALGORITHM: "aws:kms"}, True),
        ("s3:PutObject", {_ALGORITHM: "AES256"}, True),
        ("s3:PutObject", {_SSE_C: "AES256"}, True),
        ("s3:UpdateObjectEncryption", {_ALGORITHM: "aws:kms", _KEY_ID: KEY}, False),
        ("s3:UpdateObjectEncryption", {_ALGORITHM: "aws:kms", _KEY_ID: f"{KEY}0"}, True),
        ("s3:ReplicateObject", {_ALGORITHM: "aws:kms", _KEY_ID: KEY}, False),
        ("s3:ReplicateObject", {_ALGORITHM: "aws:kms", _KEY_ID: f"{KEY}0"}, True),
        ("s3:ReplicateObject", {_ALGORITHM: "AES256"}, True),  # a replica keeps its source's encryption type
        ("s3:ReplicateObject", {_SSE_C: "AES256"}, True),
        ("s3:ReplicateObject", {}, True),
        ("s3:GetObject", {}, False),
        ("s3:GetObject", {"aws:SecureTransport": "false"}, True),
    ],
)
def test_bucket_policy_denies_every_way_to_store_an_object_under_another_key(
    action: str, headers: dict[str, str], denied: bool
) -> None:
    access = AccessRequest(
        CallingPrincipal("arn:aws:iam::111122223333:user/operator", "111122223333"),
        action,
        "arn:aws:s3:::b/object",
        {"aws:SecureTransport": "true", **headers},
    )

    decision = evaluate_policy(build_bucket_policy("arn:aws:s3:::b", KEY), access)

    assert (decision.effect is Effect.EXPLICIT_DENY) == denied  # contract 99


@pytest.mark.parametrize(
    ("action", "headers", "denied"),
    [
        ("s3:PutObject", {}, False),
        ("s3:PutObject", {_ALGORITHM: "aws:kms"}, False),  # without a key id, S3 uses the AWS managed key
        ("s3:PutObject", {_ALGORITHM: "aws:kms", _KEY_ID: KEY}, True),
        ("s3:PutObject", {_KEY_ID: KEY}, True),
        ("s3:PutObject", {_ALGORITHM: "aws:kms:dsse"}, True),
        ("s3:PutObject", {_ALGORITHM: "AES256"}, True),
        ("s3:PutObject", {_SSE_C: "AES256"}, True),
        ("s3:UpdateObjectEncryption", {_ALGORITHM: "aws:kms", _KEY_ID: KEY}, True),
        ("s3:ReplicateObject", {_ALGORITHM: "aws:kms", _KEY_ID: KEY}, True),
        ("s3:ReplicateObject", {}, True),
        ("s3:GetObject", {}, False),
    ],
)
def test_bucket_policy_for_the_aws_managed_key_denies_every_other_key(
    action: str, headers: dict[str, str], denied: bool
) -> None:
    caller = CallingPrincipal("arn:aws:iam::111122223333:user/operator", "111122223333")
    access = AccessRequest(caller, action, "arn:aws:s3:::b/object", {"aws:SecureTransport": "true", **headers})
    decision = evaluate_policy(build_bucket_policy("arn:aws:s3:::b", AWS_MANAGED_KEYS.s3_key_arn), access)
    assert (decision.effect is Effect.EXPLICIT_DENY) == denied  # contract 99, 132


def test_probe_bucket_accepts_any_key_over_tls_only() -> None:
    assert build_probe_bucket_policy("arn:aws:s3:::probes") == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "DenyPlainHttp",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": ["arn:aws:s3:::probes", "arn:aws:s3:::probes/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ],
    }


def test_every_statement_element_is_documented_for_the_key_owner() -> None:
    explained = (Path(__file__).parents[2] / "docs" / "keys.md").read_text()
    for statement in [
        *build_s3_key_statements(ROLE, REGION, VendorProfile()),
        *build_rds_key_statements(ROLE, REGION, VendorProfile()),
    ]:
        conditions = [key for tests in statement["Condition"].values() for key in tests]
        for name in (statement["Sid"], *statement["Action"], *conditions):
            assert f"`{name}`" in explained
