"""Builds of the worker side by side: which build a run is with, where its next step goes, and how a replay is moved.

With Worker Deployment Versioning each run stays with the build that it began on (`worker.deployment`), and new ones go
to the build that somebody made the current one. Who polls is left to `byok.service.pollers`.
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

from byok.service.pollers import PollingWorker


@dataclass(frozen=True)
class TaskQueueRouting:
    """Where a task queue sends what is bound to no build.

    Attributes:
        current: The current version; None where that is whatever worker is not versioned.
        ramping: The one that gets a part of it, None where there is none.
    """

    current: WorkerDeploymentVersion | None = None
    ramping: WorkerDeploymentVersion | None = None

    def accepts_version(self, version: WorkerDeploymentVersion | None) -> bool:
        """Whether workers of a version, or those without one, are sent new work."""
        return version == self.current or (version is not None and version == self.ramping)


async def read_task_queue_routing(client: Client, task_queue: str) -> TaskQueueRouting:
    """Where a task queue sends new work.

    Raises:
        RPCError: Temporal does not answer.
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
    """A version as Temporal's API writes it; None where nothing is written."""
    return WorkerDeploymentVersion(raw.deployment_name, raw.build_id) if raw.build_id else None


def find_pinned_version(described: WorkflowExecutionDescription) -> WorkerDeploymentVersion | None:
    """The build that a run can be taken up by alone; None where its next step goes where new work goes."""
    info = described.raw_description.workflow_execution_info.versioning_info
    if info.versioning_override.HasField("pinned"):
        return parse_version(info.versioning_override.pinned.version)
    if info.versioning_override.auto_upgrade or info.behavior != VersioningBehavior.VERSIONING_BEHAVIOR_PINNED:
        return None
    return parse_version(info.deployment_version)


def explain_no_worker(
    described: WorkflowExecutionDescription, routing: TaskQueueRouting, workers: Sequence[PollingWorker]
) -> str | None:
    """Why a run waits, and what to do; None where a worker is there that it is sent to.

    Args:
        described: The run.
        routing: Where its task queue sends new work.
        workers: Who polls that; in the text it is called `{where}`.
    """
    pinned = find_pinned_version(described)
    if pinned is not None:
        if any(worker.version == pinned for worker in workers):
            return None
        return (
            f"it began on build {pinned.build_id} of {pinned.deployment_name}, and no worker of that build polls "
            "{where}. Start one, or move it to the current build: temporal workflow update-options "
            f"--workflow-id {described.id} --versioning-override-behavior auto_upgrade"
        )
    if any(routing.accepts_version(worker.version) for worker in workers):
        return None
    if workers:
        return f"none of those that poll {{where}} gets new work. {set_current_version_command(workers)}"
    return "none polls {where}. It goes on as soon as one does; `byok doctor` says what is missing."


def set_current_version_command(workers: Sequence[PollingWorker]) -> str:
    """The command that sends new work to the workers that are there."""
    version = max(workers, key=lambda worker: worker.last_seen).version
    command = "Make one the current version: temporal worker deployment set-current-version"
    if version is None:
        return f"{command} --deployment-name <name> --unversioned"
    return f"{command} --deployment-name {version.deployment_name} --build-id {version.build_id}"


async def plan_post_reset_operations(
    client: Client, described: WorkflowExecutionDescription
) -> list[PostResetOperation]:
    """What a reset has to do besides, so that the run does not wait for a build that is out of use.

    A reset leaves a run with its build, and workers of that may be gone since: it would wait for ever. One that is with
    a build that gets new work stays there.
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
