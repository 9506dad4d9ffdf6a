"""The words for where an environment, a cluster or an instance is."""

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """Where an environment is. The value is what users see."""

    VALIDATING_KEYS = "VALIDATING_KEYS"
    CREATING_CLUSTER = "CREATING_CLUSTER"
    CREATING_STORAGE = "CREATING_STORAGE"
    AWAITING_DATABASE = "AWAITING_DATABASE"
    VERIFYING = "VERIFYING"
    RECONCILING_TENANT = "RECONCILING_TENANT"
    READY = "READY"
    ROLLING_BACK = "ROLLING_BACK"
    DELETING = "DELETING"
    DELETED = "DELETED"
    STOPPED = "STOPPED"

    @property
    def final(self) -> bool:
        """Whether nothing follows without somebody's doing."""
        return self in (Phase.READY, Phase.DELETED, Phase.STOPPED)


class OnFailure(StrEnum):
    """What becomes of the resources when an environment stops (D9)."""

    KEEP = "keep"
    ROLLBACK = "rollback"


class RequestKind(StrEnum):
    """What somebody asked for, and asks for again once a problem is solved. The value stands in sentences."""

    ENVIRONMENT = "the environment"
    TENANT = "the tenant's name"
    DELETION = "the deletion"


def request_kind_of(phase: Phase) -> RequestKind:
    """What is being done with an environment's own resources in a phase."""
    return RequestKind.DELETION if phase is Phase.DELETING else RequestKind.ENVIRONMENT


class AliasState(StrEnum):
    """What became of a tenant's alias on a key."""

    IN_PLACE = "in place"
    CREATED = "created"
    REPOINTED = "repointed"
    CONFLICT = "conflict"


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
