"""The statuses that RDS reports for a cluster or an instance, grouped by what they mean."""

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
"""Statuses of a cluster that lead to `available` by themselves; any other one is an error at once.

Sources: Aurora user guide, "DB cluster status"; `rebooting` from what Terraform's AWS provider waits for; the
`configuring-…` ones are documented for instances, and would lead on for a cluster just as well.
"""

INSTANCE_PENDING: Final = CLUSTER_PENDING | {
    "configuring-log-exports",
    "moving-to-vpc",
    "storage-config-upgrade",
    "storage-initialization",
}
"""The same for an instance. Source: Aurora user guide, "DB instance status"."""

KEY_LOST: Final = frozenset({"inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable"})
"""Statuses that say: the key cannot be used any more. Source: "Encrypting Amazon Aurora resources"."""
