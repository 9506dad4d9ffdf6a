"""Run environment workflows on a real Temporal server, with activities that call the local AWS emulator."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.heartbeat import HeartbeatInterceptor
from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.models import ProvisionRequest
from byok.service.environments import EnvironmentService
from byok.service.status import EnvironmentStatus
from tests.activities.conftest import ActivityHarness, list_real_activities
from tests.localaws.server import REGION, AwsHarness
from tests.workflows.temporal_env import build_temporal_activities
from workflows.environment_record import EnvironmentRecord
from workflows.provision_environment import ProvisionEnvironment


@dataclass
class Stage:
    """A worker whose activities call the local AWS emulator."""

    client: Client
    aws: AwsHarness
    queue: str

    @property
    def service(self) -> EnvironmentService:
        return EnvironmentService(self.client, self.queue)

    async def provision(self, region: str = REGION, **changes: Any) -> ProvisionRequest:
        """Provision an environment; `changes` replaces fields of the request."""
        keys = {"s3_key_arn": self.aws.create_s3_key(region), "rds_key_arn": self.aws.create_rds_key(region)}
        values = {"environment_id": f"env-{uuid.uuid4().hex[:8]}", "region": region, "key_grace_seconds": 0, **keys}
        request = ProvisionRequest.model_validate(values | changes)
        await self.client.execute_workflow(
            PROVISION_ENVIRONMENT_WORKFLOW,
            request,
            id=environment_workflow_id(request.environment_id),
            task_queue=self.queue,
        )
        return request

    async def read(self, request: ProvisionRequest) -> EnvironmentStatus:
        return await self.service.read_status(request.environment_id)


@asynccontextmanager
async def run_stage(
    client: Client, harness: ActivityHarness, workflows: Sequence[type], activities: Sequence[Callable[..., Any]]
) -> AsyncIterator[str]:
    """Run a worker, and yield the name of its task queue.

    The worker provisions environments and keeps their records. A test can add other workflows and activities.
    """
    queue = f"queue-{uuid.uuid4().hex}"
    harness.aws.call_control("POST", "settings", database_seconds=0, propagation_seconds=0)
    with ThreadPoolExecutor(6) as executor:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[ProvisionEnvironment, EnvironmentRecord, *workflows],
            activities=[*list_real_activities(harness), *build_temporal_activities(), *activities],
            activity_executor=executor,
            workflow_runner=UnsandboxedWorkflowRunner(),
            interceptors=[HeartbeatInterceptor()],
        ):
            yield queue
            harness.aws.call_control("DELETE", "faults")
