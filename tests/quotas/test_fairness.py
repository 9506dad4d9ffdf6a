"""A backlog of one organisation does not delay the environments of another organisation.

The worker runs one activity at a time, and each activity counts as one turn. Without a backlog, a single environment
begins at the first turn. The queues have one partition, because Temporal distributes tasks fairly only within a
partition.
"""

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
import yaml
from temporalio import activity, workflow
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.common import Priority
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, environment_workflow_id
from byok.domain.models import ProvisionRequest
from byok.local.ports import Ports
from byok.local.temporal_server import build_server_command
from byok.service.environments import EnvironmentService
from tests.quotas.conftest import Tenant
from tests.workflows.fake_activities import FakeActivities, build_provision_request
from tests.workflows.temporal_env import build_server_options, build_temporal_activities
from workflows.provision_environment import ProvisionEnvironment

ROOT = Path(__file__).parents[2]
BACKLOG = int(os.environ.get("BYOK_TEST_BACKLOG", "200"))
MANY_TURNS = 40
"""An environment that has not begun after this many turns is waiting for the backlog."""
_ONE_TURN = "take_a_turn"


@workflow.defn
class Backlog:
    """Schedules as many activities at once as a large number of environments in one organisation."""

    @workflow.run
    async def run(self, _: ProvisionRequest) -> None:
        """Schedule the activities."""
        for _turn in range(BACKLOG):
            workflow.start_activity(_ONE_TURN, start_to_close_timeout=timedelta(minutes=1))
        await workflow.wait_condition(lambda: False)


class Turns(FakeActivities):
    """Activities that record whether each turn of the worker goes to an environment or to the backlog."""

    @property
    def turns(self) -> list[str | None]:
        """The environment id for each turn so far, or None for a turn of the backlog.

        Only an environment's first turn is listed.
        """
        tasks = iter(self.inputs.get("find_exceeded_quota", []))
        order = [name for name in self.calls if name in (_ONE_TURN, "find_exceeded_quota")]
        return [None if name == _ONE_TURN else next(tasks).environment_id for name in order]

    @activity.defn(name=_ONE_TURN)
    def take_a_turn(self) -> None:
        """Take a turn."""
        self.calls.append(_ONE_TURN)


@asynccontextmanager
async def start_server(*, fairness: bool) -> AsyncIterator[WorkflowEnvironment]:
    config = (
        f"matching.enableFairness={str(fairness).lower()}",
        "matching.numTaskqueueReadPartitions=1",
        "matching.numTaskqueueWritePartitions=1",
        # By default, the server reports the length of a task queue only every 5 s.
        'matching.taskQueueInfoByBuildIdTTL="1ms"',
        'history.timerProcessorMaxTimeShift="1ms"',
        "history.transferProcessorMaxPollRPS=1000",
    )
    async with await WorkflowEnvironment.start_local(**build_server_options(config)) as server:
        yield server


@pytest_asyncio.fixture(scope="module")
async def fair_client() -> AsyncIterator[Client]:
    """A client for a server that distributes tasks fairly."""
    async with start_server(fairness=True) as server:
        yield server.client


async def wait_for_tasks(client: Client, queue: str, count: int) -> None:
    """Wait until a task queue has a backlog of at least this many activities."""
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        report_stats=True,
    )
    async with asyncio.timeout(30):
        while True:
            found = await client.workflow_service.describe_task_queue(request, retry=True)
            if found.stats.approximate_backlog_count >= count:
                return
            await asyncio.sleep(0.01)


async def start_by_service(client: Client, queue: str, organisation: str) -> str:
    """Start an environment as the API, the wizard and the CLI do."""
    request = build_provision_request(f"{organisation}-{uuid.uuid4().hex[:8]}", organisation=organisation)
    await EnvironmentService(client, queue).create(request)
    return request.environment_id


async def start_by_hand(client: Client, queue: str, organisation: str) -> str:
    """Start an environment as Temporal's UI does, without a fairness key."""
    request = build_provision_request(f"{organisation}-{uuid.uuid4().hex[:8]}", organisation=organisation)
    await client.start_workflow(
        PROVISION_ENVIRONMENT_WORKFLOW,
        json.loads(request.model_dump_json()),
        id=environment_workflow_id(request.environment_id),
        task_queue=queue,
    )
    return request.environment_id


