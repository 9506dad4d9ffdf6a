"""Test what Temporal's server, SDK and CLI do without byok's plugin, client and commands (docs/behaviour.md).

If one of these tests fails after an upgrade, the behaviour has changed: update docs/behaviour.md, and remove the code
that byok no longer needs.
"""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflow.v1 import PostResetOperation
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest, ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle
from temporalio.common import RetryPolicy, SearchAttributeKey
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

_DEADLINE = 30
_TEMPORAL = str(Path(sys.executable).with_name("temporal"))
_UNREGISTERED = SearchAttributeKey.for_keyword("NoServerHasRegisteredThis")
_ATTEMPTS = 3


class _Request(BaseModel):
    name: str


@workflow.defn
class _Wait:
    @workflow.run
    async def run(self, request: _Request) -> None:
        await workflow.wait_condition(lambda: not request.name)


@workflow.defn
class _Upsert:
    @workflow.run
    async def run(self) -> None:
        workflow.upsert_search_attributes([_UNREGISTERED.value_set("x")])


@workflow.defn
class _SignalItself:
    @workflow.run
    async def run(self) -> None:
        await workflow.get_external_workflow_handle(workflow.info().workflow_id).signal("add", "news")


@workflow.defn
class _Collect:
    """Waits for a signal, and returns the values of all signals that it has received by then."""

    def __init__(self) -> None:
        self._found: list[str] = []

    @workflow.signal
    def add(self, news: str) -> None:
        self._found.append(news)

    @workflow.run
    async def run(self) -> list[str]:
        await workflow.wait_condition(lambda: bool(self._found))
        return self._found


@workflow.defn
class _Call:
    """Calls activities in parallel."""

    @workflow.run
    async def run(self, activities: list[str], not_retried: list[str]) -> None:
        policy = RetryPolicy(
            initial_interval=timedelta(milliseconds=1),
            maximum_attempts=_ATTEMPTS,
            non_retryable_error_types=not_retried,
        )
        await asyncio.gather(
            *(
                workflow.start_activity(name, start_to_close_timeout=timedelta(seconds=20), retry_policy=policy)
                for name in activities
            )
        )


@workflow.defn
class _Publish:
    """Changes the memo before each of two activities; the second activity fails."""

    @workflow.run
    async def run(self) -> None:
        for name in ("succeed", "fail"):
            workflow.upsert_memo({"phase": name})
            await workflow.execute_activity(
                name, start_to_close_timeout=timedelta(seconds=20), retry_policy=RetryPolicy(maximum_attempts=1)
            )


class _KeyError(Exception):
    """The base class of the error that the activity raises."""


class _DisabledKeyError(_KeyError):
    pass


class _Activities:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.succeeded = asyncio.Event()
        self.key_is_disabled = True

    @activity.defn(name="succeed")
    async def succeed(self) -> None:
        self.calls.append("succeed")
        self.succeeded.set()

    @activity.defn(name="fail")
    async def fail(self) -> None:
        await self.succeeded.wait()
        self.calls.append("fail")
        if self.key_is_disabled:
            raise _DisabledKeyError


@pytest.fixture
async def client(temporal: WorkflowEnvironment) -> Client:
    """A client with only the SDK's pydantic converter, connected to the server under test."""
    server = temporal.client.service_client.config.target_host
    return await Client.connect(
        server, namespace=temporal.client.namespace, data_converter=pydantic_data_converter, lazy=False
    )


@asynccontextmanager
async def run_worker(client: Client, activities: _Activities | None = None) -> AsyncIterator[str]:
    """Run a worker without byok's plugin, and yield its task queue."""
    given = activities or _Activities()
    queue = f"queue-{uuid.uuid4().hex}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[_Wait, _Upsert, _Call, _Publish, _SignalItself, _Collect],
        activities=[given.succeed, given.fail],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield queue


async def wait_for_event(handle: WorkflowHandle[object, object], fact: Callable[[HistoryEvent], bool]) -> HistoryEvent:
    """Wait until a workflow's history contains an event that satisfies a condition, and return the event."""
    async with asyncio.timeout(_DEADLINE):
        async for event in handle.fetch_history_events(wait_new_event=True):
            if fact(event):
                return event
    raise AssertionError("the history ended without this event")


