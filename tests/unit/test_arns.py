"""The rules for key ARNs (contract 81-84, 115-117, 124, D6-D8)."""

import contextlib
import re

import botocore.session
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from byok.domain.arns import (
    REGION_PATTERN,
    InvalidKeyArnError,
    KeyArn,
    KeyArnErrorCode,
    KeyPair,
    KeyPurpose,
    account_id_of_role,
    check_key_arns,
    parse_key_arn,
    partition_of_region,
    role_arn_of_session,
)

PLATFORM, CUSTOMER, OTHER_CUSTOMER = "111122223333", "444455556666", "777788889999"
REGION = "eu-central-1"
UUID_1, UUID_2 = "1234abcd-12ab-34cd-56ef-1234567890ab", "0987dcba-09fe-87dc-65ba-ab0987654321"
MRK = "mrk-1234abcd12ab34cd56ef1234567890ab"


def build_arn(
    key_id: str = UUID_1, *, region: str = REGION, account: str = CUSTOMER, partition: str = "aws", kind: str = "key"
) -> str:
    return f"arn:{partition}:kms:{region}:{account}:{kind}/{key_id}"


S3, RDS = build_arn(UUID_1), build_arn(UUID_2)


def list_regions() -> list[tuple[str, str]]:
    """List every Region that botocore knows, with its partition.

    Pseudo Regions such as `aws-global` are omitted, because they do not contain keys.
    """
    session = botocore.session.get_session()
    return [
        (partition, region)
        for partition in session.get_available_partitions()
        for service in ("kms", "s3", "rds", "ec2")
        for region in session.get_available_regions(service, partition)
    ]


REGIONS = sorted(set(list_regions()))


def test_botocore_knows_regions_in_every_supported_partition() -> None:
    assert len(REGIONS) > 30
    assert {"aws", "aws-cn", "aws-us-gov", "aws-eusc"} <= {partition for partition, _ in REGIONS}


@pytest.mark.parametrize(("partition", "region"), REGIONS)
def test_every_region_matches_the_pattern_and_has_its_partition(partition: str, region: str) -> None:
    assert re.fullmatch(REGION_PATTERN, region)
    assert partition_of_region(region) == partition  # contract D6


@pytest.mark.parametrize(
    "text",
    ["", "EU-central-1", "eu-central", "eu-central-0", "aws-global", "eu central-1", "eu-central-1\n", "../etc-1"],
)
def test_invalid_region_is_refused(text: str) -> None:
    assert re.fullmatch(REGION_PATTERN, text) is None


KEY_IDS = st.one_of(
    st.uuids().map(str),
    st.text("0123456789abcdef", min_size=32, max_size=32).map(lambda digits: f"mrk-{digits}"),
)
KEYS = st.builds(
    lambda place, account, key_id: KeyArn(place[0], place[1], account, key_id),
    st.sampled_from(REGIONS),
    st.text("0123456789", min_size=12, max_size=12),
    KEY_IDS,
)


@given(KEYS)
def test_key_arn_round_trips_through_text(key: KeyArn) -> None:
    assert parse_key_arn(str(key)) == key  # contract 81, 84
    assert key.is_multi_region == key.key_id.startswith("mrk-")  # contract 116


