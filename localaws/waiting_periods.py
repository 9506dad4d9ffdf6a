"""Shortens waiting periods, so that a test does not have to wait for days.

There are two waiting periods: the days before KMS deletes a key, and the seven days during which a cluster that has
lost access to its key can be recovered.
"""

from datetime import UTC, datetime, timedelta

from localaws.rds.state import refresh_statuses
from localaws.state import STATE, Key


def elapse(period: timedelta) -> list[str]:
    """Shorten every waiting period by `period`, delete the keys whose period is over, and return these keys' ARNs."""
    refresh_statuses()  # the period starts now for a cluster that has just lost access to its key
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
