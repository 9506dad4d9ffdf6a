"""The offline check evaluates every policy in the catalogue correctly.

The check also reports the facts that it cannot determine, and suggests a fix for each fault.
"""

import copy
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.document import MAX_POLICY_BYTES, PolicyDocumentError, decode_text, parse_policy
from byok.domain.iam.check.permissions import Verdict
from byok.domain.iam.check.report import PolicyReport, check_policy
from byok.domain.iam.findings import Severity
from byok.domain.vendor import VendorProfile
from tests.policy_cases import POLICY_CASES
from tests.policy_changes import Case
from tests.policy_context import VENDOR, PolicyContext
from tests.remedy_text import text_of

PLACE = PolicyContext("arn:aws:iam::111122223333:role/AtaccamaPlatform", "eu-central-1", "444455556666")
NOW = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
SIDE = PlatformPrincipal(PLACE.role, PLACE.region, at=NOW)
ARN = "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111"


def run_check(policy: dict[str, Any], which: KeyPurpose, vendor: VendorProfile = VENDOR) -> PolicyReport:
    return check_policy(policy, which, SIDE, vendor)


def case_id(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", POLICY_CASES, ids=case_id)
def test_first_finding_names_the_fault(case: Case) -> None:
    report = run_check(case.build_policy(PLACE), case.which)

    assert [finding.code for finding in report.findings][:1] == ([case.first] if case.first else [])
    assert report.is_usable is (None if case.stops is None else not case.stops)


def test_catalogue_is_large_enough() -> None:
    assert len([case for case in POLICY_CASES if case.first]) >= 60


@pytest.mark.parametrize("case", [case for case in POLICY_CASES if case.stops], ids=case_id)
def test_pasting_the_suggested_statements_fixes_the_policy(case: Case) -> None:
    policy = case.build_policy(PLACE)
    for _ in range(4):  # a policy may have several faults
        report = run_check(policy, case.which)
        if report.is_usable is not False:  # only uncertain findings may remain
            return
        finding = report.findings[0]
        assert finding.message
        assert text_of(finding.remediation)
        if not finding.paste:  # the customer's own Deny statement; the remedy is to exempt the platform role
            assert finding.code == "policy.ExplicitDeny"
            assert str(finding.sid) in text_of(finding.remediation)
            guard = next(one for one in policy["Statement"] if one.get("Sid") == finding.sid)
            guard["Condition"] = guard.get("Condition", {}) | {"ArnNotEquals": {"aws:PrincipalArn": PLACE.role}}
            continue
        given = {one["Sid"] for one in finding.paste}
        kept = [one for one in policy["Statement"] if one.get("Sid") not in given]
        policy = {**policy, "Statement": [*kept, *finding.paste]}
    raise AssertionError("the policy is still wrong after four remedies")


def test_report_as_json_has_every_permission_and_finding() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][1]["Condition"]["StringEquals"]["kms:ViaService"] = "s3.eu-west-1.amazonaws.com"

    report = run_check(policy, KeyPurpose.S3)
    shown = report.as_json_dict()

    assert (shown["key"], shown["usable"]) == ("s3", False)
    assert [finding["code"] for finding in shown["findings"]] == ["policy.WrongRegionInViaService"]
    for row, made in zip(report.rows, shown["permissions"], strict=True):
        assert made == {
            "permission": row.call.permission,
            "action": row.call.action,
            "through": "s3",
            "needed_for": row.call.need.value,
            "purpose": row.call.purpose,
            "verdict": row.verdict.value,
            "sid": row.sid,
            "why": [misfit.words for misfit in row.misfits],
        }
    json.dumps(shown)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Principal": {"AWS": "arn:aws:iam::111122223333:role/AtaccamaPlatform"}}, "with a different path"),
        ({"NotResource": ARN}, f"NotResource is {ARN}"),
        (
            {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "a", "aws:SourceArn": "arn:aws:s3:::b"}}},
            "aws:SourceArn requires arn:aws:s3:::b; the call lacks this condition key",
        ),
    ],
)
def test_statement_that_almost_allows_the_call_is_explained(change: dict[str, Any], words: str) -> None:
    place = PolicyContext("arn:aws:iam::111122223333:role/saas/AtaccamaPlatform", PLACE.region, PLACE.customer)
    (ours,) = place.build_statements(KeyPurpose.S3)
    theirs = {**ours, **change}
    if "NotResource" in change:
        del theirs["Resource"]
    side = PlatformPrincipal(place.role, place.region, ARN, at=NOW)

    report = check_policy({"Statement": [place.owner_statement, theirs]}, KeyPurpose.S3, side, VENDOR)

    assert any(words in misfit.words for row in report.rows for misfit in row.misfits)