@pytest.mark.parametrize(
    ("text", "fault", "said"),
    [
        ("", KeyArnErrorCode.NOT_AN_ARN, "empty"),
        ("  \n", KeyArnErrorCode.NOT_AN_ARN, "empty"),
        (UUID_1, KeyArnErrorCode.NOT_AN_ARN, "is a key id"),
        (MRK, KeyArnErrorCode.NOT_AN_ARN, "is a key id"),
        ("alias/payments", KeyArnErrorCode.ALIAS, "silently change the key that encrypts"),
        (build_arn("payments", kind="alias"), KeyArnErrorCode.ALIAS, "silently change the key that encrypts"),
        (build_arn("aws/s3", kind="alias"), KeyArnErrorCode.ALIAS, "silently change the key that encrypts"),
        ("arn:aws:s3:::bucket", KeyArnErrorCode.NOT_A_KEY, "its service is s3"),
        ("arn:aws:iam::111122223333:role/x", KeyArnErrorCode.NOT_A_KEY, "its service is iam"),
        (build_arn(f"{UUID_1}0"), KeyArnErrorCode.MALFORMED, "not a full key ARN"),
        (build_arn(UUID_1.upper()), KeyArnErrorCode.MALFORMED, "not a full key ARN"),
        (build_arn("mrk-1234"), KeyArnErrorCode.MALFORMED, "not a full key ARN"),
        (build_arn(account="12345"), KeyArnErrorCode.MALFORMED, "not a full key ARN"),
        (build_arn(kind="grant"), KeyArnErrorCode.MALFORMED, "not a full key ARN"),
        (build_arn(region=""), KeyArnErrorCode.MALFORMED, "does not contain a valid Region"),
        (build_arn(region="frankfurt"), KeyArnErrorCode.MALFORMED, "does not contain a valid Region"),
        (f" {S3}", KeyArnErrorCode.MALFORMED, "white space"),
        (f"{S3}\n", KeyArnErrorCode.MALFORMED, "white space"),
        (f'"{S3}"', KeyArnErrorCode.MALFORMED, "is not an ARN"),
        (f"{S3},{RDS}", KeyArnErrorCode.MALFORMED, "not a full key ARN"),
        ("alias/\x1b[31m", KeyArnErrorCode.MALFORMED, r"\x1b"),
        ("arn:aws:kms", KeyArnErrorCode.MALFORMED, "is not an ARN"),
    ],
)
def test_invalid_key_arn_is_refused_with_the_reason(text: str, fault: KeyArnErrorCode, said: str) -> None:
    with pytest.raises(InvalidKeyArnError) as refusal:  # contract 81-83
        parse_key_arn(text)
    assert refusal.value.fault is fault
    assert said in str(refusal.value)


ALMOST = st.builds(
    "{}:{}:{}:{}:{}:{}".format,
    st.sampled_from(["arn", "ARN", ""]),
    st.sampled_from(["aws", "aws-cn", "aws-", "x"]),
    st.sampled_from(["kms", "s3", ""]),
    st.sampled_from([REGION, "us-gov-west-1", "", "ünder-1"]),
    st.sampled_from([CUSTOMER, PLATFORM, "", "\u0661" * 12]),
    st.one_of(st.text(), st.builds("key/{}".format, KEY_IDS), st.builds("alias/{}".format, st.text())),
)
ANYTHING = st.one_of(st.text(), ALMOST)


@given(ANYTHING, ANYTHING, st.sampled_from([place for _, place in REGIONS]))
@example("{key}", "{}{0}%s${x}", REGION)
def test_arn_rules_never_raise(s3: str, rds: str, region: str) -> None:
    for finding in check_key_arns(KeyPair(s3, rds), region, PLATFORM):
        assert finding.message.isprintable(), "pasted text is shown without its control characters"
        assert finding.arn == (s3 if finding.which is KeyPurpose.S3 else rds)


@given(ANYTHING)
def test_parsing_returns_a_key_arn_or_raises_the_arn_error(text: str) -> None:
    with contextlib.suppress(InvalidKeyArnError):
        assert str(parse_key_arn(text)) == text


def find_arn_errors(s3: str, rds: str, region: str = REGION, platform: str | None = PLATFORM) -> list[tuple[str, str]]:
    return [(item.which.value, item.fault.value) for item in check_key_arns(KeyPair(s3, rds), region, platform)]


def test_two_keys_of_one_customer_in_the_right_region_pass() -> None:
    assert find_arn_errors(S3, RDS) == []  # contract 54, D8


@pytest.mark.parametrize(("partition", "region"), [("aws-cn", "cn-north-1"), ("aws-eusc", "eusc-de-east-1")])
def test_keys_of_another_partition_pass_in_its_regions(partition: str, region: str) -> None:
    ours = {"partition": partition, "region": region}
    assert find_arn_errors(build_arn(UUID_1, **ours), build_arn(UUID_2, **ours), region) == []  # contract D6


