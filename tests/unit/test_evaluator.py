"""Evaluate the contract's policy statements with the context of real requests, and test each of IAM's rules."""

from typing import Any

import pytest

from byok.domain.iam.conditions import UnknownConditionError, condition_block_holds
from byok.domain.iam.evaluator import (
    AccessRequest,
    CallingPrincipal,
    Effect,
    decide_access,
    evaluate_identity_policies,
    evaluate_policy,
)
from byok.domain.iam.statements import build_rds_key_statements, build_s3_key_statements
from byok.domain.iam.wildcards import compile_wildcard_pattern, has_placeholder
from byok.domain.vendor import VendorProfile

REGION, PLATFORM, CUSTOMER = "eu-central-1", "111122223333", "444455556666"
ROLE = f"arn:aws:iam::{PLATFORM}:role/AtaccamaPlatform"
SESSION = CallingPrincipal(f"arn:aws:sts::{PLATFORM}:assumed-role/AtaccamaPlatform/worker", PLATFORM, ROLE)
KEY = f"arn:aws:kms:{REGION}:{CUSTOMER}:key/11111111-1111-4111-8111-111111111111"
ALLOW_ALL_POLICY: dict[str, Any] = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
OWNER_STATEMENT = {
    "Sid": "Enable IAM User Permissions",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{CUSTOMER}:root"},
    "Action": "kms:*",
    "Resource": "*",
}
S3_POLICY = {"Statement": [OWNER_STATEMENT, *build_s3_key_statements(ROLE, REGION, VendorProfile())]}
RDS_POLICY = {"Statement": [OWNER_STATEMENT, *build_rds_key_statements(ROLE, REGION, VendorProfile())]}


def build_condition_keys(
    via: str | None, caller: CallingPrincipal = SESSION, *, for_resource: bool = False
) -> dict[str, str | list[str]]:
    keys: dict[str, str | list[str]] = {"aws:PrincipalAccount": caller.account}
    if via:
        keys["kms:ViaService"] = via
    if for_resource:
        keys["kms:GrantIsForAWSResource"] = "true"
    return keys


def is_allowed(
    policy: dict[str, Any],
    action: str,
    via: str | None,
    caller: CallingPrincipal = SESSION,
    *,
    for_resource: bool = False,
) -> bool:
    keys = build_condition_keys(via, caller, for_resource=for_resource)
    return decide_access(
        policy, CUSTOMER, [ALLOW_ALL_POLICY], AccessRequest(caller, f"kms:{action}", KEY, keys)
    ).allowed


S3, RDS = f"s3.{REGION}.amazonaws.com", f"rds.{REGION}.amazonaws.com"


@pytest.mark.parametrize("action", ["Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext"])
def test_s3_key_is_usable_only_through_s3(action: str) -> None:
    assert is_allowed(S3_POLICY, action, S3)
    assert not is_allowed(S3_POLICY, action, None)  # contract 74
    assert not is_allowed(S3_POLICY, action, RDS)
    assert not is_allowed(S3_POLICY, action, "s3.eu-west-1.amazonaws.com")  # contract 77


def test_direct_describe_key_is_denied_on_both_keys() -> None:
    assert not is_allowed(S3_POLICY, "DescribeKey", None)  # contract 74
    assert not is_allowed(RDS_POLICY, "DescribeKey", None)
    assert is_allowed(RDS_POLICY, "DescribeKey", RDS)


@pytest.mark.parametrize("action", ["Encrypt", "Decrypt", "GenerateDataKey"])
def test_aurora_key_allows_the_role_no_cryptographic_operations(action: str) -> None:
    assert not is_allowed(RDS_POLICY, action, RDS)  # contract 78
    assert not is_allowed(RDS_POLICY, action, S3)  # contract 80


def test_grants_are_for_aws_resources_only() -> None:
    assert is_allowed(RDS_POLICY, "CreateGrant", RDS, for_resource=True)
    assert not is_allowed(RDS_POLICY, "CreateGrant", RDS)  # contract 79
    assert not is_allowed(S3_POLICY, "CreateGrant", RDS, for_resource=True)  # contract 80


def test_other_principals_and_accounts_are_denied() -> None:
    other_role = CallingPrincipal(
        f"arn:aws:sts::{PLATFORM}:assumed-role/Other/x", PLATFORM, f"arn:aws:iam::{PLATFORM}:role/Other"
    )
    elsewhere = CallingPrincipal("arn:aws:sts::999988887777:assumed-role/AtaccamaPlatform/x", "999988887777")
    assert not is_allowed(S3_POLICY, "Decrypt", S3, other_role)  # contract 75
    assert not is_allowed(S3_POLICY, "Decrypt", S3, elsewhere)  # contract 76


