"""Builds the shipper of the audit trail from the settings."""

from datetime import timedelta

from byok.audit.journal import AuditJournal
from byok.audit.shipping import AuditShipper, S3AuditSink
from byok.settings import Settings


def build_shipper(settings: Settings, journal: AuditJournal) -> AuditShipper | None:
    """Build the shipper of a journal; return None if no bucket is set."""
    audit, owner = settings.audit, settings.audit_bucket_owner
    if audit.bucket is None or owner is None:
        return None
    region, retention = audit.bucket_region or settings.home_region, timedelta(days=audit.retention_days)
    return AuditShipper(journal, S3AuditSink.create(audit.bucket, owner, region, audit.lock_mode, retention))
