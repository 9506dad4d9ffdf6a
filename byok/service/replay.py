"""How a stopped environment goes on: from the failed step, or anew; and when that is refused.

Asking Temporal is left to `byok.service`.
"""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Final

from temporalio.api.history.v1 import HistoryEvent

from byok.domain.arns import KeyPurpose
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.service.errors import KeyCannotChangeError, NotReplayableError
from byok.service.status import EnvironmentStatus

DRIFT_PROBLEM_CODES: Final = frozenset({"byok.VerificationFailed", "byok.Vanished", "rds.deleting"})
"""Codes of a stop because something is missing, on its way out or changed: what looks at it again finds the same, and
it is the earlier steps that put it right."""


@dataclass(frozen=True)
class ResetPoint:
    """Where a run of a workflow can be taken up again.

    Attributes:
        event_id: The completed workflow task that scheduled the failed step.
        step: The step's name.
    """

    event_id: int
    step: str


async def find_reset_point(events: AsyncIterable[HistoryEvent]) -> ResetPoint | None:
    """Just before the step that failed first; None where none did.

    What failed after it failed because of it: the other side of what runs side by side is cut short. Resetting to the
    last workflow task would replay the failure, and ask AWS nothing.
    """
    scheduled: dict[int, ResetPoint] = {}
    async for event in events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            step = event.activity_task_scheduled_event_attributes
            point = ResetPoint(step.workflow_task_completed_event_id, step.activity_type.name)
            scheduled[event.event_id] = point
        elif event.HasField("activity_task_failed_event_attributes"):
            return scheduled.get(event.activity_task_failed_event_attributes.scheduled_event_id)
        elif event.HasField("activity_task_timed_out_event_attributes"):
            return scheduled.get(event.activity_task_timed_out_event_attributes.scheduled_event_id)
    return None


def require_replayable(status: EnvironmentStatus, *, other_keys: bool) -> None:
    """See that an environment has stopped, and in a way that a replay can help.

    Args:
        status: Where it is.
        other_keys: Whether it is to go on with corrected ARNs.

    Raises:
        NotReplayableError: It has not, or not in such a way.
    """
    name, problem = status.environment_id, status.problem
    if status.phase is Phase.READY:
        raise NotReplayableError(f"{name} is ready: there is nothing to replay.")
    if status.phase is Phase.DELETED:
        raise NotReplayableError(f"{name} was deleted: make it anew with `byok create`.")
    if status.phase is not Phase.STOPPED:
        raise NotReplayableError(
            f"{name} is in {status.phase} and goes on by itself: `byok status {name}` says where it is."
        )
    if any(entry.phase is Phase.DELETING for entry in status.timeline):
        raise NotReplayableError(
            f"It is the deletion of {name} that stopped: ask for it again with `byok delete {name}`."
        )
    if problem is not None and problem.code == "byok.InvalidInput":
        raise NotReplayableError(
            f"{name} never began, because its input could not be used: {problem.message} Correct it, and make the "
            "environment with `byok create`."
        )
    if problem is not None and problem.code == "tenant.IllegalName":
        raise NotReplayableError(f"{problem.message} Make the environment with another name, with `byok create`.")
    if problem is not None and problem.code.startswith("arn.") and not other_keys:
        raise NotReplayableError(
            f"The same ARN would be refused again ({problem.code}: {problem.message}) Give the right one, with "
            "--s3-key-arn or --rds-key-arn."
        )


@dataclass(frozen=True)
class ReplayOptions:
    """With what a stopped environment can be replayed.

    Attributes:
        same_keys: Whether it can be with the keys that it has.
        other_keys: Keys that it stopped at and that encrypt nothing yet: others may take their place.
    """

    same_keys: bool
    other_keys: tuple[KeyPurpose, ...] = ()


def find_replay_options(status: EnvironmentStatus) -> ReplayOptions | None:
    """How an environment can be replayed; None where a replay would be refused."""
    if not _replayable(status, other_keys=True):
        return None
    at_fault = {problem.key for problem in status.problems} - _in_use(status).keys()
    others = tuple(which for which in KeyPurpose if which in at_fault)
    same = _replayable(status, other_keys=False)
    return ReplayOptions(same, others) if same or others else None


def can_resume(status: EnvironmentStatus) -> bool:
    """Whether the steps before the failed one are still done: what was rolled back or changed has to be done anew."""
    rolled_back = any(entry.phase is Phase.ROLLING_BACK for entry in status.timeline)
    return not rolled_back and not any(problem.code in DRIFT_PROBLEM_CODES for problem in status.problems)


def require_keys_in_use_unchanged(status: EnvironmentStatus, request: ProvisionRequest) -> None:
    """See that no resource would have to change its key, which none can (contract 8).

    Raises:
        KeyCannotChangeError: One would; it is named.
    """
    asked = {KeyPurpose.RDS: request.rds_key_arn, KeyPurpose.S3: request.s3_key_arn}
    for which, uses in _in_use(status).items():
        for resource, key_arn in uses:
            if key_arn != asked[which]:
                raise KeyCannotChangeError(
                    f"{resource} is encrypted with {key_arn}, and the key of what exists cannot be changed: replay "
                    f"with that {which.field_label}, or delete the environment first "
                    f"(`byok delete {status.environment_id}`) and make it anew."
                )


def _replayable(status: EnvironmentStatus, *, other_keys: bool) -> bool:
    try:
        require_replayable(status, other_keys=other_keys)
    except NotReplayableError:
        return False
    return True


def _in_use(status: EnvironmentStatus) -> dict[KeyPurpose, list[tuple[str, str]]]:
    """What is encrypted with which key, for each key that encrypts anything: a bucket without objects holds nothing."""
    cluster, buckets = status.resources.cluster, [one for one in status.resources.buckets if one.objects]
    found = {
        KeyPurpose.RDS: [(f"The cluster {cluster.identifier}", cluster.key_arn)] if cluster else [],
        KeyPurpose.S3: [(f"The bucket {bucket.name}", bucket.key_arn) for bucket in buckets],
    }
    return {which: uses for which, uses in found.items() if uses}
