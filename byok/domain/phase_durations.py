"""The usual duration of each phase on AWS, as text, with the source of each duration.

The durations tell users how long to expect to wait. The time limits are in `workflows/activity_options.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from byok.domain.phases import Phase


@dataclass(frozen=True)
class UsualDuration:
    """How long a phase usually takes.

    Attributes:
        text: The duration, in the form "10 to 20 minutes".
        source: The source of the duration.
    """

    text: str
    source: str


_SECONDS: Final = "a few seconds"
_CALLS: Final = "A handful of calls to AWS, each of which takes 50 to 300 ms."

USUAL_DURATIONS: Final[Mapping[Phase, UsualDuration]] = {
    Phase.VALIDATING_KEYS: UsualDuration(
        _SECONDS,
        f"{_CALLS} If AWS denies access, byok retries for 30 seconds (the request's `key_grace_seconds`), because a "
        "changed key policy takes effect with a delay.",
    ),
    Phase.CREATING_CLUSTER: UsualDuration(
        _SECONDS, "CreateDBCluster returns immediately. RDS then creates the cluster during AWAITING_DATABASE."
    ),
    Phase.CREATING_STORAGE: UsualDuration("less than a minute", "About ten calls to S3 for each bucket."),
    Phase.AWAITING_DATABASE: UsualDuration(
        "10 to 20 minutes",
        "AWS: agent-toolkit-for-aws, creating-amazon-aurora-db-cluster-with-instances, section Long creation times.",
    ),
    Phase.VERIFYING: UsualDuration(_SECONDS, _CALLS),
    Phase.RECONCILING_TENANT: UsualDuration(_SECONDS, _CALLS),
    Phase.ROLLING_BACK: UsualDuration(
        "several minutes",
        "RDS removes the writer and then the cluster. AWS does not document the duration, so this is an estimate.",
    ),
    Phase.DELETING: UsualDuration(
        "several minutes, and longer if a large database is saved in a final snapshot",
        "RDS takes the final snapshot before it removes the cluster. AWS does not document the duration, so this is an "
        "estimate.",
    ),
}
"""The usual durations. The phases READY, DELETED and STOPPED last until a user acts, so they have no duration."""
