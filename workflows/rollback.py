"""Removes what an environment made, and nothing else."""

from collections.abc import Awaitable

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.database import DatabaseActivities
    from activities.storage import StorageActivities
    from byok.domain.models import DatabaseTask, EnvironmentPlan, Removal, StorageTask
from workflows.execution import REMOVE


async def roll_back(plan: EnvironmentPlan) -> tuple[str, ...]:
    """Remove the writer, the cluster and the buckets of an environment, in this order.

    Each activity removes only what bears the environment's own tag. A failing step does not stop the rest.

    Returns:
        What was left, each with the reason; empty where nothing is left.
    """
    database = DatabaseTask(environment=plan.environment, cluster=plan.cluster)
    left = [
        await _left(
            plan.cluster.writer_identifier,
            workflow.execute_activity_method(DatabaseActivities.remove_writer, database, **REMOVE),
        ),
        await _left(
            plan.cluster.identifier,
            workflow.execute_activity_method(DatabaseActivities.remove_cluster, database, **REMOVE),
        ),
    ]
    for bucket in plan.buckets:
        task = StorageTask(environment=plan.environment, bucket=bucket)
        removal = workflow.execute_activity_method(StorageActivities.remove_bucket, task, **REMOVE)
        left.append(await _left(bucket.name, removal))
    return tuple(item for item in left if item is not None)


async def _left(resource: str, removal: Awaitable[Removal]) -> str | None:
    try:
        outcome = await removal
    except ActivityError as error:
        return f"{resource}: {error.__cause__ or error}"
    return None if outcome.removed else f"{resource}: {outcome.why_kept}"
