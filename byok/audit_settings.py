"""The settings of the audit trail (`BYOK_AUDIT__…`)."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from byok.domain.models.base import AccountId, RegionName


class AuditSettings(BaseModel):
    """Where the audit trail is stored (`BYOK_AUDIT__…`).

    Attributes:
        directory: The directory of the journal, on persistent storage. Several processes may share the directory.
        bucket: The S3 bucket, with Object Lock, to which byok ships the journal. If no bucket is set, the journal stays
            in the directory.
        bucket_region: The bucket's Region; the home Region by default.
        bucket_owner: The account that owns the bucket; the platform role's account by default.
        lock_mode: The retention mode of the objects.
        retention_days: The number of days for which S3 refuses to delete an object.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    directory: Path = Path(".byok/audit")
    bucket: str | None = None
    bucket_region: RegionName | None = None
    bucket_owner: AccountId | None = None
    lock_mode: Literal["COMPLIANCE", "GOVERNANCE"] = "COMPLIANCE"
    retention_days: int = Field(default=400, ge=1, le=36_500)
