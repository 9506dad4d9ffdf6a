"""Removes the resources of an environment, and no others. Rollback and deletion share this module."""

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
        DatabaseRemovalTask,
        DeletionPlan,
        EnvironmentPlan,
        Problem,
        RegionRequest,
        RemovalResult,
    )
    from byok.domain.phases import Phase
from workflows.activity_options import REMOVE_OPTIONS, with_summary
from workflows.failures import extract_problem, is_cancellation


class Leftover(NamedTuple):
    """A resource that could not be removed.

    Attributes:
        name: The resource's name in AWS.
        why: Why the resource remains, as a message for users.
        problem: The problem that describes AWS's error, if AWS rejected the removal.
    """

    name: str
    why: str
    problem: Problem | None = None

    @property
    def description(self) -> str:
        """The name and the reason, as users see them."""
        return f"{self.name}: {self.why}"


async def remove_resources(
    plan: EnvironmentPlan | DeletionPlan,
    request: RegionRequest,
    *,
    phase: Phase,
    buckets: Sequence[BucketPlan] | None = None,
    final_snapshot: str | None = None,
) -> tuple[Leftover, ...]:
    """Remove the writer, the cluster and the buckets of an environment, in this order.

    Each activity removes only a resource that has the environment's tag. A rollback removes only the resources that its
    own run created, because the vendor may already have handed over the resources of an earlier run to the customer. If
    an activity fails, the other activities still run.

    Args:
        plan: The environment's plan, which contains the names of its resources.
        request: The request whose values appear in the reported problems.
        phase: `Phase.ROLLING_BACK` or `Phase.DELETING`.
        buckets: The buckets to remove. None means all buckets in the plan.
        final_snapshot: The name of the cluster's final snapshot, or None to take no snapshot.

    Returns:
        The remaining resources; empty if everything is gone.

    Raises:
        ActivityError: The workflow was cancelled. This error is raised only after the removals in progress have
            finished.
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
    resource: str, removal: Awaitable[RemovalResult], request: RegionRequest, phase: Phase, at: datetime
) -> Leftover | None:
    try:
        outcome = await removal
    except ActivityError as error:
        if is_cancellation(error):
            raise
        why = extract_problem(error, request, phase, at)
        return Leftover(resource, f"{why.code}: {why.message}", why)
    return None if outcome.removed else Leftover(resource, str(outcome.why_kept))
