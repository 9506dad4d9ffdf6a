"""Deterministic names: the same environment always gets the same names, so that what exists can be found again."""

import hashlib
from typing import Final

from byok.domain.vendor import VendorProfile

ENVIRONMENT_ID_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
ENVIRONMENT_ID_MAX_LENGTH: Final = 32
"""With the longest prefix and purpose a bucket name is then 63 characters, the most that S3 allows."""

BUCKET_PURPOSE_PATTERN: Final = r"^[a-z][a-z0-9]{0,11}$"


def cluster_identifier(vendor: VendorProfile, environment_id: str) -> str:
    """Name of the Aurora cluster: at most 63 lower-case letters, digits and single hyphens (RDS, CreateDBCluster)."""
    return f"{vendor.resource_prefix}-{environment_id}"


def writer_identifier(vendor: VendorProfile, environment_id: str) -> str:
    """Name of the cluster's writer instance."""
    return f"{cluster_identifier(vendor, environment_id)}-writer"


def bucket_name(vendor: VendorProfile, environment_id: str, purpose: str, account: str, region: str) -> str:
    """Name of one bucket of an environment.

    Bucket names are shared by all accounts of a partition: a digest of account and Region keeps two installations with
    an environment of the same name apart.
    """
    digest = hashlib.sha256(f"{account}/{region}/{environment_id}".encode()).hexdigest()[:8]
    return f"{vendor.resource_prefix}-{environment_id}-{purpose}-{digest}"


def probe_bucket_name(vendor: VendorProfile, account: str, region: str) -> str:
    """Name of the platform's own bucket for key probes and key claims, one per account and Region."""
    return f"{vendor.resource_prefix}-key-probes-{account}-{region}"


def environment_tag_key(vendor: VendorProfile) -> str:
    """Key of the tag that says which environment a resource belongs to; ownership is decided by it."""
    return f"{vendor.tag_prefix}:environment-id"


def run_tag_key(vendor: VendorProfile) -> str:
    """Key of the tag that says which run of the workflow made a resource: its creation record."""
    return f"{vendor.tag_prefix}:created-by-run"


def environment_tags(vendor: VendorProfile, environment_id: str, run_id: str) -> dict[str, str]:
    """The tags on everything that a run makes for an environment."""
    return {
        environment_tag_key(vendor): environment_id,
        run_tag_key(vendor): run_id,
        f"{vendor.tag_prefix}:managed-by": "byok",
    }