def test_owner_keeps_everything() -> None:
    owner = CallingPrincipal(f"arn:aws:iam::{CUSTOMER}:user/Admin", CUSTOMER)
    assert is_allowed(S3_POLICY, "PutKeyPolicy", None, owner)


def test_cross_account_access_requires_the_callers_own_policy() -> None:
    access = AccessRequest(SESSION, "kms:Decrypt", KEY, build_condition_keys(S3))
    assert decide_access(S3_POLICY, CUSTOMER, [ALLOW_ALL_POLICY], access).allowed
    assert decide_access(S3_POLICY, CUSTOMER, [], access).effect is Effect.IMPLICIT_DENY


def test_explicit_deny_wins_in_any_policy() -> None:
    deny = {"Sid": "No", "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*"}
    access = AccessRequest(SESSION, "kms:Decrypt", KEY, build_condition_keys(S3))
    by_resource = decide_access({"Statement": [deny, *S3_POLICY["Statement"]]}, CUSTOMER, [ALLOW_ALL_POLICY], access)
    identity = {"Statement": [{"Effect": "Deny", "Action": "kms:*", "Resource": "*"}]}
    by_identity = decide_access(S3_POLICY, CUSTOMER, [ALLOW_ALL_POLICY, identity], access)
    assert (by_resource.effect, by_resource.sid) == (Effect.EXPLICIT_DENY, "No")
    assert by_identity.effect is Effect.EXPLICIT_DENY


def test_named_principal_of_the_owners_account_needs_no_iam_policy() -> None:
    user = CallingPrincipal(f"arn:aws:iam::{CUSTOMER}:user/Someone", CUSTOMER)
    named = {"Effect": "Allow", "Principal": {"AWS": user.arn}, "Action": "kms:Decrypt", "Resource": "*"}
    access = AccessRequest(user, "kms:Decrypt", KEY)
    assert decide_access({"Statement": [named]}, CUSTOMER, [], access).allowed
    assert not decide_access({"Statement": [OWNER_STATEMENT]}, CUSTOMER, [], access).allowed
    assert decide_access({"Statement": [OWNER_STATEMENT]}, CUSTOMER, [ALLOW_ALL_POLICY], access).allowed


def test_orphaned_principal_matches_no_caller() -> None:
    orphan = {"Effect": "Allow", "Principal": {"AWS": "AROAEXAMPLEID"}, "Action": "*", "Resource": "*"}
    assert (
        evaluate_policy({"Statement": [orphan]}, AccessRequest(SESSION, "kms:Decrypt", KEY)).effect
        is Effect.IMPLICIT_DENY
    )


@pytest.mark.parametrize(
    ("element", "value", "hit"),
    [
        ("Action", "kms:GenerateDataKey", True),
        ("Action", "KMS:generatedatakey", True),
        ("Action", ["kms:Encrypt", "kms:Generate*"], True),
        ("Action", "kms:GenerateDataKe?", True),
        ("Action", "kms:GenerateDataKeyPair", False),
        ("NotAction", "kms:Decrypt", True),
        ("NotAction", "kms:*", False),
    ],
)
def test_actions_match_as_in_iam(element: str, value: object, hit: bool) -> None:
    statement = {"Effect": "Allow", element: value, "Resource": "*"}
    access = AccessRequest(SESSION, "kms:GenerateDataKey", KEY)
    assert evaluate_identity_policies([{"Statement": statement}], access).allowed is hit


@pytest.mark.parametrize(
    ("element", "value", "hit"),
    [
        ("Resource", "arn:aws:kms:*:*:key/${aws:username}-*", True),
        ("Resource", "arn:aws:kms:*:*:key/${aws:other}*", False),
        ("Resource", "arn:aws:kms:*:*:key/${aws:other, '1111'}*", True),
        ("Resource", "arn:aws:kms:*:*:key/${*}", False),
        ("NotResource", "arn:aws:kms:*:*:key/${aws:username}-*", False),
        ("NotResource", "arn:aws:kms:*:*:key/${aws:other}*", True),
    ],
)
def test_resource_variables_are_filled_in(element: str, value: str, hit: bool) -> None:
    statement = {"Effect": "Allow", "Action": "kms:*", element: value}
    access = AccessRequest(SESSION, "kms:Decrypt", KEY, {"aws:UserName": "11111111"})
    assert evaluate_identity_policies([{"Version": "2012-10-17", "Statement": statement}], access).allowed is hit


