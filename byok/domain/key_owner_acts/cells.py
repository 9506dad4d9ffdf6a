"""Builds the cells for an action that makes a key unusable, denies the platform role's calls, or has no effect."""

from typing import Final

from byok.domain.key_owner_acts.model import Cell, Outcome, Resource, Source

DISABLED: Final = "s3.KMS.DisabledException"
INVALID_STATE: Final = "s3.KMS.KMSInvalidStateException"
ACCESS_DENIED: Final = "s3.AccessDenied"
NOT_ACCESSIBLE: Final = "rds.KMSKeyNotAccessibleFault"
KEY_LOST: Final = "rds.inaccessible-encryption-credentials-recoverable"

S3_TIME: Final = "Within seconds or minutes, or when a cached S3 Bucket Key expires."
CLUSTER_TIME: Final = "Immediately, or when RDS next needs the key."
KMS_TIME: Final = "Within seconds or minutes."
NOT_APPLICABLE: Final = "-"
NOTHING: Final = "Nothing."
_NO_CHANGE: Final = "Until you enable the key."
NO_STARTS: Final = "Nothing, because byok does not start stopped clusters. RDS returns `KMSKeyNotAccessibleFault`."
NO_RESTORES: Final = "Nothing, because byok does not restore clusters. RDS returns `KMSKeyNotAccessibleFault`."

SECRET_CELL: Final = Cell(
    Outcome.UNAFFECTED,
    "byok never encrypts this password with your key. By default, no such password exists. If RDS manages such "
    "a password, one of the platform's keys encrypts it.",
    NOT_APPLICABLE,
    NOT_APPLICABLE,
    NOTHING,
    (Source.A3,),
)


def build_unusable_cells(
    s3_code: str, cause: str, undo: str, sources: tuple[Source, ...], *, already: bool = False
) -> dict[Resource, Cell]:
    """Build the table cells for an action after which the key exists, but cannot be used.

    Args:
        s3_code: The problem code of the error that S3 returns.
        cause: Why the key cannot be used, worded as the end of a sentence.
        undo: How to make the key usable again, worded as the end of a sentence.
        sources: The sources for the key's state and S3's error.
        already: Whether the key was already unusable before the action.
    """
    outcome = Outcome.STILL_STOPPED if already else Outcome.STOPS
    still, becomes = (" still", "stays") if already else ("", "becomes")
    s3_time, cluster_time, kms_time = (_NO_CHANGE,) * 3 if already else (S3_TIME, CLUSTER_TIME, KMS_TIME)
    s3_sources = (*sources, Source.K2, Source.O2)

    def fail(what: str) -> Cell:
        return Cell(
            outcome,
            f"{what}{still} fail, because {cause}.",
            s3_time,
            f"Yes: {undo}.",
            f"`{s3_code}`",
            s3_sources,
            s3_code,
        )

    def cannot_be_restored(what: str) -> Cell:
        kept = f"{what} are kept, but{still} cannot be restored without the key."
        restore_sources = (Source.A4, Source.A6)
        return Cell(outcome, kept, kms_time, f"Yes: {undo}.", NO_RESTORES, restore_sources, NOT_ACCESSIBLE)

    return {
        Resource.OBJECTS: fail("Reads"),
        Resource.WRITES: fail("Writes"),
        Resource.RUNNING_CLUSTER: Cell(
            outcome,
            f"The cluster {becomes} inaccessible. After 7 days without the key, the cluster can no longer be started, "
            "only restored from a backup.",
            cluster_time,
            f"Yes: {undo}. Then the vendor must start the cluster within 7 days after the loss of the key.",
            f"`{KEY_LOST}`",
            (Source.A1, Source.A2, Source.A4),
            KEY_LOST,
        ),
        Resource.STOPPED_CLUSTER: Cell(
            outcome,
            f"The cluster stays stopped. The vendor{still} cannot start it.",
            kms_time,
            f"Yes: {undo}. Then the vendor can start the cluster.",
            NO_STARTS,
            (Source.A1, Source.A5, Source.A7),
            NOT_ACCESSIBLE,
        ),
        Resource.SNAPSHOTS: cannot_be_restored("The snapshots"),
        Resource.BACKUPS: cannot_be_restored("The backups"),
        Resource.SECRET: SECRET_CELL,
    }


