"""Computes the status of clusters and instances from the current time, so that no background thread is needed.

A record keeps the last transition (create, start, stop, delete) and the time when the transition is complete. Every
read computes the status from the record. Therefore, no status is lost when the process restarts, and a test can shorten
a transition instead of waiting for it.

Source of the statuses: Aurora user guide, "Viewing DB cluster status".
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class DatabaseStatus(StrEnum):
    """The modelled statuses of clusters and instances, in AWS's spelling."""

    CREATING = "creating"
    AVAILABLE = "available"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    DELETING = "deleting"
    KEY_LOST = "inaccessible-encryption-credentials-recoverable"
    KEY_LOST_FOR_GOOD = "inaccessible-encryption-credentials"


KEY_LOST_STATUSES: Final = frozenset({DatabaseStatus.KEY_LOST, DatabaseStatus.KEY_LOST_FOR_GOOD})

# How long a cluster can be recovered after it has lost access to its key (Aurora user guide, "Encrypting Amazon Aurora
# resources").
KEY_RECOVERY_PERIOD: Final = timedelta(days=7)

# The status after a transition. A deleted resource has no status.
_OUTCOME: Final[dict[DatabaseStatus, DatabaseStatus | None]] = {
    DatabaseStatus.CREATING: DatabaseStatus.AVAILABLE,
    DatabaseStatus.STARTING: DatabaseStatus.AVAILABLE,
    DatabaseStatus.STOPPING: DatabaseStatus.STOPPED,
    DatabaseStatus.DELETING: None,
}


@dataclass
class Lifecycle:
    """The last transition of a resource, and when it lost access to its key.

    Attributes:
        order: The status during the transition.
        until: The time when the transition is complete, in seconds since the epoch.
        key_lost_at: The time when a check first found the key unusable, or None if the key has been usable at every
            check since the last recovery.
    """

    order: DatabaseStatus
    until: float
    key_lost_at: float | None = None

    def transition_to(self, order: DatabaseStatus, now: float, seconds: float) -> None:
        """Start a transition that takes `seconds` seconds. Until the transition is complete, the status is `order`."""
        self.order = order
        self.until = now + seconds

    def status(self, now: float) -> DatabaseStatus | None:
        """Return the status at `now`, or None if the resource is gone."""
        if self.order is DatabaseStatus.DELETING:
            return DatabaseStatus.DELETING if now < self.until else None
        if self.key_lost_at is not None:
            for_good = now >= self.key_lost_at + KEY_RECOVERY_PERIOD.total_seconds()
            return DatabaseStatus.KEY_LOST_FOR_GOOD if for_good else DatabaseStatus.KEY_LOST
        if now < self.until:
            return self.order
        return _OUTCOME[self.order]

    def mark_key_lost(self, now: float) -> None:
        """Mark the key as unusable.

        Only `start_recovery` clears the mark, because AWS never restarts the cluster on its own.

        If the cluster is stopped or is being deleted, the key is not in use and is not marked.
        """
        if self.key_lost_at is None and self.status(now) not in (None, DatabaseStatus.STOPPED, DatabaseStatus.DELETING):
            self.key_lost_at = now

    def start_recovery(self, now: float, seconds: float) -> None:
        """Start a stopped cluster, or recover it from `inaccessible-encryption-credentials-recoverable`.

        Check that the cluster's key is usable before you call this method.
        """
        self.key_lost_at = None
        self.transition_to(DatabaseStatus.STARTING, now, seconds)