@pytest.mark.parametrize("version", [{}, {"Version": "2008-10-17"}])
def test_variables_are_literal_text_in_earlier_versions(version: dict[str, str]) -> None:
    condition = {"StringEquals": {"aws:userid": "${aws:username}"}}
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition}
    policy = {**version, "Statement": statement}
    as_text = {"aws:userid": "${aws:username}", "aws:username": "x"}
    filled_in = {"aws:userid": "x", "aws:username": "x"}
    assert evaluate_identity_policies([policy], AccessRequest(SESSION, "kms:Decrypt", KEY, as_text)).allowed
    assert not evaluate_identity_policies([policy], AccessRequest(SESSION, "kms:Decrypt", KEY, filled_in)).allowed

    condition["StringEquals"]["aws:userid"] = "${$}"
    for user, allowed in (("${$}", True), ("$", False)):
        access = AccessRequest(SESSION, "kms:Decrypt", KEY, {"aws:userid": user})
        assert evaluate_identity_policies([policy], access).allowed is allowed


@pytest.mark.parametrize(
    ("block", "keys", "holds"),
    [
        ({"StringEquals": {"a": "x"}}, {"a": "x"}, True),
        ({"StringEquals": {"a": ["y", "x"]}}, {"a": "x"}, True),
        ({"StringEquals": {"A": "x"}}, {"a": "x"}, True),
        ({"StringEquals": {"a": "x"}}, {}, False),
        ({"StringEqualsIfExists": {"a": "x"}}, {}, True),
        ({"StringNotEquals": {"a": "x"}}, {}, True),
        ({"StringNotEquals": {"a": ["x", "y"]}}, {"a": "y"}, False),
        ({"StringNotEqualsIfExists": {"a": "x"}}, {}, True),
        ({"StringLike": {"a": "s3.*.amazonaws.com"}}, {"a": S3}, True),
        ({"StringLike": {"a": "rds.*"}}, {"a": S3}, False),
        ({"StringEqualsIgnoreCase": {"a": "X"}}, {"a": "x"}, True),
        ({"Bool": {"a": "true"}}, {"a": "True"}, True),
        ({"Bool": {"a": "true"}}, {}, False),
        ({"Bool": {"a": True}}, {"a": "true"}, True),
        ({"Null": {"a": "true"}}, {}, True),
        ({"Null": {"a": "false"}}, {}, False),
        ({"Null": {"a": "false"}}, {"a": "x"}, True),
        ({"Null": {"a": ["true", "false"]}}, {"a": "x"}, True),
        ({"ArnLike": {"a": "arn:aws:iam::*:role/*"}}, {"a": ROLE}, True),
        ({"ArnLike": {"a": "arn:aws:iam::*"}}, {"a": ROLE}, False),
        ({"ArnLike": {"a": "s3"}}, {"a": "s3"}, False),
        ({"ArnNotEquals": {"a": ROLE}}, {"a": f"{ROLE}2"}, True),
        ({"NumericLessThan": {"a": "10"}}, {"a": "9"}, True),
        ({"DateGreaterThan": {"a": "2026-01-01T00:00:00Z"}}, {"a": "2026-11-23T00:00:00Z"}, True),
        ({"IpAddress": {"a": "10.0.0.0/8"}}, {"a": "10.1.2.3"}, True),
        ({"NotIpAddress": {"a": "10.0.0.0/8"}}, {"a": "10.1.2.3"}, False),
        ({"ForAnyValue:StringEquals": {"a": ["x", "y"]}}, {"a": ["z", "y"]}, True),
        ({"ForAllValues:StringEquals": {"a": ["x", "y"]}}, {"a": ["z", "y"]}, False),
        ({"ForAllValues:StringEquals": {"a": ["x"]}}, {}, True),
        ({"ForAnyValue:StringEquals": {"a": ["x"]}}, {}, False),
        ({"ForAnyValue:StringNotEquals": {"a": ["x"]}}, {}, False),
        ({"StringEquals": {"a": "${aws:username}"}}, {"a": "x", "aws:username": "x"}, True),
        ({"StringEquals": {"a": "${aws:username}"}}, {"a": ""}, False),
        ({"StringNotEquals": {"a": "${aws:username}"}}, {"a": "x"}, True),
        ({"StringEquals": {"a": "${aws:username, 'unknown'}"}}, {"a": "unknown"}, True),
        ({"StringEquals": {"a": "${aws:username, 'unknown'}"}}, {"a": "x", "aws:username": "x"}, True),
        ({"StringEquals": {"a": "${aws:tags}"}}, {"a": "x", "aws:tags": ["x"]}, False),
        ({"StringLike": {"a": "${b}-*"}}, {"a": "x-1", "b": "x"}, True),
        ({"StringLike": {"a": "${b}"}}, {"a": "x", "b": "*"}, False),
        ({"StringLike": {"a": "${b}"}}, {"a": "${*}", "b": "${*}"}, True),
        ({"StringLike": {"a": "1${*}${?}${$}*"}}, {"a": "1*?$2"}, True),
        ({"StringLike": {"a": "${*}"}}, {"a": "x"}, False),
        ({"StringEquals": {"a": "${$}{b}"}}, {"a": "${b}"}, True),
        ({"ArnLike": {"a": "arn:aws:iam::${b:c}:role/*"}}, {"a": ROLE, "b:c": PLATFORM}, True),
        ({"StringEquals": {"a": "x"}, "Bool": {"b": "true"}}, {"a": "x"}, False),
    ],
)
def test_conditions_are_evaluated_as_in_iam(
    block: dict[str, Any], keys: dict[str, str | list[str]], holds: bool
) -> None:
    assert condition_block_holds(block, keys) is holds