@pytest.mark.parametrize("which", KeyPurpose)
def test_valid_policy_has_a_row_per_permission_with_its_statement(which: KeyPurpose) -> None:
    report = run_check(
        {"Version": "2012-10-17", "Statement": [PLACE.owner_statement, *PLACE.build_statements(which)]}, which
    )

    permissions = {action for statement in PLACE.build_statements(which) for action in statement["Action"]}
    assert {row.call.permission for row in report.rows} == permissions
    assert {row.verdict for row in report.rows} == {Verdict.ALLOWED}
    assert {row.sid for row in report.rows} == {statement["Sid"] for statement in PLACE.build_statements(which)}


def test_both_statements_are_suggested_if_both_are_missing() -> None:
    policy = {"Version": "2012-10-17", "Statement": [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.S3)]}

    (finding,) = run_check(policy, KeyPurpose.RDS).findings

    assert list(finding.paste) == PLACE.build_statements(KeyPurpose.RDS)
    assert "these statements" in text_of(finding.remediation)
    assert "byok check" not in text_of(finding.remediation), "the statements are certainly missing"


def test_blocking_findings_come_first() -> None:
    policy = copy.deepcopy(POLICY_CASES[1].build_policy(PLACE))
    del policy["Statement"][1]["Condition"]["StringEquals"]["kms:ViaService"]
    policy["Statement"][2]["Condition"]["Bool"]["kms:GrantIsForAWSResource"] = "false"

    found = run_check(policy, KeyPurpose.RDS).findings

    assert [finding.severity for finding in found] == [Severity.STOPS, Severity.TOO_WIDE]
    assert "directly" in found[1].message


def test_key_arn_as_resource_is_judged_if_the_key_is_known() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"][1]["Resource"] = ARN

    assert run_check(policy, KeyPurpose.S3).is_usable is None
    known = check_policy(policy, KeyPurpose.S3, PlatformPrincipal(PLACE.role, PLACE.region, ARN), VENDOR)
    assert known.is_usable is True


