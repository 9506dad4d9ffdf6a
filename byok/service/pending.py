"""Lists a workflow's pending steps, and describes them in words that both the CLI and the wizard show.

A pending step is an activity, a task that waits for a worker, or a pause. This module makes no calls to Temporal.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import PendingActivityState, PendingWorkflowTaskState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionDescription
from temporalio.converter import DataConverter
from temporalio.exceptions import FailureError

from byok.domain.models import Problem, RecordModel
from byok.service.histories import decode_failure_problems

UNCLAIMED_AFTER: Final = timedelta(seconds=3)
"""An available worker claims a task in milliseconds. If a task is still unclaimed after `UNCLAIMED_AFTER`, no worker is
running or all workers are busy."""


class Pause(RecordModel):
    """A pause of an activity or a workflow in Temporal, which lasts until an operator ends it.

    Attributes:
        since: When the pause began.
        by: The identity of the Temporal client that began the pause. If a workflow rule began the pause, this is the
            identity of the rule's author.
        reason: The reason that the operator gave, if any.
    """

    since: datetime
    by: str | None = None
    reason: str | None = None


class Holding(RecordModel):
    """A platform fault that causes byok to hold an environment. byok retries automatically (contract 151).

    Attributes:
        since: When the fault first occurred.
        problem: The fault. The customer does not need to do anything.
    """

    since: datetime
    problem: Problem


class PendingStep(RecordModel):
    """An activity or workflow task that an environment's workflow waits for, or a pause of that workflow.

    Attributes:
        activity: The activity's name; None if the step is a workflow task or the pause of the workflow.
        attempt: The number of the attempt, starting at 1.
        since: The time when the running attempt began, when the next attempt is due, when the workflow task was
            scheduled, or when the workflow was paused.
        next_attempt_at: When the next attempt is due; None if an attempt is running or is already due.
        last_failure: The message of the previous attempt's failure.
        last_problem: The problem in the previous attempt's failure, if any.
        unclaimed: Whether the step is due but no worker has claimed it.
        paused: The pause of the activity or the workflow in Temporal, if any. An attempt that is already running
            finishes before the pause takes effect.
    """

    activity: str | None
    attempt: int = 1
    since: datetime
    next_attempt_at: datetime | None = None
    last_failure: str | None = None
    last_problem: Problem | None = None
    unclaimed: bool = False
    paused: Pause | None = None

    @property
    def holding(self) -> Holding | None:
        """The platform fault that causes byok to hold the step; None if there is no such fault."""
        problem = self.last_problem
        if problem is None or problem.held_since is None:
            return None
        return Holding(since=problem.held_since, problem=problem)


def find_holding(steps: Sequence[PendingStep]) -> Holding | None:
    """Return the platform fault that has held a step for the longest time; None if no step is held."""
    found = [step.holding for step in steps if step.holding is not None]
    return min(found, key=lambda one: one.since, default=None)


def describe_holding(holding: Holding) -> str:
    """Describe a hold in one line, for the customer and for the platform's operator."""
    problem = holding.problem
    operation = f"{problem.operation} failed with " if problem.operation else ""
    return (
        f"holding since {holding.since:%Y-%m-%d %H:%M:%S} UTC: {operation}{problem.code}: {problem.message} "
        "This is a platform fault; byok retries by itself."
    )


async def list_pending_steps(
    described: WorkflowExecutionDescription, load_task_failure: Callable[[], Awaitable[str | None]]
) -> tuple[PendingStep, ...]:
    """Return the steps that a workflow currently waits for; empty once the workflow has ended.

    Args:
        described: Temporal's description of the workflow.
        load_task_failure: Loads the reason why the last workflow task failed.
    """
    raw, now = described.raw_description, datetime.now(UTC)
    pause = _pause_of_workflow(described)
    steps = [PendingStep(activity=None, since=pause.since, paused=pause)] if pause else []
    # While a workflow is paused, the server does not hand its tasks to workers, so no task counts as unclaimed.
    late = now - UNCLAIMED_AFTER if pause is None else datetime.min.replace(tzinfo=UTC)
    steps += [await _activity(item, described.data_converter, now, late) for item in raw.pending_activities]
    if raw.HasField("pending_workflow_task"):
        task = raw.pending_workflow_task
        since = _moment(task.original_scheduled_time)
        scheduled = task.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_SCHEDULED
        if task.attempt > 1:
            cause = await load_task_failure() or "no reason was recorded"
            steps.append(PendingStep(activity=None, attempt=task.attempt, since=since, last_failure=cause))
        elif scheduled and since < late:
            steps.append(PendingStep(activity=None, since=since, unclaimed=True))
    return tuple(steps)


