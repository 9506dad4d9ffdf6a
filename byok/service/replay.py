"""How a stopped environment goes on: from the failed step, or anew; and when that is refused.

Asking Temporal is left to `byok.service`.
"""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from typing import Final

from temporalio.api.history.v1 import HistoryEvent

from byok.domain.arns import WhichKey
from byok.domain.models import ProvisionRequest
from byok.domain.statuses import Phase
from byok.service.errors import KeyCannotChangeError, NotReplayableError
from byok.service.status import EnvironmentStatus

NOT_AS_ASKED_FOR: Final = frozenset({"byok.VerificationFailed", "byok.Vanished"})
"""Codes of a stop because something is missing or has been changed: what looks at it again finds the same, and it is
the earlier steps that put it right."""


@dataclass(frozen=True)
class ResetPoint:
    """Where a run of a workflow can be taken up again.

    Attributes:
        event_id: The completed workflow task that scheduled the failed step.
        step: The step's name.
    """

    event_id: int
    step: str


async def reset_point(events: AsyncIterable[HistoryEvent]) -> ResetPoint | None:
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


def must_be_replayable(status: EnvironmentStatus, *, other_keys: bool) -> None:
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


def goes_on_from_the_failed_step(status: EnvironmentStatus) -> bool:
    """Whether the steps before the failed one are still done: what was rolled back or changed has to be done anew."""
    rolled_back = any(entry.phase is Phase.ROLLING_BACK for entry in status.timeline)
    return not rolled_back and not any(problem.code in NOT_AS_ASKED_FOR for problem in status.problems)


def must_not_change_a_key_in_use(status: EnvironmentStatus, request: ProvisionRequest) -> None:
    """See that no resource would have to change its key, which none can (contract 8).

    Raises:
        KeyCannotChangeError: One would; it is named.
    """
    cluster = status.resources.cluster
    if cluster is not None and cluster.key_arn != request.rds_key_arn:
        raise _cannot_change(f"The cluster {cluster.identifier}", cluster.key_arn, WhichKey.RDS, status.environment_id)
    for bucket in status.resources.buckets:
        if bucket.objects and bucket.key_arn != request.s3_key_arn:
            raise _cannot_change(f"The bucket {bucket.name}", bucket.key_arn, WhichKey.S3, status.environment_id)


def _cannot_change(resource: str, key_arn: str, which: WhichKey, environment_id: str) -> KeyCannotChangeError:
    return KeyCannotChangeError(
        f"{resource} is encrypted with {key_arn}, and the key of what exists cannot be changed: replay with that "
        f"{which.label}, or delete the environment first (`byok delete {environment_id}`) and make it anew."
    )