def test_suggestions_use_the_vendors_names() -> None:
    globex = VendorProfile(name="Globex")

    report = run_check({"Version": "2012-10-17", "Statement": [PLACE.owner_statement]}, KeyPurpose.S3, globex)

    assert [one["Sid"] for one in report.findings[0].paste] == ["AllowGlobexPlatformS3Access"]


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "policy.NotJson", "line 1"),
        ("{'a': 1}", "policy.NotJson", "line 1, column 2"),
        ("[]", "policy.NotAPolicy", "array"),
        ("7", "policy.NotAPolicy", "not a JSON object"),
        ("{}", "policy.NoStatement", "no Statement"),
        ('{"Statements": []}', "policy.NoStatement", "not Statements"),
        ('{"Statement": []}', "policy.NoStatement", "empty"),
        ('{"Statement": [1]}', "policy.Malformed", "Statement 1"),
        ('{"Statement": null}', "policy.NoStatement", "no Statement array.$"),
        ('{"Effect": "Allow", "Principal": "*"}', "policy.NoStatement", "a single statement"),
        ('{"Effect": "Deny", "NotPrincipal": "*"}', "policy.NoStatement", "a single statement"),
        ('{"Resources": {}}', "policy.NoStatement", "CloudFormation template"),
        ('{"KeyMetadata": {}}', "policy.NoStatement", "get-key-policy"),
        ('{"Policy": {"Statement": []}}', "policy.NoStatement", "value of Policy"),
        ("[" * 100_000, "policy.NotJson", "too deeply"),
        ("9" * 5_000, "policy.NotJson", "digits"),
        ('{"Statement": NaN}', "policy.NotJson", "NaN"),
        ('{"Statement": [], "Statement": []}', "policy.NameTwice", "Statement"),
    ],
)
def test_invalid_policy_text_is_explained(text: str, code: str, words: str) -> None:
    with pytest.raises(PolicyDocumentError, match=words) as caught:
        parse_policy(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Effect": "allow"}, "policy.Malformed", "Effect"),
        ({"Sid": "A", "Actions": "*"}, "policy.Malformed", "Statement A.*Actions"),
        ({"Principal": None}, "policy.Malformed", "AWS"),
        ({"Principal": "arn:aws:iam::111122223333:root"}, "policy.Malformed", "AWS"),
        ({"Principal": {"AWS": []}}, "policy.Malformed", "principal"),
        ({"NotPrincipal": "*"}, "policy.Malformed", "exactly one of Principal"),
        ({"Action": 1}, "policy.Malformed", "Action"),
        ({"Sid": 1}, "policy.Malformed", "Sid"),
        ({"Condition": {"StringEquals": "x"}}, "policy.Malformed", "Condition"),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": {"a": "b"}}}}, "policy.Malformed", "PrincipalAccount"),
        ({"Condition": {"StringEquals": {"aws:PrincipalAccount": None}}}, "policy.Malformed", "PrincipalAccount"),
        ({"Principal": {"aws": "arn:aws:iam::111122223333:root"}}, "policy.Malformed", "principal type aws"),
        ({"Action": []}, "policy.Malformed", "Action"),
        ({"Action": "Decrypt"}, "policy.Malformed", "for example kms:Decrypt"),
        ({"Resource": []}, "policy.Malformed", "Resource"),
    ],
)
def test_statement_that_kms_would_refuse_is_explained(change: dict[str, Any], code: str, words: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*", **change}

    with pytest.raises(PolicyDocumentError, match=words) as caught:
        parse_policy(json.dumps({"Statement": [statement]}))

    assert caught.value.code == code


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"Version": "2012-10-18"}, "policy.Malformed", "2012-10-17"),
        ({"Version": ["2012-10-17"]}, "policy.Malformed", "2012-10-17"),
        ({"Id": 5}, "policy.Malformed", "Id"),
        ({"version": "2012-10-17"}, "policy.Malformed", "Unknown policy element version"),
        ({"Id": "x" * 32_768}, "policy.TooLarge", "32768"),
    ],
)
def test_elements_outside_the_statements_are_checked(change: dict[str, Any], code: str, words: str) -> None:
    with pytest.raises(PolicyDocumentError, match=words) as caught:
        parse_policy(json.dumps(POLICY_CASES[0].build_policy(PLACE) | change))

    assert caught.value.code == code


def test_unknown_conditions_in_foreign_statements_do_not_matter() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    strange = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}
    for condition in ({"StringIs": {"aws:PrincipalTag/a": "b"}}, {"NumericEquals": {"aws:PrincipalAccount": "many"}}):
        policy["Statement"].insert(1, {**strange, "Condition": condition})

    assert run_check(parse_policy(json.dumps(policy)), KeyPurpose.S3).is_usable is True


