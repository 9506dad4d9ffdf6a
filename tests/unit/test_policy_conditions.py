"""The policy check reports conditions that the customer added, and principals that KMS rejects."""

import copy
import json
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.document import parse_policy
from byok.domain.iam.check.report import check_policy, parse_and_check_policy
from byok.domain.iam.findings import Severity
from tests.policy_cases import POLICY_CASES
from tests.policy_context import VENDOR, PolicyContext
from tests.unit.test_policy_check import run_check

PLACE = PolicyContext("arn:aws:iam::111122223333:role/AtaccamaPlatform", "eu-central-1", "444455556666")
NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
SIDE = PlatformPrincipal(PLACE.role, PLACE.region, at=NOW)
ARN = "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111"


CONDITION_BY_TEXT: dict[str, tuple[dict[str, Any], Severity]] = {
    "the added StringEquals on aws:PrincipalOrgID requires o-1; byok cannot determine whether the call satisfies it": (
        {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
        Severity.UNKNOWN,
    ),
    "the added IpAddress on aws:SourceIp requires 203.0.113.0/24; the call does not satisfy it: S3 makes the call": (
        {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
        Severity.STOPS,
    ),
    "requires 2026-11-29T07:59:59Z; the call does not satisfy it: it is 2026-11-29T08:00:00Z now": (
        {"DateLessThan": {"aws:CurrentTime": "2026-11-29T07:59:59Z"}},
        Severity.STOPS,
    ),
    "requires 2026-11-29T08:00:01Z; 2026-11-29T08:00:00Z satisfies it": (
        {"DateLessThan": {"aws:CurrentTime": "2026-11-29T08:00:01Z"}},
        Severity.LATER,
    ),
    "requires 1795939201; 1795939200 satisfies it": (
        {"DateLessThan": {"aws:EpochTime": "1795939201"}},
        Severity.LATER,
    ),
    "the added ArnEquals on aws:SourceArn requires arn:aws:s3:::b; the call does not satisfy it: the call lacks": (
        {"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::b"}},
        Severity.STOPS,
    ),
    f"the added ArnEquals on aws:PrincipalArn requires {PLACE.role}; {PLACE.role} satisfies it": (
        {"ArnEquals": {"aws:PrincipalArn": PLACE.role}},
        Severity.NOTE,
    ),
}


@pytest.mark.parametrize("text", CONDITION_BY_TEXT)
def test_added_condition_is_named_with_its_result(text: str) -> None:
    condition, severity = CONDITION_BY_TEXT[text]
    policy = POLICY_CASES[0].build_policy(PLACE)
    for operator, tests in condition.items():
        policy["Statement"][1]["Condition"].setdefault(operator, {}).update(tests)

    first = run_check(policy, KeyPurpose.S3).findings[0]

    assert (first.code, first.severity) == ("policy.Tightened", severity)
    assert text in first.message
    assert first.message.startswith("Statement AllowAtaccamaPlatformS3Access: The statement is tightened: the added")


@pytest.mark.parametrize("operator", ["ForAllValues:IpAddress", "ForAnyValue:NotIpAddress"])
def test_network_condition_is_undecided_if_an_absent_address_changes_the_result(operator: str) -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][1]["Condition"][operator] = {"aws:SourceIp": "203.0.113.0/24"}

    assert run_check(policy, KeyPurpose.S3).is_usable is None


def test_condition_on_an_encryption_context_that_the_call_lacks_is_named() -> None:
    policy: dict[str, Any] = {"Statement": [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.RDS)]}
    policy["Statement"][1]["Condition"]["StringEquals"]["kms:EncryptionContext:aws:rds:db-id"] = "db-1"

    first = run_check(policy, KeyPurpose.RDS).findings[0]

    assert "kms:DescribeKey has no encryption context" in first.message


def renamed_statement(sid: str, **conditions: str) -> dict[str, Any]:
    (ours,) = copy.deepcopy(PLACE.build_statements(KeyPurpose.S3))
    ours["Condition"]["StringEquals"] |= {f"kms:{key}": value for key, value in conditions.items()}
    return {**ours, "Sid": sid}


