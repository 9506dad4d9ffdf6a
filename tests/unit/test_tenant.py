"""Tenant names: valid names, the maximum length that the alias patterns allow, and the labels on the keys."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from byok.domain.arns import KeyPurpose
from byok.domain.phases import AliasOutcome
from byok.domain.tenant import (
    EXTERNAL_ID_PATTERN,
    InvalidTenantNameError,
    TagDifference,
    TenantLabels,
    decide_alias_state,
    is_alias_of_another_tenant,
    require_valid_tenant_name,
)
from byok.domain.vendor import VendorProfile
from byok.onboarding.tenant_role import render_tenant_role_template
from localaws.cloudformation.template import EvaluationScope, parse_template

PLATFORM_ROLE = "arn:aws:iam::111122223333:role/vendor/Platform"
VENDOR = VendorProfile()
GLOBEX = VendorProfile(name="Globex", s3_alias="alias/{tenant}", rds_alias="alias/db-{tenant}")


def test_labels_match_the_reference_vendor() -> None:
    s3, rds = (TenantLabels.for_key(which, "acme", VENDOR) for which in KeyPurpose)

    assert s3.alias == "alias/ataccama-objectstorage-byok-encryption-key-alias-for-acme"  # contract 103
    assert rds.alias == "alias/ataccama-database-byok-db-key-alias-acme"  # contract 104
    assert s3.tags == rds.tags == {"ataccama:automation:TenantName": "acme", "aatn": "acme"}  # contract 101, 102


def test_assigned_name_follows_the_vendor_pattern() -> None:
    assert VENDOR.tenant_name_for("acme-prod") == "acme-prod"  # contract 131
    assert VendorProfile(tenant_pattern="saas/{environment_id}-eu").tenant_name_for("acme") == "saas/acme-eu"


@pytest.mark.parametrize("pattern", ["", "acme", "{environment_id}{environment_id}", "a b {environment_id}"])
def test_invalid_pattern_of_tenant_names_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="exactly once"):
        VendorProfile(tenant_pattern=pattern)


def test_limit_follows_from_the_longer_alias_pattern() -> None:
    assert VENDOR.tenant_name_max_length == 197  # contract 105
    assert GLOBEX.tenant_name_max_length == 256 - len("alias/db-")
    assert len(TenantLabels.for_key(KeyPurpose.S3, "x" * 197, VENDOR).alias) == 256


@pytest.mark.parametrize(
    ("tenant", "words"),
    [
        ("", "empty"),
        ("x" * 198, "room for 197"),
        ("acme corp", "a space"),
        ("açme", "ç"),
        ("acme\n", r"'\\n'"),
        ("acme$(id)", r"\$ \( \)"),
        ("acme.eu", r" \.:"),
    ],
)
def test_illegal_name_is_refused_with_the_reason(tenant: str, words: str) -> None:
    with pytest.raises(InvalidTenantNameError, match=words):
        require_valid_tenant_name(tenant, VENDOR)


@given(st.from_regex(r"[A-Za-z0-9/_-]{1,197}", fullmatch=True))
def test_every_legal_name_gives_valid_kms_aliases(tenant: str) -> None:
    for which in KeyPurpose:
        alias = TenantLabels.for_key(which, tenant, VENDOR).alias
        assert len(alias) <= 256
        assert alias.removeprefix("alias/").replace("/", "").replace("-", "").replace("_", "").isalnum()


def test_alias_of_another_tenant_is_recognised_by_its_pattern() -> None:
    other = VENDOR.alias_for_tenant(KeyPurpose.RDS, "globex")
    assert is_alias_of_another_tenant(other, KeyPurpose.RDS, "acme", VENDOR)
    assert not is_alias_of_another_tenant(other, KeyPurpose.RDS, "globex", VENDOR)
    assert not is_alias_of_another_tenant(other, KeyPurpose.S3, "acme", VENDOR)
    assert not is_alias_of_another_tenant("alias/ataccama-database-byok-db-key-alias-", KeyPurpose.RDS, "acme", VENDOR)


TAGS = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(TAGS, TAGS)
def test_only_differences_are_written(present: dict[str, str], wanted: dict[str, str]) -> None:
    difference = TagDifference.between(present, wanted)

    after = present | difference.missing
    assert {name: after[name] for name in wanted} == wanted
    assert set(after) == set(present) | set(wanted)
    assert difference.replaced == {name: value for name, value in present.items() if after[name] != value}
    assert TagDifference.between(after, wanted) == TagDifference({}, {})


@pytest.mark.parametrize(
    ("points_at", "repoint", "outcome"),
    [
        ("mine", False, AliasOutcome.IN_PLACE),
        ("mine", True, AliasOutcome.IN_PLACE),
        ("the-other", False, AliasOutcome.CONFLICT),
        ("the-other", True, AliasOutcome.REPOINTED),
        ("a-third", False, AliasOutcome.CONFLICT),
        ("a-third", True, AliasOutcome.CONFLICT),
    ],
)
def test_alias_is_repointed_only_from_the_other_key_and_on_request(
    points_at: str, repoint: bool, outcome: AliasOutcome
) -> None:
    assert decide_alias_state(points_at, "mine", {"mine", "the-other"}, repoint=repoint) is outcome


def test_vendors_names_follow_from_its_profile() -> None:
    vendor = VendorProfile(name="Globex")

    assert vendor.role_parameter_name == "GlobexPlatformRoleArn"
    assert vendor.payload_output_name == "GlobexOnboardingPayload"
    assert vendor.tenant_tags == ("globex:automation:TenantName", "gatn")
    assert vendor.alias_for_tenant(KeyPurpose.S3, "t") == "alias/globex-objectstorage-byok-encryption-key-alias-for-t"


@pytest.mark.parametrize(
    "profile",
    [
        {"s3_alias": "alias/no-tenant"},
        {"s3_alias": "{tenant}"},
        {"s3_alias": "alias/aws/{tenant}"},
        {"s3_alias": "alias/{tenant}-{tenant}"},
        {"s3_alias": "alias/a-{tenant}", "rds_alias": "alias/a-{tenant}"},
        {"s3_alias": f"alias/{'x' * 250}{{tenant}}"},
        {"tenant_tags": ()},
        {"tenant_tags": ("aws:name",)},
        {"tenant_tags": ("name", "name")},
        {"tenant_tags": ("a?b",)},
    ],
)
def test_vendor_profile_that_aws_would_refuse_is_refused(profile: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        VendorProfile.model_validate(profile)


def test_tenant_role_can_only_put_the_name_on_the_two_keys() -> None:
    template = parse_template(render_tenant_role_template(VendorProfile()))
    s3_key, rds_key = (f"arn:aws:kms:eu-central-1:444455556666:key/{number}" for number in "12")
    parameters = {"AtaccamaPlatformRoleArn": PLATFORM_ROLE, "ExternalId": "byok-1"}
    parameters |= {"S3KmsKeyArn": s3_key, "RdsKmsKeyArn": rds_key}
    role = EvaluationScope(template, parameters, {}).evaluate(template.section("Resources")["TenantRole"]["Properties"])

    assert role["AssumeRolePolicyDocument"] == {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "PlatformWithTheExternalId",
                "Effect": "Allow",
                "Principal": {"AWS": PLATFORM_ROLE},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": "byok-1"}},
            }
        ],
    }
    (policy,) = role["Policies"]
    alias = "arn:aws:kms:eu-central-1:444455556666:alias/ataccama"
    aliases = [f"{alias}-objectstorage-byok-encryption-key-alias-for-*", f"{alias}-database-byok-db-key-alias-*"]
    tags = ["ataccama:automation:TenantName", "aatn"]
    allowed = [
        (["kms:CreateAlias", "kms:UpdateAlias"], [s3_key, rds_key, *aliases], None),
        ("kms:ListResourceTags", [s3_key, rds_key], None),
        (
            "kms:TagResource",
            [s3_key, rds_key],
            {"ForAllValues:StringEquals": {"aws:TagKeys": tags}, "Null": {"aws:TagKeys": "false"}},
        ),
        ("kms:ListAliases", "*", None),
    ]  # contract D11
    assert policy["PolicyDocument"]["Version"] == "2012-10-17"
    assert [
        (one["Effect"], one["Action"], one["Resource"], one.get("Condition"))
        for one in policy["PolicyDocument"]["Statement"]
    ] == [("Allow", *expected) for expected in allowed]
    assert template.section("Outputs")["TenantRoleArn"]["Value"] == {"Fn::GetAtt": ["TenantRole", "Arn"]}


def test_tenant_role_template_refuses_values_that_are_no_keys_and_no_external_id() -> None:
    parameters = parse_template(render_tenant_role_template(VendorProfile())).section("Parameters")

    for name in ("S3KmsKeyArn", "RdsKmsKeyArn"):
        pattern = re.compile(parameters[name]["AllowedPattern"])
        assert pattern.search("arn:aws:kms:eu-central-1:444455556666:key/1234abcd-12ab-34cd-56ef-1234567890ab")
        assert not pattern.search("arn:aws:kms:eu-central-1:444455556666:alias/payments")
    assert parameters["ExternalId"]["AllowedPattern"] == EXTERNAL_ID_PATTERN
