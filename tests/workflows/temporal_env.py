"""A real Temporal server with a virtual clock, and a worker with fake activities."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Interceptor, UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from activities.attempts import AttemptActivities
from activities.environment_records import RecordActivities
from byok.contracts import (
    DELETE_ENVIRONMENT_WORKFLOW,
    PROGRESS_MEMO,
    PROVISION_ENVIRONMENT_WORKFLOW,
    RECONCILE_TENANT_WORKFLOW,
    SEARCH_ATTRIBUTES,
    TENANT_MEMO,
    environment_workflow_id,
    tenant_workflow_id,
)
from byok.domain.models import (
    DeleteRequest,
    DeletionResult,
    EnvironmentProgress,
    Evidence,
    ProvisionRequest,
    ReconcileTenantRequest,
    TenantOutcome,
    TenantProgress,
)
from byok.domain.notifications import WebhookEndpoint
from byok.service.environments import EnvironmentService
from byok.temporal import make_plugin, register_search_attributes
from tests.workflows.fake_activities import FakeActivities
from workflows.delete_environment import DeleteEnvironment
from workflows.provision_environment import ProvisionEnvironment
from workflows.reconcile_tenant import ReconcileTenant
from workflows.registry import list_workflows

QUICK_REMOVAL = (
    'history.transferProcessorUpdateAckInterval="20ms"',
    'history.timerProcessorUpdateAckInterval="20ms"',
    'history.visibilityProcessorUpdateAckInterval="20ms"',
)
"""Settings that make the Temporal server delete workflows within a second instead of a minute."""

# With these settings, the Temporal server has a separate clock for each workflow, can pause workflows, and distributes
# tasks fairly between organisations. The server does not round timers up to a second or wait 50 ms for each workflow
# task.
_SERVER = (
    "frontend.WorkflowTimeSkippingEnabled=true",
    "frontend.WorkflowPauseEnabled=true",
    'history.timerProcessorMaxTimeShift="1ms"',
    "history.transferProcessorMaxPollRPS=1000",
    *QUICK_REMOVAL,
    "matching.enableFairness=true",
)


def build_temporal_activities(endpoints: Sequence[WebhookEndpoint] = ()) -> list[Callable[..., Any]]:
    """Return the real activities that call only Temporal.

    Args:
        endpoints: The endpoints to which byok delivers notifications.
    """
    records = RecordActivities(endpoints)
    return [AttemptActivities().record_stop, records.open_record, records.report_run, records.report_tenant]


def build_server_options(dynamic_config: Iterable[str]) -> dict[str, Any]:
    """Build the options that `WorkflowEnvironment` uses to start a server.

    Args:
        dynamic_config: The server's settings, each as `<key>=<JSON value>`.
    """
    return {
        "dev_server_existing_path": str(Path(sys.executable).with_name("temporal")),
        "dev_server_extra_args": [word for value in dynamic_config for word in ("--dynamic-config-value", value)],
        "dev_server_log_level": "never",
        "search_attributes": SEARCH_ATTRIBUTES,
        "plugins": [make_plugin()],
    }


@pytest_asyncio.fixture(scope="session")
async def temporal(request: pytest.FixtureRequest) -> AsyncIterator[WorkflowEnvironment]:
    """The Temporal server under test: either the server at `--temporal`, or a new server with a virtual clock.

    Each test uses a separate task queue.
    """
    address = request.config.getoption("--temporal")
    if address is not None:
        client = await Client.connect(address, plugins=[make_plugin()])
        await register_search_attributes(client)
        yield WorkflowEnvironment.from_client(client)
        return
    async with await WorkflowEnvironment.start_time_skipping_v2(**build_server_options(_SERVER)) as environment:
        yield environment


@dataclass
class WorkflowHarness:
    """A worker on a task queue, and a client that starts workflows there."""

    client: Client
    task_queue: str
    activities: FakeActivities

    async def start_provision(self, request: ProvisionRequest) -> WorkflowHandle[ProvisionEnvironment, Evidence]:
        """Start the workflow that provisions an environment."""
        return await self.client.start_workflow(
            PROVISION_ENVIRONMENT_WORKFLOW,
            request,
            id=environment_workflow_id(request.environment_id),
            task_queue=self.task_queue,
            result_type=Evidence,
        )

    async def start_delete(self, request: DeleteRequest) -> WorkflowHandle[DeleteEnvironment, DeletionResult]:
        """Start the workflow that deletes an environment."""
        return await self.client.start_workflow(
            DELETE_ENVIRONMENT_WORKFLOW,
            request,
            id=environment_workflow_id(request.environment_id),
            task_queue=self.task_queue,
            result_type=DeletionResult,
        )

    async def start_reconcile_tenant(
        self, request: ReconcileTenantRequest
    ) -> WorkflowHandle[ReconcileTenant, TenantOutcome]:
        """Start the workflow that puts a tenant name on an environment's keys."""
        return await self.client.start_workflow(
            RECONCILE_TENANT_WORKFLOW,
            request,
            id=tenant_workflow_id(request.environment_id),
            task_queue=self.task_queue,
            result_type=TenantOutcome,
        )

    async def read_progress(self, environment_id: str) -> EnvironmentProgress:
        """Return the progress in the memo of the environment's workflow."""
        described = await self.client.get_workflow_handle(environment_workflow_id(environment_id)).describe()
        return await described.memo_value(PROGRESS_MEMO, type_hint=EnvironmentProgress)

    async def read_tenant_progress(self, environment_id: str) -> TenantProgress:
        """Return the progress in the memo of the tenant workflow."""
        described = await self.client.get_workflow_handle(tenant_workflow_id(environment_id)).describe()
        return await described.memo_value(TENANT_MEMO, type_hint=TenantProgress)


