"""Each finding of the policy check states which access is affected, which statement is at fault, and what to do."""

from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.report import check_policy
from tests.policy_cases import POLICY_CASES
from tests.policy_context import VENDOR, PolicyContext
from tests.unit.test_policy_check import PLACE, run_check

OTHER_ROLES = ["arn:aws:iam::111122223333:role/One", "arn:aws:iam::111122223333:role/Two"]


def own_statement(sid: str, **elements: Any) -> dict[str, Any]:
    """Build a customer's statement from byok's S3 statement, with another Sid and the given elements."""
    (ours,) = PLACE.build_statements(KeyPurpose.S3)
    return {**ours, "Sid": sid, **elements}


@pytest.mark.parametrize(
    ("region", "extra", "access"),
    [
        ("eu-central-1", "s3.eu-west-1", "through S3 in another Region"),  # contract 77
        ("eu-west-1", "s3.eu-west-2", "through S3 in another Region"),
        ("eu-central-1", "ec2.eu-central-1", "through services other than S3"),
    ],
)
def test_second_value_of_via_service_is_too_wide(region: str, extra: str, access: str) -> None:
    place = PolicyContext(PLACE.role, region, PLACE.customer)
    (ours,) = place.build_statements(KeyPurpose.S3)
    ours["Condition"]["StringEquals"]["kms:ViaService"] = [f"{one}.amazonaws.com" for one in (f"s3.{region}", extra)]
    platform = PlatformPrincipal(place.role, region)

    (finding,) = check_policy({"Statement": [place.owner_statement, ours]}, KeyPurpose.S3, platform, VENDOR).findings

    assert finding.code == "policy.TooWide"
    assert access in finding.message


@pytest.mark.parametrize(
    ("actions", "end"),
    [
        ("kms:PutKeyPolicy", "call kms:PutKeyPolicy directly, which it never needs on this key."),
        (["kms:PutKeyPolicy", "kms:DisableKey", "kms:TagResource"], "it never needs on this key (and 2 more)."),
    ],
)
def test_finding_names_one_call_and_counts_the_others(actions: Any, end: str) -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"].append(
        {"Sid": "Admin", "Effect": "Allow", "Principal": {"AWS": PLACE.role}, "Action": actions, "Resource": "*"}
    )

    (finding,) = run_check(policy, KeyPurpose.S3).findings

    assert finding.message.startswith("Statement Admin")
    assert finding.message.endswith(end)


def test_every_wrong_principal_is_named() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][1]["Principal"] = {"AWS": OTHER_ROLES}

    first = run_check(policy, KeyPurpose.S3).findings[0]

    assert (first.code, f"Principal is {', '.join(OTHER_ROLES)};" in first.message) == ("policy.OtherRole", True)


@pytest.mark.parametrize(
    "statement",
    [
        own_statement(
            "Logs",
            Principal={"Service": "s3.amazonaws.com"},
            Condition={
                "StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"},
                "ArnLike": {"aws:SourceArn": "arn:aws:s3:::logs"},
            },
        ),
        {
            "Sid": "NotForS3",
            "Effect": "Allow",
            "NotPrincipal": {"Service": "s3.amazonaws.com"},
            "Action": "kms:*",
            "Resource": "*",
            "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"}},
        },
    ],
    ids=lambda statement: statement["Sid"],
)
def test_statement_about_services_is_not_the_platforms(statement: dict[str, Any]) -> None:
    (first, *_) = run_check({"Statement": [PLACE.owner_statement, statement]}, KeyPurpose.S3).findings

    assert (first.code, first.sid) == ("policy.StatementMissing", None)


def test_alternative_to_not_principal_is_named() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    exempt = {"AWS": [PLACE.role, "arn:aws:iam::111122223333:root", "arn:aws:iam::444455556666:root"]}
    policy["Statement"].append(
        {"Sid": "Guard", "Effect": "Deny", "NotPrincipal": exempt, "Action": "kms:*", "Resource": "*"}
    )

    first = run_check(policy, KeyPurpose.S3).findings[0]

    assert (first.code, first.sid) == ("policy.DenyCannotBeSaid", "Guard")
    assert "Principal * with ArnNotEquals on aws:PrincipalArn" in first.message
