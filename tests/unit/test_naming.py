"""Resource names are deterministic, and satisfy AWS's rules for every environment, vendor and Region."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from byok.domain import naming
from byok.domain.arns import REGION_PATTERN
from byok.domain.models import ProvisionRequest
from byok.domain.vendor import VendorProfile

RESERVED_PREFIXES = ("aws", "amzn", "sthree")
PREFIXES = st.from_regex(r"[a-z][a-z0-9]{1,7}", fullmatch=True).filter(lambda prefix: prefix not in RESERVED_PREFIXES)
VENDORS = st.builds(lambda prefix: VendorProfile(resource_prefix=prefix, tag_prefix=prefix), PREFIXES)
ENVIRONMENTS = st.from_regex(naming.ENVIRONMENT_ID_PATTERN.rstrip("$"), fullmatch=True).filter(
    lambda text: len(text) <= naming.ENVIRONMENT_ID_MAX_LENGTH
)
PURPOSES = st.from_regex(naming.BUCKET_PURPOSE_PATTERN.rstrip("$"), fullmatch=True)
ACCOUNTS = st.text("0123456789", min_size=12, max_size=12)
REGIONS = st.from_regex(REGION_PATTERN.rstrip("$"), fullmatch=True)


def assert_legal_bucket_name(name: str) -> None:
    """Check that a name follows "General purpose bucket naming rules" (S3 user guide), and contains no dots."""
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", name), name
    assert not name.startswith(("xn--", "sthree-", "amzn-s3-demo-")), name
    assert not name.endswith(("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")), name


def assert_legal_rds_identifier(name: str) -> None:
    """Check a name against the rules in the RDS API reference (CreateDBCluster and CreateDBInstance)."""
    assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name), name
    assert len(name) <= 63, name


@given(VENDORS, ENVIRONMENTS, PURPOSES, ACCOUNTS, REGIONS)
def test_names_are_legal(vendor: VendorProfile, environment: str, purpose: str, account: str, region: str) -> None:
    assert_legal_rds_identifier(naming.cluster_identifier(vendor, environment))
    assert_legal_rds_identifier(naming.writer_identifier(vendor, environment))
    assert_legal_bucket_name(naming.bucket_name(vendor, environment, purpose, account, region))
    assert_legal_bucket_name(naming.probe_bucket_name(vendor, account, region))


def test_longest_names_fit() -> None:
    vendor, environment = VendorProfile(resource_prefix="p" * 8), "e" * naming.ENVIRONMENT_ID_MAX_LENGTH
    longest_region = "abcd-abcdefghij-abcdefghij-99"
    assert re.fullmatch(REGION_PATTERN, longest_region)
    assert len(naming.bucket_name(vendor, environment, "p" * 12, "1" * 12, longest_region)) == 63
    assert_legal_bucket_name(naming.probe_bucket_name(vendor, "1" * 12, longest_region))
    assert_legal_rds_identifier(naming.writer_identifier(vendor, environment))


@given(VENDORS, ENVIRONMENTS)
def test_tags_are_legal_and_name_the_environment(vendor: VendorProfile, environment: str) -> None:
    tags = naming.environment_tags(vendor, environment, "01989f0c-8d1e-7c21-a3b1-6d2e5f7a9b0c")
    assert tags[naming.environment_tag_key(vendor)] == environment
    for key, value in tags.items():
        # Both S3 and RDS allow these characters. `aws:` is reserved (AWS general reference, "Tag naming limits").
        assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{1,128}", key)
        assert not key.startswith("aws:")
        assert re.fullmatch(r"[A-Za-z0-9 _.:/=+@-]{0,256}", value)


def test_names_are_stable() -> None:
    """If a name changed, byok would no longer find the resources of existing environments."""
    vendor = VendorProfile()
    assert naming.cluster_identifier(vendor, "acme") == "byok-acme"
    assert naming.writer_identifier(vendor, "acme") == "byok-acme-writer"
    assert naming.bucket_name(vendor, "acme", "catalog", "111122223333", "eu-central-1") == "byok-acme-catalog-4bb16c2b"
    assert naming.probe_bucket_name(vendor, "111122223333", "eu-central-1") == (
        "byok-key-probes-111122223333-eu-central-1"
    )
    assert naming.environment_tags(vendor, "acme", "a-run") == {
        "byok:environment-id": "acme",
        "byok:created-by-run": "a-run",
        "byok:managed-by": "byok",
    }
    assert naming.owner_tags(vendor, "acme", "acme-corp") == {
        "byok:environment-id": "acme",
        "byok:organisation": "acme-corp",
    }


def test_as_many_clusters_as_allowed_can_prove_keys_at_the_same_time() -> None:
    names = naming.proof_cluster_identifiers(VendorProfile())
    assert len(set(names)) == len(names) == naming.MAX_PROOF_CLUSTERS == 3


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("acme", "logs", "111122223333", "eu-central-1"), ("acme", "logs", "111122223333", "eu-west-1")),
        (("acme", "logs", "111122223333", "eu-central-1"), ("acme", "logs", "999999999999", "eu-central-1")),
        (("acme-x", "logs", "111122223333", "eu-central-1"), ("acme", "xlogs", "111122223333", "eu-central-1")),
    ],
)
def test_other_regions_accounts_and_environments_have_other_buckets(
    one: tuple[str, str, str, str], other: tuple[str, str, str, str]
) -> None:
    assert naming.bucket_name(VendorProfile(), *one) != naming.bucket_name(VendorProfile(), *other)


@pytest.mark.parametrize(
    "environment_id", ["", "Acme", "1acme", "acme-", "-acme", "ac--me", "ac_me", "ac.me", "a" * 33, "acme\n", "é"]
)
def test_environment_id_with_an_illegal_resource_name_is_refused(environment_id: str) -> None:
    with pytest.raises(ValidationError, match="environment_id"):
        ProvisionRequest(environment_id=environment_id, region="eu-central-1", s3_key_arn="x", rds_key_arn="y")


@pytest.mark.parametrize(
    "profile",
    [
        {"resource_prefix": "sthree"},  # S3 reserves `sthree-`.
        # S3 also reserves `amzn-s3-demo-`, which this prefix would produce for an environment named `s3-demo-…`.
        {"resource_prefix": "amzn"},
        {"resource_prefix": "a-b"},
        {"resource_prefix": "toolongone"},
        {"tag_prefix": "aws"},  # AWS reserves `aws:`
        {"tag_prefix": "Byok"},
        {"name": "acme corp"},
        {"nmae": "Acme"},
    ],
)
def test_vendor_profile_with_illegal_names_is_refused(profile: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        VendorProfile.model_validate(profile)


def test_reference_vendor_has_its_literal_sids() -> None:
    vendor = VendorProfile()  # contract 61, 67, 70
    assert (vendor.s3_access_sid, vendor.rds_describe_key_sid, vendor.rds_grants_sid) == (
        "AllowAtaccamaPlatformS3Access",
        "AllowAtaccamaPlatformRDSDescribeKey",
        "AllowAtaccamaPlatformRDSGrants",
    )