async def take_turns(
    client: Client, how: str, organisations: dict[str, str], *, backlog: bool = True
) -> dict[str, int | None]:
    """Queue a backlog for acme, then queue environments, and return the turn at which each environment begins.

    Args:
        client: A client for the server.
        how: How the backlog and the environments are started: through `EnvironmentService` or directly in Temporal.
        organisations: The organisation of each environment.
        backlog: Whether to queue the backlog.
    """
    queue, activities = f"fairness-{uuid.uuid4().hex}", Turns()
    started: dict[str, str] = {}
    # This worker schedules the activities but runs none of them, so that they are queued in the order in which they
    # were scheduled.
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Backlog, ProvisionEnvironment],
        activities=[activities.plan_environment, *build_temporal_activities()],
        no_remote_activities=True,
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        waiting = 0
        if backlog:
            request = build_provision_request("acme-backlog", organisation="acme")
            priority = Priority(fairness_key="acme") if how == "service" else Priority.default
            await client.start_workflow("Backlog", request, id=queue, task_queue=queue, priority=priority)
            waiting = BACKLOG
            await wait_for_tasks(client, queue, waiting)
        for name, organisation in organisations.items():
            start = start_by_service if how == "service" else start_by_hand
            started[name] = await start(client, queue, organisation)
            waiting += 1
            await wait_for_tasks(client, queue, waiting)
    with ThreadPoolExecutor(1) as executor:
        async with Worker(
            client,
            task_queue=queue,
            workflows=[Backlog, ProvisionEnvironment],
            activities=[*activities.list_activities, *build_temporal_activities()],
            activity_executor=executor,
            max_concurrent_activities=1,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            async with asyncio.timeout(30):
                while len(activities.turns) < MANY_TURNS and not set(started.values()) <= set(activities.turns):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
    turns = activities.turns
    async for run in client.list_workflows(f"TaskQueue = '{queue}' AND ExecutionStatus = 'Running'"):
        await client.get_workflow_handle(run.id, run_id=run.run_id).terminate()
    return {name: turns.index(one) + 1 if one in turns else None for name, one in started.items()}


@pytest.mark.parametrize("how", ["service", "Temporal"])
async def test_backlog_of_one_organisation_does_not_delay_another(fair_client: Client, how: str) -> None:
    alone = await take_turns(fair_client, how, {"other": "globex"}, backlog=False)
    begins = await take_turns(fair_client, how, {"same": "acme", "other": "globex"})

    assert alone["other"] == 1
    assert begins["other"] is not None
    assert begins["other"] <= 2 * alone["other"]
    assert begins["same"] is None  # the fairness key alone makes the difference


async def test_server_ignores_fairness_keys_without_the_switch() -> None:
    async with start_server(fairness=False) as server:
        begins = await take_turns(server.client, "service", {"other": "globex"})

    assert begins["other"] is None


def test_every_server_that_byok_configures_distributes_tasks_fairly() -> None:
    ports = Ports()
    compose = yaml.safe_load((ROOT / "deploy/temporal/dynamicconfig.yaml").read_text())

    local = build_server_command(ports, Path("a-database"))
    assert "matching.enableFairness=true" in local
    assert compose["matching.enableFairness"] == [{"value": True}]
    for partitions in ("matching.numTaskqueueReadPartitions", "matching.numTaskqueueWritePartitions"):
        assert f"{partitions}=1" in local
        assert compose[partitions] == [{"value": 1}]


async def test_workflow_has_its_organisation_as_fairness_key(tenant: Tenant) -> None:
    environment_id = await tenant.create("first")
    handle = tenant.harness.client.get_workflow_handle(environment_workflow_id(environment_id))

    described = await handle.describe()

    assert described.raw_description.workflow_execution_info.priority.fairness_key == tenant.name
    keys = {
        event.activity_task_scheduled_event_attributes.priority.fairness_key
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    }
    assert keys == {tenant.name}