async def reset(
    client: Client,
    handle: WorkflowHandle[object, object],
    event_id: int,
    then: PostResetOperation.SignalWorkflow | None = None,
    request_id: str | None = None,
) -> WorkflowHandle[object, object]:
    """Reset a run to a completed workflow task, and return a handle to the new run."""
    response = await client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=handle.result_run_id or ""),
            reason="test",
            workflow_task_finish_event_id=event_id,
            request_id=request_id or str(uuid.uuid4()),
            post_reset_operations=[PostResetOperation(signal_workflow=then)] if then else [],
        )
    )
    return client.get_workflow_handle(handle.id, run_id=response.run_id)


async def start_call(
    client: Client, queue: str, activities: list[str], *not_retried: str
) -> WorkflowHandle[object, object]:
    """Start a workflow that calls these activities, and wait until it fails."""
    handle = await client.start_workflow(
        "_Call", args=[activities, list(not_retried)], id=f"call-{uuid.uuid4().hex}", task_queue=queue
    )
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(handle.result(), _DEADLINE)
    return handle


async def list_workflow_tasks(handle: WorkflowHandle[object, object]) -> list[int]:
    """List the event ids of a run's completed workflow tasks."""
    completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
    return [event.event_id async for event in handle.fetch_history_events() if event.event_type == completed]


async def test_input_that_does_not_match_its_type_hangs_the_workflow(client: Client) -> None:
    async with run_worker(client) as queue:
        handle = await client.start_workflow("_Wait", {"nam": "acme"}, id=f"wait-{uuid.uuid4().hex}", task_queue=queue)

        failed = await wait_for_event(
            handle, lambda event: event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        )

        described = await handle.describe()
        assert "Failed decoding arguments" in failed.workflow_task_failed_event_attributes.failure.message
        assert described.status is not None
        assert described.status.name == "RUNNING"
        await handle.terminate()


async def test_unregistered_search_attribute_hangs_the_workflow(client: Client) -> None:
    async with run_worker(client) as queue:
        handle = await client.start_workflow("_Upsert", id=f"upsert-{uuid.uuid4().hex}", task_queue=queue)

        failed = await wait_for_event(
            handle, lambda event: event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        )

        cause = failed.workflow_task_failed_event_attributes.cause
        assert cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_BAD_SEARCH_ATTRIBUTES
        await handle.terminate()


@pytest.mark.parametrize(
    ("not_retried", "attempts"), [("_DisabledKeyError", 1), ("_KeyError", _ATTEMPTS)], ids=["its class", "base class"]
)
async def test_policy_matches_only_the_exact_name_of_an_error(client: Client, not_retried: str, attempts: int) -> None:
    activities = _Activities()
    activities.succeeded.set()
    async with run_worker(client, activities) as queue:
        await start_call(client, queue, ["fail"], not_retried)

    assert activities.calls == ["fail"] * attempts


async def test_reset_to_the_last_workflow_task_repeats_the_failure_without_a_call(client: Client) -> None:
    activities = _Activities()
    activities.succeeded.set()
    async with run_worker(client, activities) as queue:
        handle = await start_call(client, queue, ["fail"], "_DisabledKeyError")
        activities.key_is_disabled = False

        again = await reset(client, handle, (await list_workflow_tasks(handle))[-1])

        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(again.result(), _DEADLINE)
    assert activities.calls == ["fail"]


async def test_reset_repeats_the_activities_that_ran_in_parallel_with_the_failed_one(client: Client) -> None:
    activities = _Activities()
    async with run_worker(client, activities) as queue:
        handle = await start_call(client, queue, ["succeed", "fail"], "_DisabledKeyError")
        activities.key_is_disabled = False
        activities.succeeded.clear()

        again = await reset(client, handle, (await list_workflow_tasks(handle))[0])

        await asyncio.wait_for(again.result(), _DEADLINE)
    assert activities.calls == ["succeed", "fail", "succeed", "fail"]


async def test_second_reset_with_the_same_request_id_terminates_the_run_of_the_first(client: Client) -> None:
    activities = _Activities()
    activities.succeeded.set()
    async with run_worker(client, activities) as queue:
        handle = await start_call(client, queue, ["fail"], "_DisabledKeyError")
        point = (await list_workflow_tasks(handle))[0]
    request_id = uuid.uuid4().hex

    first, second = [await reset(client, handle, point, request_id=request_id) for _ in range(2)]

    assert first.run_id != second.run_id
    status = (await first.describe()).status
    assert status is WorkflowExecutionStatus.TERMINATED
    await second.terminate()


