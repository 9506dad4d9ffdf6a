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
"""How long AWS services may still use a key whose state has changed: KMS is eventually consistent, and a change can
take several minutes (KMS developer guide, "AWS KMS eventual consistency")."""


class KeyDeletion(RecordModel):
    """What the customer's account reported about the deletion of a key. byok cannot verify it.

    Attributes:
        delete_at: When KMS deletes the key; None if the deletion was cancelled, or if the key has been used since.
        reported_at: The time of the event.
    """

    key: KeyPurpose
    key_arn: str
    delete_at: AwareDatetime | None
    reported_at: AwareDatetime


class KeyDeletionReport(RecordModel):
    """An event about the deletion of a key, as byok sends it to the environment's record."""

    environment_id: str
    organisation: str | None = None
    deletion: KeyDeletion


def is_disproved(deletion: KeyDeletion, report: "HealthReport", before: "HealthReport | None" = None) -> bool:
    """Return whether a check shows that KMS does not delete a key, whatever the customer's account reported.

    S3 uses the key in each check. RDS uses a key without byok seeing it, so only a cluster that had lost the key and
    works again is a proof.

    Args:
        deletion: The reported deletion.
        report: What the check found.
        before: What the check before found, if known.
    """
    now, then = _find_use(deletion, report), None if before is None else _find_use(deletion, before)
    if now is KeyUse.PROVED:
        return report.checked_at >= deletion.reported_at + KMS_SETTLES_AFTER
    lost = then is KeyUse.REFUSED and before is not None and before.checked_at > deletion.reported_at
    return lost and now is KeyUse.IN_USE


def _find_use(deletion: KeyDeletion, report: "HealthReport") -> KeyUse | None:
    uses = [one.use for one in report.keys if (one.key, one.key_arn) == (deletion.key, deletion.key_arn)]
    return uses[0] if uses else None
