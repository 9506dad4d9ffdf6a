"""Lists the workers that poll a task queue, and the unfit workers, which do not accept tasks."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from temporalio.api.enums.v1 import TaskQueueType, WorkerVersioningMode
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import WorkerDeploymentVersion

from byok.contracts import parse_unfit_identity, unfit_task_queue
from byok.domain.models import Problem
from byok.domain.phases import Phase
from byok.domain.problems.platform_remedy_texts import NO_ACTION
from byok.domain.remediation import Remediation, RetryRequest

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


@dataclass(frozen=True)
class UnfitWorker:
    """A worker that does not accept tasks, because AWS would reject its calls (`byok.worker_fitness`)."""

    identity: str
    last_seen: datetime
    reason: str


@dataclass(frozen=True)
class Workers:
    """The workers of a task queue."""

    fit: list[PollingWorker]
    unfit: list[UnfitWorker]


def build_unfit_problem(worker: UnfitWorker, phase: Phase, region: str, since: datetime) -> Problem:
    """Build the problem of an environment whose task has been waiting since `since` because all workers are unfit."""
    return Problem(
        code="worker.Unfit",
        message=worker.reason,
        phase=phase,
        region=region,
        at=worker.last_seen,
        remediation=Remediation.of_retry(
            "None of the platform's workers can accept tasks",
            "You do not need to retry anything: byok continues as soon as a worker can accept tasks.",
            RetryRequest.NONE,
            explanation=f"{NO_ACTION} `byok doctor` lists the workers and their faults.",
        ),
        held_since=since,
    )


async def list_workers(client: Client, task_queue: str) -> Workers:
    """Return the workers that recently polled a task queue for both workflows and activities, and the unfit workers.

    If a worker has just become fit or unfit, Temporal lists the worker on both task queues. The later of the two polls
    shows whether the worker is fit.

    Raises:
        RPCError: The call to Temporal failed.
    """
    workflows, activities, waiting = await asyncio.gather(
        _pollers(client, task_queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
        _pollers(client, task_queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
        _pollers(client, unfit_task_queue(task_queue), TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
    )
    unfit: dict[str, UnfitWorker] = {}
    for worker in sorted(waiting, key=lambda one: one.last_seen):
        identity, reason = parse_unfit_identity(worker.identity)
        unfit[identity] = UnfitWorker(identity, worker.last_seen, reason)
    fit = [worker for worker in workflows if worker.identity in {other.identity for other in activities}]
    fit = [one for one in fit if one.identity not in unfit or one.last_seen > unfit[one.identity].last_seen]
    for worker in fit:
        unfit.pop(worker.identity, None)
    return Workers(fit, list(unfit.values()))


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