@pytest.mark.parametrize(
    "operator",
    ["StringSounds", "ForSome:StringEquals", "stringequals", "BoolNot", "NotStringEquals", "NumericNotLessThan"],
)
def test_unknown_operator_is_reported(operator: str) -> None:
    with pytest.raises(UnknownConditionError, match=operator.rpartition(":")[2]):
        condition_block_holds({operator: {"a": "x"}}, {"a": "x"})


def test_key_policy_statement_without_resource_or_action_has_no_effect() -> None:
    access = AccessRequest(SESSION, "kms:Decrypt", KEY, build_condition_keys(S3))
    whole = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}
    assert evaluate_policy({"Statement": [whole]}, access).allowed
    for element in ("Action", "Resource"):
        part = {name: value for name, value in whole.items() if name != element}
        assert evaluate_policy({"Statement": [part]}, access).effect is Effect.IMPLICIT_DENY


def test_trust_policy_needs_no_resource() -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"}
    access = AccessRequest(SESSION, "sts:AssumeRole", f"arn:aws:iam::{CUSTOMER}:role/Reconciler")
    assert evaluate_policy({"Statement": [trust]}, access).allowed


def test_negated_arn_operator_on_a_non_arn_is_undocumented() -> None:
    with pytest.raises(UnknownConditionError, match="not an ARN"):
        condition_block_holds({"ArnNotLike": {"a": "s3"}}, {"a": "s3"})


def test_pattern_with_many_wildcards_is_matched_quickly() -> None:
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*1" * 30 + "x"}
    assert not evaluate_identity_policies(
        [{"Statement": statement}], AccessRequest(SESSION, "kms:Decrypt", KEY)
    ).allowed


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        ("a*b*c", "a-b-b-c", True),
        ("*b*", "abc", True),
        ("**", "", True),
        ("a*a", "a", False),
        ("*ab", "aab", True),
        ("?*?", "ab", True),
        ("?*?", "a", False),
        ("a*b?*c", "abxbc", True),
        ("${*}*${*}", "*x*", True),
        ("${*}*", "x", False),
    ],
)
def test_wildcards_match_any_text(pattern: str, text: str, hit: bool) -> None:
    assert (compile_wildcard_pattern(pattern).fullmatch(text) is not None) is hit


@pytest.mark.parametrize(
    ("text", "expected"),
    [("${platformRegion}", True), ("<role>", True), ("${aws:PrincipalArn}", False), ("${kms:ViaService}", False)],
)
def test_policy_variable_is_no_placeholder(text: str, expected: bool) -> None:
    assert has_placeholder(text) is expected


def test_statement_that_names_the_caller_outranks_a_later_one_that_names_the_account() -> None:
    named = {"Sid": "Role", "Effect": "Allow", "Principal": {"AWS": ROLE}, "Action": "kms:*", "Resource": "*"}
    account = {**named, "Sid": "Account", "Principal": {"AWS": PLATFORM}}
    for statements in ([named, account], [account, named]):
        decision = evaluate_policy({"Statement": statements}, AccessRequest(SESSION, "kms:Decrypt", KEY))
        assert (decision.sid, decision.by_account) == ("Role", False)


def test_account_of_another_partition_is_another_account() -> None:
    elsewhere = {**OWNER_STATEMENT, "Principal": {"AWS": f"arn:aws-cn:iam::{PLATFORM}:root"}}
    assert not evaluate_policy({"Statement": [elsewhere]}, AccessRequest(SESSION, "kms:Decrypt", KEY)).allowed
