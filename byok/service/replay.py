"""Decides whether a stopped environment can be replayed, and whether it resumes or starts over.

This module does not call Temporal itself; `byok.service.lifecycle` does.
"""

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError
from temporalio.api.history.v1 import HistoryEvent

from byok.contracts import INVALID_INPUT_PROBLEM_CODE
from byok.domain.arns import KeyPair, KeyPurpose
from byok.domain.encryption import ENCRYPTION_CANNOT_CHANGE_CODE
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.service.errors import InvalidRequestError, KeyCannotChangeError, NotReplayableError
from byok.service.histories import label_field
from byok.service.status import EnvironmentStatus

DRIFT_PROBLEM_CODES: Final = frozenset({"byok.VerificationFailed", "byok.Vanished", "rds.deleting"})
"""The codes of problems with a resource that is missing, was changed or is being deleted. Repeating the failed activity
would not help, because only the earlier activities can repair the resource."""


@dataclass(frozen=True)
class ResetPoint:
    """A point in a run's history to which the run can be reset.

    Attributes:
        event_id: The id of the WorkflowTaskCompleted event of the workflow task that scheduled the failed activity.
        step: The name of the failed activity.
    """

    event_id: int
    step: str


async def find_reset_point(events: AsyncIterable[HistoryEvent]) -> ResetPoint | None:
    """Return the point just before the first activity that failed; None if no activity failed.

    Later failures are consequences of the first failure, because the activities that run in parallel with the failed
    activity are cancelled. A reset to the last workflow task would not help, because the new run would replay the
    recorded failure without calling AWS.
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
    """Require that an environment has stopped and can be replayed.

    Args:
        status: The environment's status.
        other_keys: Whether the caller replaces one or both key ARNs.

    Raises:
        NotReplayableError: The environment has not stopped, or a replay would not help.
    """
    name, problem = status.environment_id, status.problem
    if status.phase is Phase.READY:
        raise NotReplayableError(f"Nothing to replay: {name} is ready.")
    if status.phase is Phase.DELETED:
        raise NotReplayableError(f"{name} is deleted. Create it again with `byok create`.")
    if status.phase is not Phase.STOPPED:
        raise NotReplayableError(
            f"Nothing to replay: {name} is running (phase {status.phase}). Follow it with `byok status {name}`."
        )
    if status.is_deletion:
        raise NotReplayableError(f"The deletion of {name} stopped. Resume it with `byok delete {name}`.")
    if problem is not None and problem.code == INVALID_INPUT_PROBLEM_CODE:
        raise NotReplayableError(
            f"{name} never started, because its input is invalid: {problem.message} Specify the values again with "
            "`byok create`."
        )
    if problem is not None and problem.code == ENCRYPTION_CANNOT_CHANGE_CODE:
        raise NotReplayableError(
            f"{problem.message} Run `byok create` again with all values and the environment's kind of encryption."
        )
    if problem is not None and problem.code == "tenant.IllegalName":
        raise NotReplayableError(
            f"{problem.message} Create the environment again with `byok create` and another tenant name."
        )
    if problem is not None and problem.code.startswith("arn.") and not other_keys:
        raise NotReplayableError(
            f"The same ARN would be rejected again with {problem.code}: {problem.message} Retry with the correct "
            "S3 key ARN or RDS key ARN."
        )


@dataclass(frozen=True)
class ReplayOptions:
    """The keys with which a stopped environment can be replayed.

    Attributes:
        same_keys: Whether the environment can be replayed with its current keys.
        other_keys: The keys that can be replaced, because they caused the stop and do not encrypt anything yet.
        swapped: The correct key pair if the two ARNs were swapped; otherwise None.
    """

    same_keys: bool
    other_keys: tuple[KeyPurpose, ...] = ()
    swapped: KeyPair | None = None


def find_replay_options(status: EnvironmentStatus) -> ReplayOptions | None:
    """Return how an environment can be replayed; None if a replay is not possible."""
    if not _replayable(status, other_keys=True):
        return None
    if any(problem.code == KEYS_EXCHANGED_CODE for problem in status.problems) and not _in_use(status):
        pair = KeyPair(status.rds_key_arn or "", status.s3_key_arn or "")
        return ReplayOptions(same_keys=False, other_keys=tuple(KeyPurpose), swapped=pair)
    at_fault = {problem.key for problem in status.problems} - _in_use(status).keys()
    others = tuple(which for which in KeyPurpose if which in at_fault)
    same = _replayable(status, other_keys=False)
    return ReplayOptions(same, others) if same or others else None


def can_resume(status: EnvironmentStatus) -> bool:
    """Return whether a run can resume.

    A run cannot resume after a rollback, or if a resource is missing, was changed or is being deleted. In these cases,
    the earlier activities must be repeated.
    """
    rolled_back = any(entry.phase is Phase.ROLLING_BACK for entry in status.timeline)
    return not rolled_back and not any(problem.code in DRIFT_PROBLEM_CODES for problem in status.problems)


def replace_keys(request: ProvisionRequest, changes: Mapping[str, str]) -> ProvisionRequest:
    """Return an environment's request with other keys.

    Args:
        request: The environment's request.
        changes: The new ARNs, by field name.

    Raises:
        InvalidRequestError: An ARN is not valid.
    """
    try:
        return ProvisionRequest.model_validate(request.model_dump() | dict(changes))
    except ValidationError as error:
        words = "; ".join(
            f"{label_field('.'.join(map(str, one['loc'])) or 'keys')}: {one['msg']}" for one in error.errors()
        )
        raise InvalidRequestError(f"These keys cannot be used: {words}") from error


def require_keys_in_use_unchanged(status: EnvironmentStatus, request: ProvisionRequest) -> None:
    """Require that a request keeps the key of every existing resource (contract 8).

    The key of an existing resource cannot change.

    Raises:
        KeyCannotChangeError: An existing resource is encrypted with a different key. The message contains the
            resource's name and the ARN of the resource's key.
    """
    if request.key_pair is None:
        return
    asked = dict(request.key_pair.items())
    for which, uses in _in_use(status).items():
        for resource, key_arn in uses:
            if key_arn != asked[which]:
                raise KeyCannotChangeError(
                    f"{resource} is encrypted with {key_arn}, and the key of an existing resource cannot change. "
                    f"Retry with that {which.field_label}, or delete the environment "
                    f"(`byok delete {status.environment_id}`) and create it again."
                )


def _replayable(status: EnvironmentStatus, *, other_keys: bool) -> bool:
    try:
        require_replayable(status, other_keys=other_keys)
    except NotReplayableError:
        return False
    return True


def _in_use(status: EnvironmentStatus) -> dict[KeyPurpose, list[tuple[str, str]]]:
    """Return the resources that each key encrypts, excluding empty buckets and keys that do not encrypt anything."""
    cluster, buckets = status.resources.cluster, [one for one in status.resources.buckets if one.objects]
    found = {
        KeyPurpose.RDS: [(f"The cluster {cluster.identifier}", cluster.key_arn)] if cluster else [],
        KeyPurpose.S3: [(f"The bucket {bucket.name}", bucket.key_arn) for bucket in buckets],
    }
    return {which: uses for which, uses in found.items() if uses}
