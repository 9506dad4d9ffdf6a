"""Builds the shipper of the audit trail from the settings."""

from datetime import timedelta

from byok.audit.journal import AuditJournal
from byok.audit.shipping import AuditShipper, S3AuditSink
from byok.settings import Settings


def build_shipper(settings: Settings, journal: AuditJournal, account: str) -> AuditShipper | None:
    """Build the shipper; None if no bucket is set.

    Args:
        settings: The settings.
        journal: The journal to ship.
        account: The platform role's account, which owns the bucket unless the settings name another owner.
    """
    audit = settings.audit
    if audit.bucket is None:
        return None
    sink = S3AuditSink.create(
        audit.bucket,
        audit.bucket_owner or account,
        audit.bucket_region or settings.home_region,
        audit.lock_mode,
        timedelta(days=audit.retention_days),
    )
    return AuditShipper(journal, sink)
