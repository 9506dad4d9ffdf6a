"""Lists the workers that poll a task queue."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion

_WORKER_SEEN_WITHIN: Final = timedelta(seconds=70)
"""How recently a worker must have polled to count as running. A poll lasts up to a minute, but the server lists a
worker for five minutes after the worker's last poll."""


@dataclass(frozen=True)
class PollingWorker:
    """A worker that polled recently.

    Attributes:
        version: The worker's deployment version; None if the worker is not versioned.
    """

    identity: str
    last_seen: datetime
    version: WorkerDeploymentVersion | None = None


async def list_polling_workers(client: Client, task_queue: str) -> list[PollingWorker]:
    """Return the workers that recently polled a task queue for both workflows and activities.

    Raises:
        RPCError: The call to Temporal failed.
    """
    kinds = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    workflows, activities = await asyncio.gather(*(_pollers(client, task_queue, kind) for kind in kinds))
    return [worker for worker in workflows if worker.identity in {other.identity for other in activities}]


async def _pollers(client: Client, task_queue: str, kind: TaskQueueType.ValueType) -> list[PollingWorker]:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
        )
    )
    now = datetime.now(UTC)
    seen = (_worker(item) for item in answer.pollers)
    return [worker for worker in seen if now - worker.last_seen < _WORKER_SEEN_WITHIN]


def _worker(item: PollerInfo) -> PollingWorker:
    options = item.deployment_options
    versioned = options.worker_versioning_mode == WorkerVersioningMode.WORKER_VERSIONING_MODE_VERSIONED
    version = WorkerDeploymentVersion(options.deployment_name, options.build_id) if versioned else None
    return PollingWorker(item.identity, item.last_access_time.ToDatetime(tzinfo=UTC), version)