def test_multi_region_key_in_the_environments_region_passes() -> None:
    assert find_arn_errors(build_arn(MRK), RDS) == []  # contract 116


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (build_arn("x", kind="alias"), KeyArnErrorCode.ALIAS),  # contract 82
        (UUID_1, KeyArnErrorCode.NOT_AN_ARN),  # contract 83
        ("arn:aws:s3:::bucket", KeyArnErrorCode.NOT_A_KEY),  # contract 83
        (build_arn(region="eu-west-1"), KeyArnErrorCode.OTHER_REGION),  # contract 54, 115
        (build_arn(MRK, region="eu-west-1"), KeyArnErrorCode.OTHER_REGION_REPLICA),  # contract 117
        (build_arn(partition="aws-cn", region="cn-north-1"), KeyArnErrorCode.OTHER_PARTITION),  # contract D6
        (build_arn(partition="aws-cn"), KeyArnErrorCode.OTHER_PARTITION),  # contract D6
        (build_arn(account=PLATFORM), KeyArnErrorCode.PLATFORM_ACCOUNT),  # contract 124
    ],
)
@pytest.mark.parametrize("which", KeyPurpose)
def test_invalid_arn_is_the_only_finding_and_names_its_field(
    bad: str, fault: KeyArnErrorCode, which: KeyPurpose
) -> None:
    good = build_arn(UUID_2)
    found = find_arn_errors(bad, good) if which is KeyPurpose.S3 else find_arn_errors(good, bad)
    assert found == [(which.value, fault.value)]


def test_both_keys_are_checked_together() -> None:
    assert find_arn_errors("nonsense", build_arn(region="eu-west-1")) == [  # contract 7
        ("s3", "arn.Malformed"),
        ("rds", "arn.OtherRegion"),
    ]


def test_key_that_breaks_two_rules_has_two_findings() -> None:
    assert find_arn_errors(build_arn(region="eu-west-1", account=PLATFORM), build_arn(UUID_2, account=PLATFORM)) == [
        ("s3", "arn.OtherRegion"),
        ("s3", "arn.PlatformAccount"),
        ("rds", "arn.PlatformAccount"),
    ]


def test_same_key_in_both_fields_is_refused() -> None:
    assert find_arn_errors(S3, S3) == [("rds", "arn.SameKeyTwice")]  # contract 53, D7


def test_two_replicas_of_one_key_count_as_one_key() -> None:
    assert find_arn_errors(build_arn(MRK), build_arn(MRK, region="eu-west-1")) == [  # contract D7, 117
        ("rds", "arn.ReplicaOfOtherRegion"),
        ("rds", "arn.SameKeyTwice"),
    ]


def test_keys_of_two_customers_are_refused() -> None:
    assert find_arn_errors(S3, build_arn(UUID_2, account=OTHER_CUSTOMER)) == [
        ("rds", "arn.KeysOfTwoAccounts")
    ]  # contract D8


def test_without_a_platform_account_its_keys_are_not_detected() -> None:
    assert (
        find_arn_errors(build_arn(UUID_1, account=PLATFORM), build_arn(UUID_2, account=PLATFORM), platform=None) == []
    )


@pytest.mark.parametrize(
    "role",
    [
        f"arn:aws:iam::{PLATFORM}:role/platform",
        f"arn:aws-us-gov:iam::{PLATFORM}:role/a/long/path/Name+=,.@-_1",
        f"arn:aws-eusc:iam::{PLATFORM}:role/{'n' * 64}",
    ],
)
def test_platform_account_comes_from_its_role(role: str) -> None:
    assert account_id_of_role(role) == PLATFORM  # contract 37, D3


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"arn:aws:iam::{PLATFORM}:user/alice",
        f"arn:aws:iam::{PLATFORM}:role/",
        f"arn:aws:iam::{PLATFORM}:role/path/",
        f"arn:aws:iam::{PLATFORM}:role/{'n' * 65}",
        f"arn:aws:iam::{PLATFORM}:role/röle",
        f"arn:aws:iam::{PLATFORM}:role/x\n",
        "arn:aws:iam::1111:role/x",
        f"arn:aws:sts::{PLATFORM}:assumed-role/x/y",
        "*",
    ],
)
def test_invalid_role_arn_has_no_account(text: str) -> None:
    with pytest.raises(ValueError, match="not the ARN of an IAM role"):
        account_id_of_role(text)


def test_session_arn_yields_its_role() -> None:
    assert role_arn_of_session(f"arn:aws-cn:sts::{PLATFORM}:assumed-role/platform/i-0abc") == (
        f"arn:aws-cn:iam::{PLATFORM}:role/platform"
    )


@pytest.mark.parametrize("caller", [f"arn:aws:iam::{PLATFORM}:root", f"arn:aws:iam::{PLATFORM}:user/x", ""])
def test_other_callers_have_no_role(caller: str) -> None:
    assert role_arn_of_session(caller) is None


def test_field_labels_match_the_guide() -> None:
    assert [which.field_label for which in KeyPurpose] == ["S3 key ARN", "RDS key ARN"]  # contract 28
