"""How the status of a cluster and its instances changes over time, computed from a clock and never by a thread.

A record keeps the last order given (create, start, stop, delete) and when it was given; the status is derived when
someone looks. So a restart of the process loses nothing, and a test shortens the time instead of sleeping.

Statuses are those of the page "Viewing DB cluster status" of the Aurora user guide.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Final


class DatabaseStatus(StrEnum):
    """The statuses of clusters and instances that are modelled, as AWS spells them."""

    CREATING = "creating"
    AVAILABLE = "available"
    STOPPING = "stopping"
    STOPPED = "stopped"
    STARTING = "starting"
    DELETING = "deleting"
    KEY_LOST = "inaccessible-encryption-credentials-recoverable"
    KEY_LOST_FOR_GOOD = "inaccessible-encryption-credentials"


KEY_LOST_STATUSES: Final = frozenset({DatabaseStatus.KEY_LOST, DatabaseStatus.KEY_LOST_FOR_GOOD})

# "Encrypting Amazon Aurora resources": the recoverable status lasts seven days.
KEY_RECOVERY_PERIOD: Final = timedelta(days=7)

# What an order leads to once its time is over. A deleted resource has no status: it is gone.
_OUTCOME: Final[dict[DatabaseStatus, DatabaseStatus | None]] = {
    DatabaseStatus.CREATING: DatabaseStatus.AVAILABLE,
    DatabaseStatus.STARTING: DatabaseStatus.AVAILABLE,
    DatabaseStatus.STOPPING: DatabaseStatus.STOPPED,
    DatabaseStatus.DELETING: None,
}


@dataclass
class Lifecycle:
    """The last order a resource was given, and what became of its key since.

    Attributes:
        order: The transitional status the order put the resource in.
        until: When (seconds since the epoch) the order is done.
        key_lost_at: When the key was first seen to be unusable, or None while it is usable.
    """

    order: DatabaseStatus
    until: float
    key_lost_at: float | None = None

    def transition_to(self, order: DatabaseStatus, now: float, seconds: float) -> None:
        """Start `order`, which takes `seconds`."""
        self.order = order
        self.until = now + seconds

    def status(self, now: float) -> DatabaseStatus | None:
        """The status at `now`; None when the resource is gone."""
        if self.order is DatabaseStatus.DELETING:
            return DatabaseStatus.DELETING if now < self.until else None
        if self.key_lost_at is not None:
            for_good = now >= self.key_lost_at + KEY_RECOVERY_PERIOD.total_seconds()
            return DatabaseStatus.KEY_LOST_FOR_GOOD if for_good else DatabaseStatus.KEY_LOST
        if now < self.until:
            return self.order
        return _OUTCOME[self.order]

    def mark_key_lost(self, now: float) -> None:
        """Note that the key is unusable. Only `start_recovery` undoes it: AWS does not start such a cluster by itself.

        A stopped cluster does not use its key, and one being deleted needs it no more.
        """
        if self.key_lost_at is None and self.status(now) not in (None, DatabaseStatus.STOPPED, DatabaseStatus.DELETING):
            self.key_lost_at = now

    def start_recovery(self, now: float, seconds: float) -> None:
        """StartDBCluster with a usable key: the way out of `inaccessible-encryption-credentials-recoverable`."""
        self.key_lost_at = None
        self.transition_to(DatabaseStatus.STARTING, now, seconds)
