"""The words for where an environment, a cluster or an instance is."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where a provisioning is. The value is what users see."""

    VALIDATING_KEYS = "VALIDATING_KEYS"
    CREATING_CLUSTER = "CREATING_CLUSTER"
    CREATING_STORAGE = "CREATING_STORAGE"
    AWAITING_DATABASE = "AWAITING_DATABASE"
    VERIFYING = "VERIFYING"
    READY = "READY"
    ROLLING_BACK = "ROLLING_BACK"
    STOPPED = "STOPPED"

    @property
    def final(self) -> bool:
        """Whether nothing follows without somebody's doing."""
        return self in (Phase.READY, Phase.STOPPED)


class OnFailure(StrEnum):
    """What becomes of the resources when an environment stops (D9)."""

    KEEP = "keep"
    ROLLBACK = "rollback"


AVAILABLE: Final = "available"

CLUSTER_PENDING: Final = frozenset(
    {
        "backing-up",
        "configuring-enhanced-monitoring",
        "configuring-iam-database-auth",
        "creating",
        "maintenance",
        "migrating",
        "modifying",
        "preparing-data-migration",
        "rebooting",
        "renaming",
        "resetting-master-credentials",
        "starting",
        "storage-optimization",
        "upgrading",
    }
)
"""Statuses of a cluster that lead to `available` by themselves; any other one is an error at once.

Source: Aurora user guide, "Viewing DB cluster status".
"""

INSTANCE_PENDING: Final = CLUSTER_PENDING | {
    "configuring-log-exports",
    "moving-to-vpc",
    "storage-config-upgrade",
    "storage-initialization",
}
"""The same for an instance. Source: Aurora user guide, "Viewing DB instance status"."""

KEY_LOST: Final = frozenset({"inaccessible-encryption-credentials", "inaccessible-encryption-credentials-recoverable"})
"""Statuses that say: the key cannot be used any more. Source: "Encrypting Amazon Aurora resources"."""