@asynccontextmanager
async def run_harness(
    temporal: WorkflowEnvironment,
    activities: FakeActivities,
    task_queue: str,
    deployment: WorkerDeploymentConfig | None = None,
    *,
    sandbox: bool = False,
    interceptors: Sequence[Interceptor] = (),
) -> AsyncIterator[WorkflowHarness]:
    """Run a worker on a task queue.

    The worker is versioned if `deployment` is given, and runs workflows in Temporal's sandbox if `sandbox` is true.
    """
    with ThreadPoolExecutor(8) as executor:
        async with Worker(
            temporal.client,
            task_queue=task_queue,
            workflows=list_workflows(versioned=deployment is not None),
            activities=[*activities.list_activities, *build_temporal_activities(activities.endpoints)],
            activity_executor=executor,
            max_concurrent_activities=8,
            deployment_config=deployment,
            interceptors=interceptors,
            workflow_runner=SandboxedWorkflowRunner() if sandbox else UnsandboxedWorkflowRunner(),
        ):
            yield WorkflowHarness(temporal.client, task_queue, activities)


@pytest.fixture
def environment_id() -> str:
    """An environment id that no other test uses."""
    return f"env-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def service(harness: WorkflowHarness) -> EnvironmentService:
    """An `EnvironmentService` that uses the task queue of the harness."""
    return EnvironmentService(harness.client, harness.task_queue)


@pytest_asyncio.fixture
async def harness(temporal: WorkflowEnvironment, request: pytest.FixtureRequest) -> AsyncIterator[WorkflowHarness]:
    """A worker with scripted activities.

    Workflow tests run in Temporal's sandbox, which detects nondeterministic workflow code. The sandbox also reloads the
    code for every run, which takes time, so all other tests run without the sandbox, as workers do in production.
    """
    sandbox = "tests/workflows/" in request.node.nodeid
    queue = f"queue-{uuid.uuid4().hex}"
    async with run_harness(temporal, FakeActivities(), queue, sandbox=sandbox) as ready:
        yield ready