async def test_reset_drops_what_the_workflow_wrote_into_its_memo_later(client: Client) -> None:
    async with run_worker(client) as queue:
        handle = await client.start_workflow(
            "_Publish", id=f"publish-{uuid.uuid4().hex}", task_queue=queue, memo={"phase": "started"}
        )
        with pytest.raises(WorkflowFailureError):
            await asyncio.wait_for(handle.result(), _DEADLINE)
        _, second, *_ = await list_workflow_tasks(handle)
    assert await (await handle.describe()).memo_value("phase") == "fail"

    again = await reset(client, handle, second)  # without a worker, the new run cannot change its memo

    assert await (await again.describe()).memo_value("phase") == "succeed"
    await again.terminate()


async def test_workflow_cannot_signal_itself(client: Client) -> None:
    async with run_worker(client) as queue:
        handle = await client.start_workflow("_SignalItself", id=f"signal-{uuid.uuid4().hex}", task_queue=queue)
        with pytest.raises(WorkflowFailureError) as failed:
            await asyncio.wait_for(handle.result(), _DEADLINE)
    assert "ExternalWorkflowExecutionNotFound" in str(failed.value.cause)


async def test_reset_applies_later_signals_and_does_not_record_its_requester(client: Client) -> None:
    async with run_worker(client) as queue:
        handle = await client.start_workflow("_Collect", id=f"collect-{uuid.uuid4().hex}", task_queue=queue)
        completed = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        first = (await wait_for_event(handle, lambda event: event.event_type == completed)).event_id
        await handle.signal("add", "news")
        await asyncio.wait_for(handle.result(), _DEADLINE)

        again = await reset(client, handle, first)

        assert await asyncio.wait_for(again.result(), _DEADLINE) == ["news"]
        events = [event async for event in again.fetch_history_events()]
    (reset_event,) = [event for event in events if event.HasField("workflow_task_failed_event_attributes")]
    failed = reset_event.workflow_task_failed_event_attributes
    assert failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW
    assert (failed.identity, failed.failure.message) == ("history-service", "test")
    assert (failed.base_run_id, failed.new_run_id) == (handle.result_run_id, again.run_id)
    assert events[events.index(reset_event) + 1].HasField("workflow_execution_signaled_event_attributes")
    with pytest.raises(RPCError, match="unsupported post reset operation"):
        await reset(client, handle, first, PostResetOperation.SignalWorkflow(signal_name="add"))


async def test_list_cannot_be_sorted(client: Client) -> None:
    with pytest.raises(RPCError, match="'ORDER BY'"):
        _ = [run async for run in client.list_workflows("WorkflowId = 'none' ORDER BY StartTime")]


async def test_status_of_a_paused_workflow_raises(client: Client) -> None:
    handle = await client.start_workflow(
        "_Wait", _Request(name="acme"), id=f"wait-{uuid.uuid4().hex}", task_queue=f"queue-{uuid.uuid4().hex}"
    )

    request = PauseWorkflowExecutionRequest(
        namespace=client.namespace, workflow_id=handle.id, identity="test", reason="test"
    )
    try:
        await client.workflow_service.pause_workflow_execution(request)
    except RPCError as error:
        await handle.terminate()
        pytest.skip(f"this server cannot pause workflows: {error}")

    with pytest.raises(ValueError, match="8 is not a valid WorkflowExecutionStatus"):
        _ = (await handle.describe()).status
    await handle.terminate()


async def test_second_start_by_the_cli_drops_its_input_and_exits_with_0(client: Client) -> None:
    name = f"wait-{uuid.uuid4().hex}"
    handle = await client.start_workflow(
        "_Wait", _Request(name="first"), id=name, task_queue=f"queue-{uuid.uuid4().hex}"
    )
    start = [
        *(_TEMPORAL, "workflow", "start", "--address", client.service_client.config.target_host),
        *("--namespace", client.namespace, "--type", "_Wait", "--workflow-id", name, "--task-queue", "other"),
        *("--input", '{"name": "second"}'),
    ]

    codes = []
    for options in ([], ["--fail-existing"]):
        process = await asyncio.create_subprocess_exec(
            *start, *options, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        codes.append(await asyncio.wait_for(process.wait(), _DEADLINE))

    assert codes == [0, 1]
    started = (await handle.fetch_history()).events[0].workflow_execution_started_event_attributes
    assert b"first" in started.input.payloads[0].data
    assert (await client.get_workflow_handle(name).describe()).run_id == handle.result_run_id
    await handle.terminate()
