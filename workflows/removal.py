"""Removes what an environment made, and nothing else: the same for a rollback and for a deletion."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from typing import NamedTuple

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.database import DatabaseActivities
    from activities.storage import StorageActivities
    from byok.domain.models import (
        BucketPlan,
        BucketRemovalTask,
        CheckKeysRequest,
        DatabaseRemovalTask,
        EnvironmentPlan,
        Problem,
        RemovalResult,
    )
    from byok.domain.phases import Phase
from workflows.activity_options import REMOVE_OPTIONS, with_summary
from workflows.failures import extract_problem, is_cancellation


class Leftover(NamedTuple):
    """Something that could not be removed.

    Attributes:
        name: As AWS knows it.
        why: For people.
        problem: What AWS said, where it was AWS that refused.
    """

    name: str
    why: str
    problem: Problem | None = None

    @property
    def description(self) -> str:
        """Both, as people are told."""
        return f"{self.name}: {self.why}"


async def remove_resources(
    plan: EnvironmentPlan,
    request: CheckKeysRequest,
    *,
    phase: Phase,
    buckets: Sequence[BucketPlan] | None = None,
    final_snapshot: str | None = None,
) -> tuple[Leftover, ...]:
    """Remove the writer, the cluster and the buckets of an environment, in this order.

    Each activity removes only what bears the environment's own tag, and a rollback only what its own run made: what an
    earlier run made may have been handed over since. A failing step does not stop the rest.

    Args:
        plan: The names.
        request: Whom a problem is about.
        phase: Of a rollback or a deletion.
        buckets: Those to be removed; all of the plan where nothing is said.
        final_snapshot: Name of the snapshot that is taken of the cluster first; None for none.

    Returns:
        What was left; empty where nothing is.

    Raises:
        ActivityError: The workflow was cancelled; what was begun has been settled.
    """
    cluster = plan.cluster
    database = DatabaseRemovalTask(
        environment=plan.environment, cluster=cluster, phase=phase, final_snapshot=final_snapshot
    )
    left: list[Leftover | None] = []

    async def step(resource: str, removal: Awaitable[RemovalResult]) -> None:
        left.append(await _remove_or_report(resource, removal, request, phase, workflow.now()))

    await step(
        cluster.writer_identifier,
        workflow.execute_activity_method(
            DatabaseActivities.remove_writer, database, **with_summary(REMOVE_OPTIONS, cluster.writer_identifier)
        ),
    )
    await step(
        cluster.identifier,
        workflow.execute_activity_method(
            DatabaseActivities.remove_cluster, database, **with_summary(REMOVE_OPTIONS, cluster.identifier)
        ),
    )
    for bucket in plan.buckets if buckets is None else buckets:
        task = BucketRemovalTask(environment=plan.environment, bucket=bucket, phase=phase)
        await step(
            bucket.name,
            workflow.execute_activity_method(
                StorageActivities.remove_bucket, task, **with_summary(REMOVE_OPTIONS, bucket.name)
            ),
        )
    return tuple(item for item in left if item is not None)


async def _remove_or_report(
    resource: str, removal: Awaitable[RemovalResult], request: CheckKeysRequest, phase: Phase, at: datetime
) -> Leftover | None:
    try:
        outcome = await removal
    except ActivityError as error:
        if is_cancellation(error):
            raise
        why = extract_problem(error, request, phase, at)
        return Leftover(resource, f"{why.code}: {why.message}", why)
    return None if outcome.removed else Leftover(resource, str(outcome.why_kept))
