"""The rows whose cells are written individually: enabling the key, deleting the key, and revoking the grant."""

from typing import Final

from byok.domain.key_owner_acts.cells import (
    ACCESS_DENIED,
    KEY_LOST,
    KMS_TIME,
    NO_RESTORES,
    NO_STARTS,
    NOT_ACCESSIBLE,
    NOT_APPLICABLE,
    NOTHING,
    SECRET_CELL,
)
from byok.domain.key_owner_acts.model import Cell, Outcome, Resource, Source

_DISABLE_AGAIN: Final = "Yes: disable the key (`DisableKey`)."
_PROVED: Final = "Nothing. `byok check` shows the key as verified."
_START: Final = "Nothing, because byok does not start stopped clusters."
_RESTORE: Final = "Nothing, because byok does not restore clusters."
_KEY_LOST_FOR_GOOD: Final = "rds.inaccessible-encryption-credentials"

ENABLED_CELLS: Final[dict[Resource, Cell]] = {
    Resource.OBJECTS: Cell(
        Outcome.WORKS_AGAIN, "Reads work again.", KMS_TIME, _DISABLE_AGAIN, _PROVED, (Source.K1, Source.K2)
    ),
    Resource.WRITES: Cell(
        Outcome.WORKS_AGAIN, "Writes work again.", KMS_TIME, _DISABLE_AGAIN, _PROVED, (Source.K1, Source.K2)
    ),
    Resource.RUNNING_CLUSTER: Cell(
        Outcome.NEEDS_START,
        "A cluster that became inaccessible stays inaccessible. The vendor must start it (`StartDBCluster`).",
        "Within 7 days after the loss. After that, the cluster can only be restored from a backup.",
        _DISABLE_AGAIN,
        f"`{KEY_LOST}`, until the vendor starts the cluster",
        (Source.A1, Source.A4),
        KEY_LOST,
    ),
    Resource.STOPPED_CLUSTER: Cell(
        Outcome.WORKS_AGAIN,
        "The vendor can start the cluster again.",
        KMS_TIME,
        _DISABLE_AGAIN,
        _START,
        (Source.A1, Source.A4),
    ),
    Resource.SNAPSHOTS: Cell(
        Outcome.WORKS_AGAIN,
        "The snapshots can be restored again.",
        KMS_TIME,
        _DISABLE_AGAIN,
        _RESTORE,
        (Source.A4, Source.A6),
    ),
    Resource.BACKUPS: Cell(
        Outcome.WORKS_AGAIN,
        "The backups can be restored again, even if the cluster itself can no longer be started.",
        KMS_TIME,
        _DISABLE_AGAIN,
        _RESTORE,
        (Source.A4, Source.A6),
    ),
    Resource.SECRET: SECRET_CELL,
}

_NEVER_AGAIN: Final = "No. The only exception is a replica of a multi-Region key whose primary key still exists."
_AT_THE_END: Final = "When the waiting period of 7 to 30 days ends. Access stopped when the deletion was scheduled."
_DENIED: Final = f"`{ACCESS_DENIED}`, after the grace period. KMS hides from other accounts whether a key exists."

DELETED_CELLS: Final[dict[Resource, Cell]] = {
    Resource.OBJECTS: Cell(
        Outcome.LOST,
        "The objects can never be decrypted again.",
        _AT_THE_END,
        _NEVER_AGAIN,
        _DENIED,
        (Source.K4, Source.O4),
        ACCESS_DENIED,
    ),
    Resource.WRITES: Cell(
        Outcome.STOPS,
        "Writes fail, because the key no longer exists.",
        _AT_THE_END,
        _NEVER_AGAIN,
        _DENIED,
        (Source.K4, Source.O4),
        ACCESS_DENIED,
    ),
    Resource.RUNNING_CLUSTER: Cell(
        Outcome.LOST,
        "The data can never be decrypted again. The cluster can no longer be started.",
        "7 days after the cluster lost access to its key.",
        _NEVER_AGAIN,
        f"`{_KEY_LOST_FOR_GOOD}`",
        (Source.K4, Source.A1, Source.A4),
        _KEY_LOST_FOR_GOOD,
    ),
    Resource.STOPPED_CLUSTER: Cell(
        Outcome.LOST,
        "The data can never be decrypted again. The vendor cannot start the cluster.",
        _AT_THE_END,
        _NEVER_AGAIN,
        NO_STARTS,
        (Source.K4, Source.A5),
        NOT_ACCESSIBLE,
    ),
    Resource.SNAPSHOTS: Cell(
        Outcome.LOST,
        "The snapshots can never be restored.",
        _AT_THE_END,
        _NEVER_AGAIN,
        NO_RESTORES,
        (Source.K4, Source.A4, Source.A6),
        NOT_ACCESSIBLE,
    ),
    Resource.BACKUPS: Cell(
        Outcome.LOST,
        "The backups can never be restored.",
        _AT_THE_END,
        _NEVER_AGAIN,
        NO_RESTORES,
        (Source.K4, Source.A4, Source.A6),
        NOT_ACCESSIBLE,
    ),
    Resource.SECRET: SECRET_CELL,
}

_NEW_GRANT: Final = "RDS creates a grant for each new cluster, so we infer that"

REVOKED_CELLS: Final[dict[Resource, Cell]] = {
    Resource.OBJECTS: Cell(
        Outcome.UNAFFECTED,
        "Reads work, because S3 uses the key with the platform role's permissions, not through a grant.",
        NOT_APPLICABLE,
        NOT_APPLICABLE,
        NOTHING,
        (Source.I1, Source.O5),
    ),
    Resource.WRITES: Cell(
        Outcome.UNAFFECTED,
        "Writes work, because S3 uses the key with the platform role's permissions, not through a grant.",
        NOT_APPLICABLE,
        NOT_APPLICABLE,
        NOTHING,
        (Source.I1, Source.O5),
    ),
    Resource.RUNNING_CLUSTER: Cell(
        Outcome.STOPS,
        "The cluster becomes inaccessible, because RDS can use the key only through the grant.",
        "KMS usually ends the grant within five minutes. The cluster becomes inaccessible when RDS next needs the key.",
        "Not directly: KMS cannot restore a revoked grant. The vendor can restore a backup as a new cluster.",
        f"`{KEY_LOST}`",
        (Source.A1, Source.K7),
        KEY_LOST,
    ),
    Resource.STOPPED_CLUSTER: Cell(
        Outcome.UNDOCUMENTED,
        "AWS does not document whether RDS creates another grant when the vendor starts the cluster. Expect the "
        "cluster to stay inaccessible, and restore a backup instead.",
        "KMS usually ends the grant within five minutes.",
        "Not directly: KMS cannot restore a revoked grant.",
        _START,
        (Source.K11, Source.A1),
        tested=False,
    ),
    Resource.SNAPSHOTS: Cell(
        Outcome.UNAFFECTED,
        f"{_NEW_GRANT} the snapshots can be restored.",
        NOT_APPLICABLE,
        NOT_APPLICABLE,
        NOTHING,
        (Source.A1, Source.A2),
    ),
    Resource.BACKUPS: Cell(
        Outcome.UNAFFECTED,
        f"{_NEW_GRANT} the backups can be restored.",
        NOT_APPLICABLE,
        NOT_APPLICABLE,
        NOTHING,
        (Source.A1, Source.A2),
    ),
    Resource.SECRET: SECRET_CELL,
}
