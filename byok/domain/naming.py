"""Deterministic names.

An environment's resources always get the same names, so a retry finds the existing resources.
"""

import hashlib
from typing import Final

from byok.domain.vendor import VendorProfile

ENVIRONMENT_ID_PATTERN: Final = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
ENVIRONMENT_ID_MAX_LENGTH: Final = 32
"""The maximum length of an environment's id. If the id, the prefix and the purpose all have their maximum length, the
bucket name has 63 characters, which is S3's limit."""

MAX_PROOF_CLUSTERS: Final = 3
"""The maximum number of proof clusters that can exist at the same time in one account and Region. A proof cluster shows
whether an Aurora key works."""

MAX_PROOF_CLUSTERS_PER_ORGANISATION: Final = MAX_PROOF_CLUSTERS - 1
"""The maximum number of proof clusters that can exist at the same time for one organisation. The limit leaves room for
other organisations."""

_PROOF_CLUSTER: Final = "key-proof-cluster-without-instances"

BUCKET_PURPOSE_PATTERN: Final = r"^[a-z][a-z0-9]{0,11}$"


def cluster_identifier(vendor: VendorProfile, environment_id: str) -> str:
    """Return the Aurora cluster's name: at most 63 lower-case letters, digits and single hyphens (CreateDBCluster)."""
    return f"{vendor.resource_prefix}-{environment_id}"


def writer_identifier(vendor: VendorProfile, environment_id: str) -> str:
    """Return the name of the cluster's writer instance."""
    return f"{cluster_identifier(vendor, environment_id)}-writer"


def bucket_name(vendor: VendorProfile, environment_id: str, purpose: str, account: str, region: str) -> str:
    """Return the name of one of the environment's buckets.

    A bucket name must be unique across all accounts in a partition. A digest of the account, the Region and the
    environment id avoids a collision if two installations of byok each have an environment with the same id.
    """
    digest = hashlib.sha256(f"{account}/{region}/{environment_id}".encode()).hexdigest()[:8]
    return f"{vendor.resource_prefix}-{environment_id}-{purpose}-{digest}"


def probe_bucket_name(vendor: VendorProfile, account: str, region: str) -> str:
    """Return the name of the platform's bucket for key probes and key claims in an account and Region."""
    return f"{vendor.resource_prefix}-key-probes-{account}-{region}"


def proof_cluster_identifiers(vendor: VendorProfile) -> tuple[str, ...]:
    """Return the names of the proof clusters.

    The number of names limits how many proof clusters can exist at the same time, because a cluster's name must be
    unique within its account and Region. These names are longer than the name of any environment's cluster, so a proof
    cluster never has the name of an environment's cluster.
    """
    return tuple(f"{vendor.resource_prefix}-{_PROOF_CLUSTER}-{slot}" for slot in range(1, MAX_PROOF_CLUSTERS + 1))


def proof_tag_key(vendor: VendorProfile) -> str:
    """Return the key of the tag that contains the ARN of the Aurora key that a proof cluster uses."""
    return f"{vendor.tag_prefix}:key-proof"


def proof_tags(vendor: VendorProfile, key_arn: str, proof_id: str, organisation: str | None = None) -> dict[str, str]:
    """Return the tags of a proof cluster, which belongs to no environment."""
    owner = organisation_tags(vendor, organisation)
    return {proof_tag_key(vendor): key_arn, **owner, **_creation_tags(vendor, proof_id)}


def environment_tag_key(vendor: VendorProfile) -> str:
    """Return the key of the tag that contains an environment's id and decides which environment owns a resource."""
    return f"{vendor.tag_prefix}:environment-id"


def run_tag_key(vendor: VendorProfile) -> str:
    """Return the key of the tag that contains the id of the workflow run that created a resource."""
    return f"{vendor.tag_prefix}:created-by-run"


def organisation_tag_key(vendor: VendorProfile) -> str:
    """Return the key of the tag that contains the organisation that owns a resource."""
    return f"{vendor.tag_prefix}:organisation"


def organisation_tags(vendor: VendorProfile, organisation: str | None) -> dict[str, str]:
    """Return the tag that contains the organisation that owns a resource; no tag if the vendor owns the resource."""
    return {} if organisation is None else {organisation_tag_key(vendor): organisation}


def owner_tags(vendor: VendorProfile, environment_id: str, organisation: str | None) -> dict[str, str]:
    """Return the tags that decide whether a resource belongs to an environment.

    An organisation's environment owns only resources with the organisation's tag (contract 146). If the tag were not
    required, an organisation could request an environment id that the vendor uses, and would own the vendor's
    resources.
    """
    return {environment_tag_key(vendor): environment_id, **organisation_tags(vendor, organisation)}


def environment_tags(
    vendor: VendorProfile, environment_id: str, run_id: str, organisation: str | None = None
) -> dict[str, str]:
    """Return the tags for every resource that a run creates for an environment."""
    return {**owner_tags(vendor, environment_id, organisation), **_creation_tags(vendor, run_id)}


def _creation_tags(vendor: VendorProfile, run_id: str) -> dict[str, str]:
    return {run_tag_key(vendor): run_id, f"{vendor.tag_prefix}:managed-by": "byok"}
