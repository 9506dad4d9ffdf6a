"""Merging the platform's statements into a policy leaves all other bytes of the policy unchanged."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.document import PolicyDocumentError
from byok.domain.iam.check.report import check_policy
from byok.domain.iam.merge import PolicyMergeError, merge_policy, merge_policy_file
from tests.policy_cases import POLICY_CASES
from tests.policy_changes import Case
from tests.policy_context import VENDOR, PolicyContext

PLACE = PolicyContext("arn:aws:iam::111122223333:role/AtaccamaPlatform", "eu-central-1", "444455556666")
SIDE = PlatformPrincipal(PLACE.role, PLACE.region)
KEY = "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111"
OWNER_POLICY: dict[str, Any] = {
    "Version": "2012-10-17",
    "Id": "key-consolepolicy-3",
    "Statement": [PLACE.owner_statement],
}


def merge(text: str, which: KeyPurpose = KeyPurpose.RDS) -> Any:
    return merge_policy(text, which, PLACE.role, PLACE.region, VENDOR)


@pytest.mark.parametrize("which", KeyPurpose)
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OWNER_POLICY, indent=2),
        json.dumps(OWNER_POLICY, indent=4),
        json.dumps(OWNER_POLICY, indent="\t"),
        json.dumps(OWNER_POLICY, indent=2).replace("\n", "\r\n"),
        json.dumps(OWNER_POLICY),
        json.dumps(OWNER_POLICY, separators=(",", ":")),
        "\n  " + json.dumps(OWNER_POLICY, indent=2) + "\n\n",
        json.dumps({"Statement": [PLACE.owner_statement], "Version": "2012-10-17"}, indent=2),
        json.dumps({"Version": "2012-10-17", "Statement": PLACE.owner_statement}, indent=2),
    ],
)
def test_statements_are_appended_and_nothing_else_changes(text: str, which: KeyPurpose) -> None:
    merged = merge(text, which)

    ours = PLACE.build_statements(which)
    assert json.loads(merged.text)["Statement"] == [PLACE.owner_statement, *ours]  # contract 56-59
    assert list(merged.added) == [one["Sid"] for one in ours]
    kept = 0  # all bytes of the original text remain, in the same order
    for char in text:
        kept = merged.text.index(char, kept) + 1
    start = merged.text.index('"Enable IAM User Permissions"')
    assert text[: text.index('"Enable IAM User Permissions"')] in {
        merged.text[:start],
        merged.text[:start].replace("[", "", 1),
    }


@pytest.mark.parametrize("which", KeyPurpose)
def test_administrators_and_users_of_the_customer_are_kept(which: KeyPurpose) -> None:
    roles = "arn:aws:iam::444455556666:role/"
    chosen = [
        {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": roles + role}, "Action": actions, "Resource": "*"}
        for sid, role, actions in (
            (
                "Allow access for Key Administrators",
                "KeyAdmins",
                ["kms:Create*", "kms:Put*", "kms:ScheduleKeyDeletion"],
            ),
            ("Allow use of the key", "Analysts", ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"]),
        )
    ]
    policy = {**OWNER_POLICY, "Statement": [PLACE.owner_statement, *chosen]}

    merged = json.loads(merge(json.dumps(policy, indent=2), which).text)

    expected = [PLACE.owner_statement, *chosen, *PLACE.build_statements(which)]
    assert merged["Statement"] == expected  # contract 55, 56
    assert check_policy(merged, which, SIDE, VENDOR).is_usable is True


def test_appended_statement_has_the_surrounding_format() -> None:
    assert merge(json.dumps(OWNER_POLICY, indent=3), KeyPurpose.S3).text == json.dumps(
        {**OWNER_POLICY, "Statement": [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.S3)]}, indent=3
    )


@pytest.mark.parametrize("which", KeyPurpose)
def test_complete_policy_is_returned_byte_for_byte(which: KeyPurpose) -> None:
    once = merge(json.dumps(OWNER_POLICY, indent=2), which)

    twice = merge(once.text, which)

    assert twice.text == once.text
    assert not twice.changed


@pytest.mark.parametrize("case", [case for case in POLICY_CASES if case.stops], ids=lambda case: case.name)
def test_merged_policy_is_usable_unless_a_deny_applies(case: Case) -> None:
    policy = case.build_policy(PLACE)
    guards = [one for one in policy["Statement"] if one["Effect"] == "Deny"]
    text = json.dumps(policy, indent=2)
    if any(guard["Sid"].startswith("AllowAtaccama") for guard in guards):
        with pytest.raises(PolicyMergeError, match="Effect Deny") as caught:
            merge(text, case.which)
        assert caught.value.code == "policy.SidTaken"
        return

    merged = merge(text, case.which)

    report = check_policy(json.loads(merged.text), case.which, SIDE, VENDOR)
    in_the_way = {"policy.ExplicitDeny", "policy.DenyCannotBeSaid"}
    assert report.is_usable is True or report.findings[0].code in in_the_way
    assert bool(guards) is not report.is_usable


def test_outdated_statement_is_replaced_in_place() -> None:
    old = json.loads(json.dumps(PLACE.build_statements(KeyPurpose.S3)[0]).replace("eu-central-1", "eu-west-1"))
    last = {"Sid": "Auditors", "Effect": "Allow", "Principal": "*", "Action": "kms:ListGrants", "Resource": "*"}

    merged = merge(
        json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, old, last]}, indent=2), KeyPurpose.S3
    )

    assert json.loads(merged.text)["Statement"] == [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.S3), last]
    assert (merged.added, merged.replaced) == ((), ("AllowAtaccamaPlatformS3Access",))


def test_get_key_policy_response_becomes_the_document() -> None:
    answer = json.dumps({"Policy": json.dumps(OWNER_POLICY, indent=2), "PolicyName": "default"})

    assert json.loads(merge(answer).text)["Statement"] == [
        PLACE.owner_statement,
        *PLACE.build_statements(KeyPurpose.RDS),
    ]


@pytest.mark.parametrize(
    "statements",
    [
        PLACE.build_statements(KeyPurpose.S3),  # only the platform's statements
        [{**PLACE.owner_statement, "Action": "kms:Decrypt"}],
        [{**PLACE.owner_statement, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}],
        [PLACE.owner_statement, {**PLACE.owner_statement, "Sid": "No", "Effect": "Deny"}],
        [{**PLACE.owner_statement, "Sid": "AllowAtaccamaPlatformS3Access"}],  # the merge would replace this statement
        [{**PLACE.owner_statement, "Condition": {"StringEquals": {"aws:PrincipalAccount": "999988887777"}}}],
        [{**PLACE.owner_statement, "Condition": {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}}],
        [{**PLACE.owner_statement, "Resource": "arn:aws:s3:::bucket"}],
        [{**PLACE.owner_statement, "Principal": {"AWS": ["AIDAEXAMPLEORPHAN1234", "AROAEXAMPLEORPHAN1234"]}}],
        [PLACE.owner_statement, {**PLACE.owner_statement, "Sid": "No", "Effect": "Deny", "Resource": KEY}],
        [
            PLACE.owner_statement,
            {**PLACE.owner_statement, "Sid": "No", "Effect": "Deny", "Resource": "arn:aws:kms:*:444455556666:key/*"},
        ],
        [
            PLACE.owner_statement,
            {
                **PLACE.owner_statement,
                "Sid": "No",
                "Effect": "Deny",
                "Principal": "*",
                "Condition": {"StringEquals": {"kms:CallerAccount": "444455556666"}},
            },
        ],
    ],
)
def test_result_that_locks_the_owner_out_is_refused(statements: list[Any]) -> None:
    with pytest.raises(PolicyMergeError, match="no principal in the key's own account") as caught:
        merge(json.dumps({"Version": "2012-10-17", "Statement": statements}), KeyPurpose.S3)
    assert caught.value.code == "policy.LockedOut"


def test_conditional_control_counts_as_control() -> None:
    owner = {**PLACE.owner_statement, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}

    assert merge(json.dumps({**OWNER_POLICY, "Statement": [owner]})).changed


def test_deny_that_excludes_the_key_leaves_control() -> None:
    guard = {**PLACE.owner_statement, "Sid": "Guard", "Effect": "Deny", "Principal": "*", "NotResource": KEY}
    del guard["Resource"]

    assert merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, guard]})).changed


def test_control_by_another_account_does_not_count_if_the_key_is_known() -> None:
    text = json.dumps({**OWNER_POLICY, "Statement": [{**PLACE.owner_statement, "Principal": {"AWS": "999988887777"}}]})

    assert merge(text, KeyPurpose.S3).changed  # if the key's ARN is unknown, the key may belong to the other account
    with pytest.raises(PolicyMergeError, match="no principal in the key's own account"):
        merge_policy(text, KeyPurpose.S3, PLACE.role, PLACE.region, VENDOR, key_arn=KEY)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Principal": "*"}, "Effect Deny"),
        ({"Principal": {"AWS": [PLACE.role, "arn:aws:iam::444455556666:role/Own"]}}, "role/Own"),
        ({"Principal": {"AWS": PLACE.role, "Service": "logs.amazonaws.com"}}, "logs.amazonaws.com"),
        ({"Principal": {"AWS": PLACE.role, "Service": ["a.aws", "b.aws"]}}, "also allows a.aws, b.aws"),
    ],
)
def test_owners_changes_under_a_platform_sid_are_not_lost(change: dict[str, Any], words: str) -> None:
    theirs = PLACE.build_statements(KeyPurpose.S3)[0] | change
    with pytest.raises(PolicyMergeError, match=words) as caught:
        merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, theirs]}), KeyPurpose.S3)
    assert caught.value.code == "policy.SidTaken"


def test_equivalent_statement_is_left_unchanged() -> None:
    describe, grants = PLACE.build_statements(KeyPurpose.RDS)
    same = {
        **grants,
        "Principal": {"AWS": [PLACE.role]},
        "Action": [action.upper() for action in reversed(grants["Action"])],
        "Resource": ["*"],
        "Condition": {
            "Bool": {"KMS:GrantIsForAWSResource": True},
            "StringEquals": {key: [value] for key, value in grants["Condition"]["StringEquals"].items()},
        },
    }
    text = json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, same, describe]})

    merged = merge(text)

    assert (merged.text, merged.changed) == (text, False)


def test_replaced_statement_reports_the_conditions_that_byoks_statement_lacks() -> None:
    old = PLACE.build_statements(KeyPurpose.S3)[0]
    old["Condition"]["StringEquals"] |= {"kms:ViaService": "s3.eu-west-1.amazonaws.com", "aws:PrincipalOrgID": "o-1"}

    merged = merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, old]}), KeyPurpose.S3)

    assert merged.replaced == ("AllowAtaccamaPlatformS3Access",)
    assert merged.dropped == ("aws:PrincipalOrgID",)


def test_administrator_behind_a_principal_that_cannot_manage_the_key_counts() -> None:
    several = {**PLACE.owner_statement, "Principal": {"AWS": ["111122223333", "arn:aws:iam::444455556666:role/Admin"]}}

    assert merge(json.dumps({**OWNER_POLICY, "Statement": [several]})).changed


@pytest.mark.parametrize(
    "text", [json.dumps(json.dumps(json.dumps(OWNER_POLICY))), json.dumps({"Policy": '{"Policy": "{}"}'})]
)
def test_policy_wrapped_more_than_once_is_refused(text: str) -> None:
    with pytest.raises(PolicyDocumentError):
        merge(text)


def test_duplicate_platform_sid_is_refused() -> None:
    ours = PLACE.build_statements(KeyPurpose.S3)
    with pytest.raises(PolicyMergeError, match="Keep only one"):
        merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, *ours, *ours]}), KeyPurpose.S3)


def test_oversized_result_is_refused() -> None:
    long = {
        **PLACE.owner_statement,
        "Sid": "Long",
        "Principal": {"AWS": ["arn:aws:iam::444455556666:role/" + "x" * 64] * 325},
    }
    with pytest.raises(PolicyMergeError, match="32768"):
        merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, long]}))


def test_invalid_policy_is_refused() -> None:
    with pytest.raises(PolicyDocumentError):
        merge("{}")


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(
    sids=st.lists(_TEXT, max_size=4),
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
    which=st.sampled_from(KeyPurpose),
)
def test_merge_preserves_any_policy(sids: list[str], indent: Any, ascii_only: bool, which: KeyPurpose) -> None:
    others = [{**PLACE.owner_statement, "Sid": sid} for sid in sids]
    policy = {"Id": ']}"[{', "Statement": [PLACE.owner_statement, *others], "Version": "2012-10-17"}
    text = json.dumps(policy, indent=indent, ensure_ascii=ascii_only)

    merged = merge(text, which)

    assert json.loads(merged.text) == {
        **policy,
        "Statement": [PLACE.owner_statement, *others, *PLACE.build_statements(which)],
    }
    assert merge(merged.text, which).text == merged.text


def test_id_of_a_deleted_principal_must_be_removed_first() -> None:
    admins = {**PLACE.owner_statement, "Sid": "Admins", "Principal": {"AWS": ["AIDAEXAMPLEDELETED123"]}}

    with pytest.raises(
        PolicyDocumentError, match="Statement Admins: AIDAEXAMPLEDELETED123 is the id of a deleted user"
    ):
        merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, admins]}))


def test_outdated_statement_for_a_deleted_role_is_replaced() -> None:
    old = PLACE.build_statements(KeyPurpose.S3)[0] | {"Principal": {"AWS": "AROAEXAMPLEDELETED123"}}

    merged = merge(json.dumps({**OWNER_POLICY, "Statement": [PLACE.owner_statement, old]}), KeyPurpose.S3)

    assert json.loads(merged.text)["Statement"] == [PLACE.owner_statement, *PLACE.build_statements(KeyPurpose.S3)]


def test_utf_16_becomes_utf_8_without_a_mark() -> None:
    text = json.dumps(OWNER_POLICY, indent=2)

    merged = merge_policy_file(text.encode("utf-16"), KeyPurpose.S3, PLACE.role, PLACE.region, VENDOR)

    assert merged.content == merge(text, KeyPurpose.S3).text.encode()


def test_mark_of_the_aws_clis_output_is_not_part_of_the_policy() -> None:
    output = json.dumps({"Policy": json.dumps(OWNER_POLICY), "PolicyName": "default"}).encode("utf-8-sig")

    assert not merge_policy_file(output, KeyPurpose.S3, PLACE.role, PLACE.region, VENDOR).byte_order_mark
