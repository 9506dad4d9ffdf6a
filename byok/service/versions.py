"""Finds the worker build of a run, the builds that get new work, and the build that a run needs after a reset.

With Worker Deployment Versioning, several builds of the worker run in parallel. Each run stays on the build that it
started on (`worker.deployment`), and new runs go to the build that an operator has set as the current build.
`byok.service.pollers` lists the workers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.deployment.v1 import WorkerDeploymentVersion as RawVersion
from temporalio.api.enums.v1 import TaskQueueType, VersioningBehavior
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import PostResetOperation, VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import WorkerDeploymentVersion

from byok.service.pollers import PollingWorker, Workers


@dataclass(frozen=True)
class TaskQueueRouting:
    """The worker versions that get new work from a task queue.

    Attributes:
        current: The current version; None if new work goes to unversioned workers.
        ramping: The version that gets a share of new work; None if no version is ramping.
    """

    current: WorkerDeploymentVersion | None = None
    ramping: WorkerDeploymentVersion | None = None

    def accepts_version(self, version: WorkerDeploymentVersion | None) -> bool:
        """Return whether workers with this version get new work.

        The version None stands for workers without a version.
        """
        return version == self.current or (version is not None and version == self.ramping)


async def read_task_queue_routing(client: Client, task_queue: str) -> TaskQueueRouting:
    """Return the worker versions that get new work from a task queue.

    Raises:
        RPCError: The call to Temporal failed.
    """
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    info = answer.versioning_info
    return TaskQueueRouting(
        parse_version(info.current_deployment_version), parse_version(info.ramping_deployment_version)
    )


def parse_version(raw: RawVersion) -> WorkerDeploymentVersion | None:
    """Parse a version from Temporal's API; None if the version is empty."""
    return WorkerDeploymentVersion(raw.deployment_name, raw.build_id) if raw.build_id else None


def find_pinned_version(described: WorkflowExecutionDescription) -> WorkerDeploymentVersion | None:
    """Return the build that a run is pinned to; None if the run may move to any build that gets new work."""
    info = described.raw_description.workflow_execution_info.versioning_info
    if info.versioning_override.HasField("pinned"):
        return parse_version(info.versioning_override.pinned.version)
    if info.versioning_override.auto_upgrade or info.behavior != VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        return None
    return parse_version(info.deployment_version)


def explain_no_worker(described: WorkflowExecutionDescription, routing: TaskQueueRouting, found: Workers) -> str | None:
    """Explain why no worker can claim a run's tasks, and how to fix the cause; None if a worker can claim them.

    Args:
        described: The run.
        routing: The versions that get new work from the run's task queue.
        found: The workers of the task queue.

    Returns:
        The explanation, with the placeholder `{where}` for the task queue.
    """
    workers, pinned = found.fit, find_pinned_version(described)
    if pinned is not None:
        if any(worker.version == pinned for worker in workers):
            return None
        return (
            f"it is pinned to build {pinned.build_id} of {pinned.deployment_name}, and no worker of that build polls "
            "{where}. Start a worker of that build, or move the workflow to the current build: temporal workflow "
            f"update-options --workflow-id {described.id} --versioning-override-behavior auto_upgrade"
        )
    if any(routing.accepts_version(worker.version) for worker in workers):
        return None
    if workers:
        return f"no worker that polls {{where}} gets new work. {set_current_version_command(workers)}"
    if found.unfit:
        reason = found.unfit[0].reason
        return f"all workers of {{where}} are unfit. {reason} Work continues when a worker can accept tasks again."
    return "no worker is polling {where}. Work continues when a worker starts; `byok doctor` shows what is missing."


def set_current_version_command(workers: Sequence[PollingWorker]) -> str:
    """Return the command that routes new work to the build of the worker that polled last."""
    version = max(workers, key=lambda worker: worker.last_seen).version
    command = "Set the current version: temporal worker deployment set-current-version"
    if version is None:
        return f"{command} --deployment-name <name> --unversioned"
    return f"{command} --deployment-name {version.deployment_name} --build-id {version.build_id}"


async def plan_post_reset_operations(
    client: Client, described: WorkflowExecutionDescription
) -> list[PostResetOperation]:
    """Return the post-reset operations that keep a reset run from waiting for a retired build.

    After a reset, the new run is pinned to the build of the original run. Without these operations, the run would wait
    forever once no worker of that build is left. If that build still gets new work, the run stays on it, and this
    function returns an empty list.
    """
    info = described.raw_description.workflow_execution_info.versioning_info
    build = parse_version(info.deployment_version)
    if build is None or (await read_task_queue_routing(client, described.task_queue)).accepts_version(build):
        return []
    options = WorkflowExecutionOptions(versioning_override=VersioningOverride(auto_upgrade=True))
    update = PostResetOperation.UpdateWorkflowOptions(
        workflow_execution_options=options, update_mask=FieldMask(paths=["versioning_override"])
    )
    return [PostResetOperation(update_workflow_options=update)]
