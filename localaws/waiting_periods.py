"""Moves waiting periods forward, so that a test sees the end of a period of days without waiting.

There are two such periods: the waiting period before KMS deletes a key, and the seven days in which a cluster without
its key can be recovered.
"""

from datetime import UTC, datetime, timedelta

from localaws.rds.state import refresh_statuses
from localaws.state import STATE, Key


def elapse(period: timedelta) -> list[str]:
    """Move every waiting period forward, delete the keys whose waiting period is over, and return their ARNs."""
    refresh_statuses()  # a cluster that has just lost access to its key starts to wait now
    for cluster in STATE.clusters.values():
        if cluster.life.key_lost_at is not None:
            cluster.life.key_lost_at -= period.total_seconds()
    for key in STATE.keys.values():
        if key.deletion is not None:
            key.deletion -= period
    due = [key for key in STATE.keys.values() if _is_due(key)]
    for key in due:
        _delete_key(key)
    return [key.arn for key in due]


def _is_due(key: Key) -> bool:
    return key.deletion is not None and key.deletion <= datetime.now(UTC)


def _delete_key(key: Key) -> None:
    """Delete a key with its aliases (botocore's KMS model, ScheduleKeyDeletion)."""
    del STATE.keys[key.arn]
    for alias in [alias.arn for alias in STATE.aliases.values() if alias.target == key.arn]:
        del STATE.aliases[alias]
