"""The scheduled deletion of a customer's key, as the customer's account reported it (contract 142)."""

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import AwareDatetime

from byok.domain.arns import KeyPurpose
from byok.domain.models.base import RecordModel
from byok.domain.models.key_uses import KeyUse

if TYPE_CHECKING:
    from byok.domain.models.health import HealthReport

KMS_SETTLES_AFTER: Final = timedelta(minutes=5)
"""How long AWS services can still use a key after the key's state has changed. KMS is eventually consistent, so a
change can take several minutes to propagate (KMS developer guide, "AWS KMS eventual consistency")."""


class KeyDeletion(RecordModel):
    """A key deletion, or the cancellation of one, as reported by the customer's account. byok cannot verify the report.

    Attributes:
        delete_at: When KMS deletes the key; None if the deletion was cancelled, or if the key has been used after the
            report.
        reported_at: The time of the event.
    """

    key: KeyPurpose
    key_arn: str
    delete_at: AwareDatetime | None
    reported_at: AwareDatetime


class KeyDeletionReport(RecordModel):
    """A report that a key's deletion was scheduled or cancelled. byok sends the report to the environment's record."""

    environment_id: str
    organisation: str | None = None
    deletion: KeyDeletion


def is_disproved(deletion: KeyDeletion, report: "HealthReport", before: "HealthReport | None" = None) -> bool:
    """Return whether a check disproves a reported deletion of a key.

    Each check makes S3 use the S3 key. If S3 can still use that key several minutes after the report, the deletion is
    disproved. byok cannot observe when RDS uses the Aurora key, so the deletion of that key is disproved only if the
    cluster had lost the key and now works again.

    Args:
        deletion: The reported deletion.
        report: The result of the check.
        before: The result of the previous check, if known.
    """
    now, then = _find_use(deletion, report), None if before is None else _find_use(deletion, before)
    if now is KeyUse.PROVED:
        return report.checked_at >= deletion.reported_at + KMS_SETTLES_AFTER
    lost = then is KeyUse.REFUSED and before is not None and before.checked_at > deletion.reported_at
    return lost and now is KeyUse.IN_USE


def _find_use(deletion: KeyDeletion, report: "HealthReport") -> KeyUse | None:
    uses = [one.use for one in report.keys if (one.key, one.key_arn) == (deletion.key, deletion.key_arn)]
    return uses[0] if uses else None