def build_denied_cells(undo: str, *more: Source) -> dict[Resource, Cell]:
    """Build the cells for an action after which the key works, but the key policy denies the platform role's calls.

    Args:
        undo: How to allow the calls again, worded as the end of a sentence.
        more: Additional sources for this action.
    """
    s3_sources = (*more, Source.O4, Source.O5, Source.K2, Source.O2)
    yes, says = f"Yes: {undo}.", f"`{ACCESS_DENIED}`, after the grace period"
    why = "because the key policy no longer allows the platform role to use the key"
    denied = "because a restore creates a cluster, for which the platform role needs access to the key"
    restore_sources = (*more, Source.A2, Source.A6, Source.K2)
    return {
        Resource.OBJECTS: Cell(Outcome.STOPS, f"Reads fail, {why}.", S3_TIME, yes, says, s3_sources, ACCESS_DENIED),
        Resource.WRITES: Cell(Outcome.STOPS, f"Writes fail, {why}.", S3_TIME, yes, says, s3_sources, ACCESS_DENIED),
        Resource.RUNNING_CLUSTER: Cell(
            Outcome.UNAFFECTED,
            "The cluster keeps running and its data stays readable, because RDS uses the grant that it created with "
            "the cluster.",
            NOT_APPLICABLE,
            NOT_APPLICABLE,
            NOTHING,
            (Source.A1,),
        ),
        Resource.STOPPED_CLUSTER: Cell(
            Outcome.UNAFFECTED,
            "RDS keeps the grant for as long as the cluster exists, so we infer that the vendor can start the cluster.",
            NOT_APPLICABLE,
            NOT_APPLICABLE,
            NOTHING,
            (Source.A1,),
        ),
        Resource.SNAPSHOTS: Cell(
            Outcome.STOPS,
            f"The snapshots are kept, but cannot be restored, {denied}.",
            KMS_TIME,
            yes,
            NO_RESTORES,
            restore_sources,
            NOT_ACCESSIBLE,
        ),
        Resource.BACKUPS: Cell(
            Outcome.STOPS,
            f"The backups are kept, but cannot be restored, {denied}.",
            KMS_TIME,
            yes,
            NO_RESTORES,
            restore_sources,
            NOT_ACCESSIBLE,
        ),
        Resource.SECRET: SECRET_CELL,
    }


def build_unaffected_cells(
    existing: str, new: str, undo: str, source: Source, *, says: str = NOTHING
) -> dict[Resource, Cell]:
    """Build the table cells for an action that affects no resource.

    Args:
        existing: Why existing data stays readable.
        new: Why new data can be written.
        undo: Whether the action can be undone.
        source: The source for both reasons.
        says: What byok reports.
    """

    def unaffected(what: str, *more: Source) -> Cell:
        return Cell(Outcome.UNAFFECTED, what, NOT_APPLICABLE, undo, says, (source, *more))

    return {
        Resource.OBJECTS: unaffected(f"Reads work. {existing}"),
        Resource.WRITES: unaffected(f"Writes work. {new}"),
        Resource.RUNNING_CLUSTER: unaffected(f"The cluster keeps running. {existing}"),
        Resource.STOPPED_CLUSTER: unaffected(f"The vendor can start the cluster. {existing}"),
        Resource.SNAPSHOTS: unaffected(f"The snapshots can be restored. {existing}"),
        Resource.BACKUPS: unaffected(f"The backups can be restored. {existing}"),
        Resource.SECRET: SECRET_CELL,
    }
