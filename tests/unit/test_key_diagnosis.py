"""The diagnosis names what is wrong with two keys, most likely cause first, and says what it was not shown."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from byok.domain.arns import WhichKey
from byok.domain.findings import Severity
from byok.domain.key_diagnosis import FORMAT, Collection, CollectionError, diagnose
from byok.domain.vendor import VendorProfile
from tests.catalogue import BROKEN, VENDOR, Broken, Place

PLACE = Place("arn:aws:iam::111122223333:role/AtaccamaPlatform", "eu-central-1", "444455556666")
KEYS = {
    WhichKey.S3: "arn:aws:kms:eu-central-1:444455556666:key/11111111-1111-4111-8111-111111111111",
    WhichKey.RDS: "arn:aws:kms:eu-central-1:444455556666:key/22222222-2222-4222-8222-222222222222",
}
Facts = dict[str, Any]


def right(which: WhichKey) -> Facts:
    policy = {"Version": "2012-10-17", "Statement": [PLACE.owner, *PLACE.statements(which)]}
    metadata = {
        "Arn": KEYS[which],
        "KeyState": "Enabled",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "KeyUsage": "ENCRYPT_DECRYPT",
    }
    return {
        "arn": KEYS[which],
        "describe_key": {"KeyMetadata": metadata | {"KeyManager": "CUSTOMER"}},
        "key_policy": {"Policy": json.dumps(policy), "PolicyName": "default"},
        "rotation": {"KeyRotationEnabled": True},
        "grants": {"Grants": []},
        "aliases": {"Aliases": []},
        "tags": {"Tags": []},
    }


def collection(**keys: Facts) -> Collection:
    facts = {"format": FORMAT, "platform_role_arn": PLACE.role, "region": PLACE.region}
    keys = {which.value: keys.get(which.value, right(which)) for which in WhichKey}
    return Collection.read(json.dumps({**facts, **keys}))


def metadata(**values: Any) -> Callable[[Facts], Facts]:
    def change(facts: Facts) -> Facts:
        facts["describe_key"]["KeyMetadata"] |= values
        return facts

    return change


def answer(command: str, **values: Any) -> Callable[[Facts], Facts]:
    return lambda facts: facts | {command: values}


def arn(text: str) -> Callable[[Facts], Facts]:
    return lambda facts: facts | {"arn": text}


BROKEN_KEYS = {
    "disabled": (metadata(KeyState="Disabled"), "key.Disabled"),
    "pending deletion": (metadata(KeyState="PendingDeletion", DeletionDate="2026-12-24"), "key.PendingDeletion"),
    "replica pending deletion": (metadata(KeyState="PendingReplicaDeletion"), "key.PendingDeletion"),
    "pending import": (metadata(KeyState="PendingImport"), "key.PendingImport"),
    "unavailable": (metadata(KeyState="Unavailable"), "key.NotEnabled"),
    "being made": (metadata(KeyState="Creating"), "key.NotEnabled"),
    "RSA": (metadata(KeySpec="RSA_2048"), "key.WrongKind"),
    "for signing": (metadata(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"), "key.WrongKind"),
    "HMAC": (metadata(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"), "key.WrongKind"),
    "AWS's own": (metadata(KeyManager="AWS", Description="Default key for S3"), "key.ManagedByAws"),
    "not there": (
        answer("describe_key", error="An error occurred (NotFoundException) when calling the DescribeKey operation"),
        "key.NotFound",
    ),
    "alias": (arn("arn:aws:kms:eu-central-1:444455556666:alias/mine"), "arn.AliasNotAllowed"),
    "name of an alias": (arn("alias/mine"), "arn.AliasNotAllowed"),
    "key id": (arn("11111111-1111-4111-8111-111111111119"), "arn.NotAnArn"),
    "bucket": (arn("arn:aws:s3:::mine"), "arn.NotAKmsKey"),
    "other Region": (
        arn("arn:aws:kms:eu-west-1:444455556666:key/11111111-1111-4111-8111-111111111119"),
        "arn.OtherRegion",
    ),
    "replica of another Region": (
        arn("arn:aws:kms:eu-west-1:444455556666:key/mrk-11111111111141118111111111111119"),
        "arn.ReplicaOfOtherRegion",
    ),
    "other partition": (
        arn("arn:aws-cn:kms:cn-north-1:444455556666:key/11111111-1111-4111-8111-111111111119"),
        "arn.OtherPartition",
    ),
    "the platform's account": (
        arn("arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-4111-8111-111111111119"),
        "arn.PlatformAccount",
    ),
    "malformed policy": (answer("key_policy", Policy="{}"), "policy.NoStatement"),
}


def test_nothing_is_said_of_two_right_keys() -> None:
    assert diagnose(collection(), VENDOR) == ()


@pytest.mark.parametrize("which", WhichKey)
@pytest.mark.parametrize("name", BROKEN_KEYS)
def test_broken_key_is_named_first(name: str, which: WhichKey) -> None:
    change, code = BROKEN_KEYS[name]

    first = diagnose(collection(**{which.value: change(right(which))}), VENDOR)[0]

    assert (first.code, first.key, first.severity) == (code, which, Severity.STOPS)
    assert first.message
    assert first.remedy


@pytest.mark.parametrize("case", [case for case in BROKEN if case.first], ids=lambda case: case.name)
def test_broken_policy_is_named_as_by_the_check(case: Broken) -> None:
    facts = right(case.which) | {"key_policy": {"Policy": json.dumps(case.policy(PLACE))}}

    first = diagnose(collection(**{case.which.value: facts}), VENDOR)[0]

    assert (first.code, first.key) == (case.first, case.which)


def test_same_key_twice_and_keys_of_two_accounts_are_found() -> None:
    twice = diagnose(collection(rds=right(WhichKey.RDS) | {"arn": KEYS[WhichKey.S3]}), VENDOR)
    apart = diagnose(
        collection(rds=right(WhichKey.RDS) | {"arn": KEYS[WhichKey.RDS].replace("444455556666", "777788889999")}),
        VENDOR,
    )

    assert twice[0].code == "arn.SameKeyTwice"  # D7
    assert apart[0].code == "arn.KeysOfTwoAccounts"  # D8


def test_exchanged_arns_are_told_as_what_they_are() -> None:
    exchanged = {
        which.value: right(other) for which, other in ((WhichKey.S3, WhichKey.RDS), (WhichKey.RDS, WhichKey.S3))
    }

    found = diagnose(collection(**exchanged), VENDOR)

    assert [one.code for one in found] == ["arn.Exchanged"]
    assert KEYS[WhichKey.S3] in found[0].remedy


def test_disabled_key_with_a_broken_policy_gives_both_the_key_first() -> None:
    facts = metadata(KeyState="Disabled")(right(WhichKey.S3)) | {
        "key_policy": {"Policy": json.dumps({"Statement": [PLACE.owner]})}
    }
    assert [one.code for one in diagnose(collection(s3=facts), VENDOR)] == ["key.Disabled", "policy.StatementMissing"]


def test_what_could_not_be_read_is_said_and_nothing_concluded() -> None:
    denied = {"error": "An error occurred (AccessDeniedException) when calling the operation"}
    facts = right(WhichKey.S3) | {"describe_key": denied, "key_policy": denied}

    (found,) = diagnose(collection(s3=facts), VENDOR)

    assert (found.code, found.severity) == ("key.NotReadable", Severity.UNKNOWN)
    policy_only = diagnose(collection(s3=right(WhichKey.S3) | {"key_policy": denied}), VENDOR)
    assert [one.code for one in policy_only] == ["key.PolicyNotReadable"]


def test_what_does_no_harm_is_a_note() -> None:
    pattern = VENDOR.alias(WhichKey.S3, "acme")
    facts = right(WhichKey.S3) | {
        "rotation": {"KeyRotationEnabled": False},
        "aliases": {"Aliases": [{"AliasName": pattern}, {"AliasName": "alias/mine"}]},
        "tags": {"Tags": [{"TagKey": "aatn", "TagValue": "globex"}]},
    }
    found = diagnose(collection(s3=metadata(ValidTo="2027-01-01")(facts)), VENDOR)

    assert [one.code for one in found] == ["key.NoRotation", "key.MaterialExpires", "key.TenantNamesDiffer"]
    assert {one.severity for one in found} == {Severity.NOTE}
    assert "acme" in found[2].message
    assert "globex" in found[2].message


def test_names_are_the_vendors() -> None:
    found = diagnose(collection(), VendorProfile(name="Globex"))
    assert [one for one in found if one.paste] == []  # the right ones, under other Sids
    empty = right(WhichKey.S3) | {"key_policy": {"Policy": json.dumps({"Statement": [PLACE.owner]})}}
    missing = diagnose(collection(s3=empty), VendorProfile(name="Globex"))[0]
    assert "AllowGlobexPlatformS3Access" in missing.message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not what the script prints"),
        ("[]", "not what the script prints"),
        ("{}", "format"),
        (json.dumps({"format": FORMAT, "platform_role_arn": "x", "region": "y", "s3": {}, "rds": {}}), "s3.arn"),
        (
            json.dumps(
                {"format": FORMAT, "platform_role_arn": "x", "region": "y", "s3": {"arn": ""}, "rds": {"arn": ""}}
            ),
            "IAM role",
        ),
    ],
)
def test_file_of_another_kind_is_refused(text: str, words: str) -> None:
    with pytest.raises(CollectionError, match=words):
        Collection.read(text)


def test_file_of_another_version_is_refused() -> None:
    old = collection().model_dump() | {"format": "byok-keys/0"}
    with pytest.raises(CollectionError, match="another version"):
        Collection.read(json.dumps(old))
