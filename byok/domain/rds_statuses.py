"""The statuses that RDS reports for a cluster or an instance, grouped by their meaning for byok."""

from typing import Final

AVAILABLE: Final = "available"
DELETING: Final = "deleting"

CLUSTER_PENDING: Final = frozenset(
    {
        "backing-up",
        "configuring-enhanced-monitoring",
        "configuring-iam-database-auth",
        "creating",
        "failing-over",
        "maintenance",
        "migrating",
        "modifying",
        "preparing-data-migration",
        "promoting",
        "rebooting",
        "renaming",
        "resetting-master-credentials",
        "starting",
        "storage-optimization",
        "update-iam-db-auth",
        "upgrading",
    }
)
"""Cluster statuses that change to `available` without intervention. For any other status, byok stops immediately.

The source is the Aurora user guide, "DB cluster status", with two exceptions. `rebooting` comes from the statuses that
Terraform's AWS provider waits for. The `configuring-…` statuses are documented only for instances, but byok expects
them to be transient for a cluster as well.
"""

INSTANCE_PENDING: Final = CLUSTER_PENDING | {
    "configuring-log-exports",
    "moving-to-vpc",
    "storage-config-upgrade",
    "storage-initialization",
}
"""Instance statuses that change to `available` without intervention. Source: Aurora user guide, "DB instance
status"."""

KEY_LOST_RECOVERABLE: Final = "inaccessible-encryption-credentials-recoverable"
"""The status of a cluster that has lost access to its key and is still recoverable. For seven days, StartDBCluster can
recover the cluster once the key is usable again. Source: "Encrypting Amazon Aurora resources"."""

KEY_LOST: Final = frozenset({"inaccessible-encryption-credentials", KEY_LOST_RECOVERABLE})
"""Statuses of a cluster that has lost access to its key. Source: "Encrypting Amazon Aurora resources"."""
