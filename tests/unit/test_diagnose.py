"""The diagnosis reports the faults of two keys, with the most likely cause first, and lists the missing facts."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.diagnosis.diagnose import are_keys_usable, diagnose_collected_keys
from byok.domain.iam.findings import Severity
from byok.domain.vendor import VendorProfile
from tests.collected_keys import (
    KEYS,
    PLACE,
    Facts,
    build_arn_replacement,
    build_collected_keys,
    build_metadata_change,
    build_response_replacement,
    valid_key_facts,
)
from tests.policy_cases import POLICY_CASES
from tests.policy_changes import Case
from tests.policy_context import VENDOR
from tests.remedy_text import text_of

BROKEN_KEYS = {
    "disabled": (build_metadata_change(KeyState="Disabled"), "key.Disabled"),
    "pending deletion": (
        build_metadata_change(KeyState="PendingDeletion", DeletionDate="2026-12-24"),
        "key.PendingDeletion",
    ),
    "replica pending deletion": (build_metadata_change(KeyState="PendingReplicaDeletion"), "key.PendingDeletion"),
    "pending import": (build_metadata_change(KeyState="PendingImport"), "key.PendingImport"),
    "unavailable": (build_metadata_change(KeyState="Unavailable"), "key.NotEnabled"),
    "creating": (build_metadata_change(KeyState="Creating"), "key.NotEnabled"),
    "RSA": (build_metadata_change(KeySpec="RSA_2048"), "key.WrongKind"),
    "for signing": (build_metadata_change(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY"), "key.WrongKind"),
    "HMAC": (build_metadata_change(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC"), "key.WrongKind"),
    "AWS managed": (build_metadata_change(KeyManager="AWS", Description="Default key for S3"), "key.ManagedByAws"),
    "nonexistent": (
        build_response_replacement(
            "describe_key", error="An error occurred (NotFoundException) when calling the DescribeKey operation"
        ),
        "key.NotFound",
    ),
    "alias": (build_arn_replacement("arn:aws:kms:eu-central-1:444455556666:alias/mine"), "arn.AliasNotAllowed"),
    "name of an alias": (build_arn_replacement("alias/mine"), "arn.AliasNotAllowed"),
    "key id": (build_arn_replacement("11111111-1111-4111-8111-111111111119"), "arn.NotAnArn"),
    "bucket": (build_arn_replacement("arn:aws:s3:::mine"), "arn.NotAKmsKey"),
    "other Region": (
        build_arn_replacement("arn:aws:kms:eu-west-1:444455556666:key/11111111-1111-4111-8111-111111111119"),
        "arn.OtherRegion",
    ),
    "replica of another Region": (
        build_arn_replacement("arn:aws:kms:eu-west-1:444455556666:key/mrk-11111111111141118111111111111119"),
        "arn.ReplicaOfOtherRegion",
    ),
    "other partition": (
        build_arn_replacement("arn:aws-cn:kms:cn-north-1:444455556666:key/11111111-1111-4111-8111-111111111119"),
        "arn.OtherPartition",
    ),
    "the platform's account": (
        build_arn_replacement("arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-4111-8111-111111111119"),
        "arn.PlatformAccount",
    ),
    "malformed policy": (build_response_replacement("key_policy", Policy="{}"), "policy.NoStatement"),
}


def test_valid_keys_have_no_findings() -> None:
    assert diagnose_collected_keys(build_collected_keys(), VENDOR) == ()


@pytest.mark.parametrize("which", KeyPurpose)
@pytest.mark.parametrize("name", BROKEN_KEYS)
def test_broken_key_is_the_first_finding(name: str, which: KeyPurpose) -> None:
    change, code = BROKEN_KEYS[name]

    first = diagnose_collected_keys(build_collected_keys(**{which.value: change(valid_key_facts(which))}), VENDOR)[0]

    assert (first.code, first.key, first.severity) == (code, which, Severity.STOPS)
    assert first.message
    assert text_of(first.remediation)


@pytest.mark.parametrize("case", [case for case in POLICY_CASES if case.first], ids=lambda case: case.name)
def test_broken_policy_has_the_same_first_finding_as_the_check(case: Case) -> None:
    facts = valid_key_facts(case.which) | {"key_policy": {"Policy": json.dumps(case.build_policy(PLACE))}}

    first = diagnose_collected_keys(build_collected_keys(**{case.which.value: facts}), VENDOR, datetime.now(UTC))[0]

    assert (first.code, first.key) == (case.first, case.which)


def test_same_key_twice_and_keys_of_two_accounts_are_found() -> None:
    twice = diagnose_collected_keys(
        build_collected_keys(rds=valid_key_facts(KeyPurpose.RDS) | {"arn": KEYS[KeyPurpose.S3]}), VENDOR
    )
    apart = diagnose_collected_keys(
        build_collected_keys(
            rds=valid_key_facts(KeyPurpose.RDS) | {"arn": KEYS[KeyPurpose.RDS].replace("444455556666", "777788889999")}
        ),
        VENDOR,
    )

    assert twice[0].code == "arn.SameKeyTwice"  # D7
    assert apart[0].code == "arn.KeysOfTwoAccounts"  # D8


def test_swapped_arns_are_detected() -> None:
    exchanged = {
        which.value: valid_key_facts(other)
        for which, other in ((KeyPurpose.S3, KeyPurpose.RDS), (KeyPurpose.RDS, KeyPurpose.S3))
    }

    found = diagnose_collected_keys(build_collected_keys(**exchanged), VENDOR)

    assert [one.code for one in found] == ["arn.Exchanged"]
    assert KEYS[KeyPurpose.S3] in text_of(found[0].remediation)


def test_disabled_key_with_a_broken_policy_reports_the_key_first() -> None:
    facts = build_metadata_change(KeyState="Disabled")(valid_key_facts(KeyPurpose.S3)) | {
        "key_policy": {"Policy": json.dumps({"Statement": [PLACE.owner_statement]})}
    }
    assert [one.code for one in diagnose_collected_keys(build_collected_keys(s3=facts), VENDOR)] == [
        "key.Disabled",
        "policy.StatementMissing",
    ]


DENIED = {"error": "An error occurred (AccessDeniedException) when calling the operation"}


def test_unreadable_facts_are_reported_without_conclusions() -> None:
    facts = valid_key_facts(KeyPurpose.S3) | {"describe_key": DENIED, "key_policy": DENIED}

    (found,) = diagnose_collected_keys(build_collected_keys(s3=facts), VENDOR)

    assert (found.code, found.severity) == ("key.NotReadable", Severity.UNKNOWN)
    assert "kms:DescribeKey" in text_of(found.remediation)
    policy_only = diagnose_collected_keys(
        build_collected_keys(s3=valid_key_facts(KeyPurpose.S3) | {"key_policy": DENIED}), VENDOR
    )
    assert [one.code for one in policy_only] == ["key.PolicyNotReadable"]
    assert are_keys_usable(policy_only) is None


@pytest.mark.parametrize("absent", [{}, None, {"KeyMetadata": {}}, {"KeyMetadata": None}])
@pytest.mark.parametrize(
    ("answer_to", "code"), [("describe_key", "key.NotReadable"), ("key_policy", "key.PolicyNotReadable")]
)
def test_keys_with_missing_facts_are_not_called_usable(absent: Any, answer_to: str, code: str) -> None:
    for facts in (valid_key_facts(KeyPurpose.S3) | {answer_to: absent}, facts_without(answer_to)):
        (found,) = diagnose_collected_keys(build_collected_keys(s3=facts), VENDOR)

        assert (found.code, found.severity) == (code, Severity.UNKNOWN)
        assert "response is missing" in found.message
        assert are_keys_usable([found]) is None


def facts_without(answer_to: str) -> Facts:
    return {name: value for name, value in valid_key_facts(KeyPurpose.S3).items() if name != answer_to}


def test_valid_keys_are_called_usable_and_a_broken_one_is_not() -> None:
    assert are_keys_usable(diagnose_collected_keys(build_collected_keys(), VENDOR)) is True
    assert (
        are_keys_usable(
            diagnose_collected_keys(
                build_collected_keys(s3=build_metadata_change(KeyState="Disabled")(valid_key_facts(KeyPurpose.S3))),
                VENDOR,
            )
        )
        is False
    )


def unreadable_key_facts(which: KeyPurpose, words: str = "denied") -> Facts:
    return valid_key_facts(which) | {
        name: {"error": words} for name in ("describe_key", "key_policy", "rotation", "aliases", "tags")
    }


def test_script_run_in_another_account_is_reported_once_with_both_accounts() -> None:
    caller = {"Account": "777788889999", "Arn": "arn:aws:iam::777788889999:user/me"}

    found = diagnose_collected_keys(
        build_collected_keys(caller, s3=unreadable_key_facts(KeyPurpose.S3), rds=unreadable_key_facts(KeyPurpose.RDS)),
        VENDOR,
    )

    assert [(one.code, one.key, one.severity) for one in found] == [("caller.OtherAccount", None, Severity.UNKNOWN)]
    assert "777788889999" in found[0].message
    assert "444455556666" in found[0].message
    assert "Run the script again in account 444455556666" in text_of(found[0].remediation)


def test_facts_visible_to_another_account_are_still_checked() -> None:
    facts = build_metadata_change(KeyState="Disabled")(valid_key_facts(KeyPurpose.S3)) | {"key_policy": DENIED}

    found = diagnose_collected_keys(build_collected_keys({"Account": "777788889999"}, s3=facts), VENDOR)

    assert [(one.code, one.key) for one in found] == [
        ("key.Disabled", KeyPurpose.S3),
        ("caller.OtherAccount", KeyPurpose.S3),
    ]
    assert diagnose_collected_keys(build_collected_keys({"Account": "777788889999"}), VENDOR) == ()


@pytest.mark.parametrize(
    "words",
    ["bash: line 31: aws: command not found", "Unable to locate credentials.", "The config profile (x) could not"],
)
def test_missing_cli_or_credentials_are_reported(words: str) -> None:
    found = diagnose_collected_keys(
        build_collected_keys(
            {"error": words},
            s3=unreadable_key_facts(KeyPurpose.S3, words),
            rds=unreadable_key_facts(KeyPurpose.RDS, words),
        ),
        VENDOR,
    )

    assert [(one.code, one.severity) for one in found] == [("caller.NotSignedIn", Severity.UNKNOWN)]
    assert words in found[0].message
    assert "CloudShell" in text_of(found[0].remediation)
    assert "kms:DescribeKey" not in text_of(found[0].remediation)


@pytest.mark.parametrize(
    "change",
    [
        build_metadata_change(KeySpec="RSA_2048", KeyState="Disabled"),
        build_metadata_change(KeyManager="AWS"),
        build_response_replacement(
            "describe_key", error="An error occurred (NotFoundException) when calling the DescribeKey operation"
        ),
        build_arn_replacement("arn:aws:kms:eu-west-1:444455556666:key/11111111-1111-4111-8111-111111111119"),
        build_arn_replacement("arn:aws:kms:eu-central-1:111122223333:key/11111111-1111-4111-8111-111111111119"),
    ],
)
def test_key_that_must_be_replaced_has_no_other_findings(change: Callable[[Facts], Facts]) -> None:
    facts = change(valid_key_facts(KeyPurpose.RDS)) | {
        "key_policy": {"Policy": json.dumps({"Statement": [PLACE.owner_statement]})},
        "rotation": {"KeyRotationEnabled": False},
    }
    assert len(diagnose_collected_keys(build_collected_keys(rds=facts), VENDOR)) == 1


def test_same_key_twice_is_reported_without_policy_findings() -> None:
    twice = diagnose_collected_keys(build_collected_keys(rds=valid_key_facts(KeyPurpose.S3)), VENDOR)
    assert [one.code for one in twice] == ["arn.SameKeyTwice"]


def test_aws_managed_key_is_not_reported_as_the_wrong_kind() -> None:
    (found,) = diagnose_collected_keys(
        build_collected_keys(s3=build_metadata_change(KeyManager="AWS")(valid_key_facts(KeyPurpose.S3))), VENDOR
    )
    assert "must be a customer managed key" in text_of(found.remediation)
    assert "is not a symmetric key" not in text_of(found.remediation)


def test_response_about_another_key_is_reported() -> None:
    (found,) = diagnose_collected_keys(
        build_collected_keys(s3=build_metadata_change(Arn=KEYS[KeyPurpose.RDS])(valid_key_facts(KeyPurpose.S3))), VENDOR
    )
    assert (found.code, found.severity) == ("key.OfAnotherArn", Severity.UNKNOWN)
    assert KEYS[KeyPurpose.RDS] in found.message


@pytest.mark.parametrize("moment", [1796172279.92, "2026-12-02T01:24:39.920000+00:00", "2026-12-02 01:24:39+01:00"])
def test_dates_are_readable_in_every_cli_format(moment: Any) -> None:
    facts = build_metadata_change(KeyState="PendingDeletion", DeletionDate=moment, ValidTo=moment)(
        valid_key_facts(KeyPurpose.S3)
    )

    deleted, expires = diagnose_collected_keys(build_collected_keys(s3=facts), VENDOR)

    assert deleted.message.endswith("it will be deleted on 2 December 2026.")
    assert expires.message.endswith("expires on 2 December 2026.")


def test_aws_messages_are_shown_on_one_line() -> None:
    words = "  An error occurred (NotFoundException) when calling:  Key does not exist "
    (found,) = diagnose_collected_keys(
        build_collected_keys(s3=valid_key_facts(KeyPurpose.S3) | {"describe_key": {"error": words}}), VENDOR
    )
    assert found.message.endswith("AWS said: An error occurred (NotFoundException) when calling: Key does not exist")


def test_tag_without_its_alias_is_a_note_with_the_expected_alias() -> None:
    facts = valid_key_facts(KeyPurpose.RDS) | {"tags": {"Tags": [{"TagKey": "aatn", "TagValue": "acme"}]}}

    (found,) = diagnose_collected_keys(build_collected_keys(rds=facts), VENDOR)

    assert (found.code, found.key, found.severity) == ("key.TagWithoutAlias", KeyPurpose.RDS, Severity.NOTE)
    assert "alias/ataccama-database-byok-db-key-alias-acme" in text_of(found.remediation)
    assert diagnose_collected_keys(build_collected_keys(rds=facts | {"aliases": DENIED}), VENDOR) == ()


def test_invalid_tenant_name_in_a_tag_reaches_no_command() -> None:
    facts = valid_key_facts(KeyPurpose.RDS) | {"tags": {"Tags": [{"TagKey": "aatn", "TagValue": "$(id)"}]}}
    assert diagnose_collected_keys(build_collected_keys(rds=facts), VENDOR) == ()


@pytest.mark.parametrize("policy", ["[" * 100_000, '{"Statement": ' + "9" * 5000 + "}"])
def test_unparsable_policy_is_a_finding(policy: str) -> None:
    (found,) = diagnose_collected_keys(
        build_collected_keys(s3=valid_key_facts(KeyPurpose.S3) | {"key_policy": {"Policy": policy}}), VENDOR
    )
    assert (found.code, found.severity) == ("policy.NotJson", Severity.STOPS)


def test_harmless_facts_are_notes() -> None:
    pattern = VENDOR.alias_for_tenant(KeyPurpose.S3, "acme")
    facts = valid_key_facts(KeyPurpose.S3) | {
        "rotation": {"KeyRotationEnabled": False},
        "aliases": {"Aliases": [{"AliasName": pattern}, {"AliasName": "alias/mine"}]},
        "tags": {"Tags": [{"TagKey": "aatn", "TagValue": "globex"}]},
    }
    found = diagnose_collected_keys(build_collected_keys(s3=build_metadata_change(ValidTo="2027-01-01")(facts)), VENDOR)

    assert [one.code for one in found] == ["key.NoRotation", "key.MaterialExpires", "key.TenantNamesDiffer"]
    assert {one.severity for one in found} == {Severity.NOTE}
    assert "acme" in found[2].message
    assert "globex" in found[2].message
    assert "acme on the S3 key" in found[2].message


def test_findings_use_the_vendors_names() -> None:
    found = diagnose_collected_keys(build_collected_keys(), VendorProfile(name="Globex"))
    # The statements in the policies differ from Globex's only in their Sids, so the customer does not need to paste
    # any statement.
    assert [one for one in found if one.paste] == []
    empty = valid_key_facts(KeyPurpose.S3) | {
        "key_policy": {"Policy": json.dumps({"Statement": [PLACE.owner_statement]})}
    }
    missing = diagnose_collected_keys(build_collected_keys(s3=empty), VendorProfile(name="Globex"))[0]
    assert "AllowGlobexPlatformS3Access" in missing.message