_STEP_NAMES: Final = {
    "await_aurora_proof": "checking the Aurora key",
    "await_writer": "waiting for the writer",
    "collect_evidence": "verifying the encryption",
    "ensure_bucket": "creating a bucket",
    "ensure_cluster": "creating the cluster",
    "ensure_proof_cluster": "checking the Aurora key",
    "ensure_writer": "creating the writer",
    "find_foreign_objects": "looking for other objects in the buckets",
    "find_resources": "listing the environment's resources",
    "plan_deletion": "planning the deletion",
    "plan_environment": "planning the environment",
    "probe_s3_key": "checking the S3 key",
    "reconcile_key": "setting the tenant name",
    "release_all_claims": "releasing the keys",
    "release_unused_claims": "releasing unused keys",
    "remove_bucket": "deleting a bucket",
    "remove_cluster": "deleting the cluster",
    "remove_proof_clusters": "removing test clusters",
    "remove_writer": "deleting the writer",
}
"""The text that describes each activity to users. Temporal shows the activity's name instead."""


def describe_pending_step(item: PendingStep) -> str:
    """Describe a pending step in one line."""
    what = _STEP_NAMES.get(item.activity, item.activity.replace("_", " ")) if item.activity else "the workflow"
    if item.paused is not None:
        failure = f"; its last attempt failed: {item.last_failure}" if item.last_failure else ""
        return f"{what}: {_describe_pause(item.paused)}{failure}"
    if item.activity is None and item.last_failure:
        return f"the worker cannot make progress, attempt {item.attempt}: {item.last_failure}"
    if item.unclaimed:
        return f"{what}: no worker has claimed it for {int((datetime.now(UTC) - item.since).total_seconds())} s"
    if item.holding is not None:
        return f"{what}: {describe_holding(item.holding)}"
    problem = item.last_problem
    if problem is not None and problem.operation is not None:
        return f"{what}, attempt {item.attempt}: {problem.operation} failed with {problem.code}: {problem.message}"
    # Waiting for a database is not a failure, so the attempt number is left out.
    return f"{what}: {item.last_failure}" if item.last_failure else what


def _describe_pause(pause: Pause) -> str:
    by = f" by {pause.by}" if pause.by else ""
    reason = f" ({pause.reason})" if pause.reason else ""
    return f"paused in Temporal since {pause.since:%Y-%m-%d %H:%M:%S} UTC{by}{reason}"


async def _activity(item: PendingActivityInfo, converter: DataConverter, now: datetime, late: datetime) -> PendingStep:
    scheduled = item.state == PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
    due = _moment(item.scheduled_time)
    next_attempt: datetime | None = None
    if scheduled and item.HasField("next_attempt_schedule_time"):
        next_attempt = due = _moment(item.next_attempt_schedule_time)
    failure = await converter.decode_failure(item.last_failure) if item.HasField("last_failure") else None
    started = item.HasField("last_started_time") and not scheduled
    return PendingStep(
        activity=item.activity_type.name,
        attempt=item.attempt,
        since=_moment(item.last_started_time) if started else due,
        next_attempt_at=next_attempt if next_attempt and next_attempt > now else None,
        last_failure=failure.message if isinstance(failure, FailureError) else None,
        last_problem=next(iter(decode_failure_problems(failure)), None),
        unclaimed=scheduled and due < late,
        paused=_pause_of_activity(item),
    )


def _pause_of_activity(item: PendingActivityInfo) -> Pause | None:
    if not item.paused:
        return None
    pause = item.pause_info
    by = pause.rule if pause.HasField("rule") else pause.manual
    return Pause(since=_moment(pause.pause_time), by=by.identity or None, reason=by.reason or None)


def _pause_of_workflow(described: WorkflowExecutionDescription) -> Pause | None:
    extended = described.raw_description.workflow_extended_info
    if not extended.HasField("pause_info"):
        return None
    pause = extended.pause_info
    return Pause(since=_moment(pause.paused_time), by=pause.identity or None, reason=pause.reason or None)


def _moment(timestamp: Timestamp) -> datetime:
    return timestamp.ToDatetime(tzinfo=UTC)