@pytest.mark.parametrize("statement", [{"Effect": "Deny", "Resource": ARN}, {"Effect": "Deny", "NotResource": ARN}])
def test_deny_on_a_key_arn_is_uncertain_unless_the_key_is_known(statement: dict[str, Any]) -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"].append({"Sid": "Guard", "Principal": "*", "Action": "kms:*", **statement})

    assert run_check(policy, KeyPurpose.S3).is_usable is None
    known = check_policy(policy, KeyPurpose.S3, PlatformPrincipal(PLACE.role, PLACE.region, ARN), VENDOR)
    assert known.is_usable is ("NotResource" in statement)


def test_uncertain_allow_comes_with_statements_to_paste() -> None:
    condition = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}
    perhaps = {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": condition}

    (finding,) = run_check({"Statement": [PLACE.owner_statement, perhaps]}, KeyPurpose.S3).findings

    assert (finding.code, finding.severity) == ("policy.CannotBeSaid", Severity.UNKNOWN)
    assert finding.message.startswith("Statement 2: StringEquals on aws:PrincipalOrgID requires o-1")
    assert list(finding.paste) == PLACE.build_statements(KeyPurpose.S3)
    assert "byok check" in text_of(finding.remediation)


@pytest.mark.parametrize("case", [case for case in POLICY_CASES if "nothing but" in case.name], ids=case_id)
def test_customers_own_statements_are_left_unchanged(case: Case) -> None:
    for finding in run_check(case.build_policy(PLACE), case.which).findings:
        assert "do not change the other statements" in text_of(finding.remediation)


@pytest.mark.parametrize("element", ["Principal", "Action", "Resource"])
def test_policy_with_an_incomplete_statement_is_refused(element: str) -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    del policy["Statement"][1][element]

    with pytest.raises(PolicyDocumentError, match=f"PlatformS3Access: must contain exactly one of {element}"):
        parse_policy(json.dumps(policy))


def test_statement_without_a_principal_is_refused_on_an_older_key_too() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    del policy["Statement"][1]["Principal"]

    with pytest.raises(PolicyDocumentError, match="must contain exactly one of Principal"):
        parse_policy(json.dumps(policy), on_a_key=True)


@pytest.mark.parametrize("element", ["Action", "Resource"])
def test_incomplete_statement_on_an_older_key_is_reported_without_effect(element: str) -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    del policy["Statement"][1][element]

    first = run_check(parse_policy(json.dumps(policy), on_a_key=True), KeyPurpose.S3).findings[0]

    assert f"Without {element}, the statement has no effect" in first.message
    assert (first.severity, list(first.paste)) == (Severity.STOPS, PLACE.build_statements(KeyPurpose.S3))


def test_deny_without_resource_on_an_older_key_has_no_effect() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE)
    policy["Statement"].append({"Sid": "Old", "Effect": "Deny", "Principal": "*", "Action": "kms:*"})

    report = run_check(parse_policy(json.dumps(policy), on_a_key=True), KeyPurpose.S3)

    assert (report.is_usable, report.findings) == (True, ())


def test_policy_of_the_maximum_size_is_accepted() -> None:
    policy = POLICY_CASES[0].build_policy(PLACE) | {"Id": ""}
    policy["Id"] = "x" * (MAX_POLICY_BYTES - len(json.dumps(policy)))

    assert parse_policy(json.dumps(policy)) == policy


def test_get_key_policy_response_is_accepted() -> None:
    document = json.dumps(POLICY_CASES[0].build_policy(PLACE))

    assert parse_policy(json.dumps({"Policy": document, "PolicyName": "default"})) == json.loads(document)
    assert parse_policy(json.dumps(document)) == json.loads(document)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_file_encoding_of_any_shell_is_accepted(encoding: str) -> None:
    assert decode_text('{"Statement": []}'.encode(encoding)) == '{"Statement": []}'


def test_file_that_is_not_text_is_refused() -> None:
    with pytest.raises(PolicyDocumentError, match="not text") as caught:
        decode_text(b"\xff{}")
    assert caught.value.code == "policy.NotJson"
