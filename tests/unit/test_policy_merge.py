"""Our statements are put into a policy, and not a byte of anything else changes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from byok.domain.arns import WhichKey
from byok.domain.policy_check.calls import PlatformSide
from byok.domain.policy_check.document import PolicyDocumentError
from byok.domain.policy_check.report import check_policy
from byok.domain.policy_merge import PolicyMergeError, merge_policy
from tests.catalogue import BROKEN, VENDOR, Broken, Place

PLACE = Place("arn:aws:iam::111122223333:role/AtaccamaPlatform", "eu-central-1", "444455556666")
SIDE = PlatformSide(PLACE.role, PLACE.region)
OWNED: dict[str, Any] = {"Version": "2012-10-17", "Id": "key-consolepolicy-3", "Statement": [PLACE.owner]}


def merge(text: str, which: WhichKey = WhichKey.RDS) -> Any:
    return merge_policy(text, which, PLACE.role, PLACE.region, VENDOR)


@pytest.mark.parametrize("which", WhichKey)
@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OWNED, indent=2),
        json.dumps(OWNED, indent=4),
        json.dumps(OWNED, indent="\t"),
        json.dumps(OWNED, indent=2).replace("\n", "\r\n"),
        json.dumps(OWNED),
        json.dumps(OWNED, separators=(",", ":")),
        "\n  " + json.dumps(OWNED, indent=2) + "\n\n",
        json.dumps({"Statement": [PLACE.owner], "Version": "2012-10-17"}, indent=2),
        json.dumps({"Version": "2012-10-17", "Statement": PLACE.owner}, indent=2),
    ],
)
def test_statements_are_appended_and_nothing_else_changes(text: str, which: WhichKey) -> None:
    merged = merge(text, which)

    ours = PLACE.statements(which)
    assert json.loads(merged.text)["Statement"] == [PLACE.owner, *ours]  # contract 56-59
    assert list(merged.added) == [one["Sid"] for one in ours]
    kept = 0  # what was there is still there, in its order and to the byte
    for char in text:
        kept = merged.text.index(char, kept) + 1
    start = merged.text.index('"Enable IAM User Permissions"')
    assert text[: text.index('"Enable IAM User Permissions"')] in {
        merged.text[:start],
        merged.text[:start].replace("[", "", 1),
    }


def test_appended_statement_looks_like_its_neighbours() -> None:
    assert merge(json.dumps(OWNED, indent=3), WhichKey.S3).text == json.dumps(
        {**OWNED, "Statement": [PLACE.owner, *PLACE.statements(WhichKey.S3)]}, indent=3
    )


@pytest.mark.parametrize("which", WhichKey)
def test_policy_that_has_them_is_returned_to_the_byte(which: WhichKey) -> None:
    once = merge(json.dumps(OWNED, indent=2), which)

    twice = merge(once.text, which)

    assert twice.text == once.text
    assert not twice.changed


@pytest.mark.parametrize("case", [case for case in BROKEN if case.stops], ids=lambda case: case.name)
def test_merged_policy_is_usable_unless_somebody_denies(case: Broken) -> None:
    policy = case.policy(PLACE)
    others = [one for one in policy["Statement"] if one["Sid"] == "Guard"]

    merged = merge(json.dumps(policy, indent=2), case.which)

    report = check_policy(json.loads(merged.text), case.which, SIDE, VENDOR)
    assert report.usable is not bool(others)
    if others:
        assert report.findings[0].code == "policy.ExplicitDeny"


def test_outdated_statement_is_replaced_where_it_stands() -> None:
    old = json.loads(json.dumps(PLACE.statements(WhichKey.S3)[0]).replace("eu-central-1", "eu-west-1"))
    last = {"Sid": "Auditors", "Effect": "Allow", "Principal": "*", "Action": "kms:ListGrants", "Resource": "*"}

    merged = merge(json.dumps({**OWNED, "Statement": [PLACE.owner, old, last]}, indent=2), WhichKey.S3)

    assert json.loads(merged.text)["Statement"] == [PLACE.owner, *PLACE.statements(WhichKey.S3), last]
    assert (merged.added, merged.replaced) == ((), ("AllowAtaccamaPlatformS3Access",))


def test_answer_of_get_key_policy_becomes_the_document() -> None:
    answer = json.dumps({"Policy": json.dumps(OWNED, indent=2), "PolicyName": "default"})

    assert json.loads(merge(answer).text)["Statement"] == [PLACE.owner, *PLACE.statements(WhichKey.RDS)]


@pytest.mark.parametrize(
    "statements",
    [
        PLACE.statements(WhichKey.S3),  # nobody but the platform
        [{**PLACE.owner, "Action": "kms:Decrypt"}],
        [{**PLACE.owner, "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}],
        [PLACE.owner, {**PLACE.owner, "Sid": "No", "Effect": "Deny"}],
        [{**PLACE.owner, "Sid": "AllowAtaccamaPlatformS3Access"}],  # it would be replaced by ours
    ],
)
def test_result_that_locks_the_owner_out_is_refused(statements: list[Any]) -> None:
    with pytest.raises(PolicyMergeError, match="nobody in the key's own account") as caught:
        merge(json.dumps({"Version": "2012-10-17", "Statement": statements}), WhichKey.S3)
    assert caught.value.code == "policy.LockedOut"


def test_control_under_a_condition_is_control() -> None:
    owner = {**PLACE.owner, "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}

    assert merge(json.dumps({**OWNED, "Statement": [owner]})).changed


def test_sid_of_ours_that_is_there_twice_is_refused() -> None:
    ours = PLACE.statements(WhichKey.S3)
    with pytest.raises(PolicyMergeError, match="leave one"):
        merge(json.dumps({**OWNED, "Statement": [PLACE.owner, *ours, *ours]}), WhichKey.S3)


def test_policy_that_would_be_too_large_is_refused() -> None:
    long = {**PLACE.owner, "Sid": "Long", "Principal": {"AWS": ["arn:aws:iam::444455556666:role/" + "x" * 64] * 345}}
    with pytest.raises(PolicyMergeError, match="32768"):
        merge(json.dumps({**OWNED, "Statement": [PLACE.owner, long]}))


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(PolicyDocumentError):
        merge("{}")


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)


@given(
    sids=st.lists(_TEXT, max_size=4),
    indent=st.sampled_from([None, 0, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
    which=st.sampled_from(WhichKey),
)
def test_any_policy_keeps_what_it_had(sids: list[str], indent: Any, ascii_only: bool, which: WhichKey) -> None:
    others = [{**PLACE.owner, "Sid": sid} for sid in sids]
    policy = {"Id": ']}"[{', "Statement": [PLACE.owner, *others], "Version": "2012-10-17"}
    text = json.dumps(policy, indent=indent, ensure_ascii=ascii_only)

    merged = merge(text, which)

    assert json.loads(merged.text) == {**policy, "Statement": [PLACE.owner, *others, *PLACE.statements(which)]}
    assert merge(merged.text, which).text == merged.text