def test_statement_with_the_fewest_faults_is_explained() -> None:
    wrong_region = "s3.eu-west-1.amazonaws.com"
    two_faults = renamed_statement("TwoFaults", ViaService=wrong_region, CallerAccount="999988887777")
    one_fault = renamed_statement("OneFault", ViaService=wrong_region)
    policy = {"Statement": [PLACE.owner_statement, two_faults, one_fault]}

    first = run_check(policy, KeyPurpose.S3).findings[0]

    assert (first.code, first.sid) == ("policy.WrongRegionInViaService", "OneFault")


def test_statement_for_another_service_is_no_near_miss() -> None:
    other = renamed_statement("ForRds", ViaService="rds.eu-central-1.amazonaws.com")

    first = run_check({"Statement": [PLACE.owner_statement, other]}, KeyPurpose.S3).findings[0]

    assert (first.code, first.sid) == ("policy.StatementMissing", None)


def test_dates_are_undecided_without_a_clock() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][1]["Condition"]["DateLessThan"] = {"aws:CurrentTime": "2020-01-01T00:00:00Z"}

    assert check_policy(policy, KeyPurpose.S3, PlatformPrincipal(PLACE.role, PLACE.region), VENDOR).is_usable is None


def test_added_condition_does_not_matter_next_to_the_whole_statement() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    copied = copy.deepcopy(policy["Statement"][1])
    copied["Condition"]["ArnEquals"] = {"aws:PrincipalArn": PLACE.role}
    policy["Statement"].insert(1, copied | {"Sid": "Copy"})

    assert run_check(policy, KeyPurpose.S3).findings == ()


@pytest.mark.parametrize(
    ("principal", "words"),
    [
        ("arn:aws:iam::123456789:root", "has 9 digits, but account ids have 12"),
        ("123456789", "has 9 digits, but account ids have 12"),
        ("1111-2222-3333", "without hyphens"),
        ("arn:aws::444455556666:root", "its service is missing.*arn:aws:iam::444455556666:root"),
        ("arn:aws:iam::111122223333", "ends too early.*arn:aws:iam::111122223333:root"),
        ("arn:aws:iam:111122223333:root", "two colons"),
        ("arn:aws:iam::${platformAccountId}:root", "placeholder"),
        ("<platform role ARN>", "placeholder"),
        ("arn:aws:iam::111122223333:role/Ataccama*", "wildcard"),
        ("arn:aws:iam::111122223333:group/Platform", "group"),
        (
            "arn:aws:iam::111122223333:AtaccamaPlatform",
            "AtaccamaPlatform is not a type of principal.* The ARN of a role is arn:aws:iam::111122223333:role/",
        ),
        ("arn:aws:sts::111122223333:session/worker", "session is not a type of principal"),
        ("arn:aws:s3:::bucket", "its service is s3"),
        ("arn:aws:iam::abc:root", "its account is abc"),
        ("arn:aws", "its service is missing"),
        ("s3.eu-central-1.amazonaws.com", "it is a service"),
        ("AtaccamaPlatform", "neither an ARN nor an account id"),
    ],
)
def test_principal_that_kms_rejects_is_explained_with_the_right_statement(principal: str, words: str) -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][1]["Principal"] = {"AWS": principal}

    report = parse_and_check_policy(json.dumps(policy).encode(), KeyPurpose.S3, SIDE, VENDOR)

    (finding,) = report.findings
    assert (report.is_usable, finding.code) == (False, "policy.InvalidPrincipal")
    assert finding.sid == "AllowAtaccamaPlatformS3Access"
    assert re.search(words, finding.message)
    assert list(finding.paste) == PLACE.build_statements(KeyPurpose.S3)


def test_valid_policy_as_text_is_usable() -> None:
    text = json.dumps(POLICY_CASES[0].build_policy(PLACE)).encode()

    assert parse_and_check_policy(text, KeyPurpose.S3, SIDE, VENDOR).is_usable


def test_principal_of_a_policy_on_a_key_is_not_questioned() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][0]["Principal"] = {"AWS": "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E1"}

    assert parse_policy(json.dumps(policy), on_a_key=True) == policy
