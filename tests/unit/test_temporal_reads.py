"""byok retries reads from Temporal after transient errors, sends writes only once, and limits how long a call takes."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    TerminateWorkflowExecutionRequest,
)
from temporalio.client import Client, WorkflowFailureError
from temporalio.service import ConnectConfig, RPCError, RPCStatusCode, ServiceClient
from temporalio.testing import WorkflowEnvironment

from byok import temporal_read_retry as temporal_reads
from byok.local.ports import HOST
from byok.service.environments import EnvironmentService
from byok.service.errors import TemporalRefusedError, TemporalUnreachableError
from byok.temporal import make_plugin
from byok.temporal_read_retry import TRANSIENT_STATUS_CODES, ReadRetryingServiceClient
from tests.faults.cuttable_proxy import CuttableProxy


class ScriptedServiceClient(ServiceClient):
    """A service client whose calls fail with these statuses, in order, and then succeed."""

    worker_service_client: Any = None

    def __init__(self, *statuses: RPCStatusCode) -> None:
        super().__init__(ConnectConfig("127.0.0.1:1"))
        self.statuses = list(statuses)
        self.calls: list[str] = []
        self.asked = asyncio.Event()

    def update_rpc_metadata(self, metadata: Any) -> None:
        """Do nothing."""

    def update_api_key(self, api_key: str | None) -> None:
        """Do nothing."""

    async def _rpc_call(self, rpc: str, req: Any, resp_type: type[Any], **options: Any) -> Any:
        self.calls.append(rpc)
        self.asked.set()
        if self.statuses:
            raise RPCError("operation was canceled", self.statuses.pop(0), b"")
        return resp_type()


def build_request() -> DescribeTaskQueueRequest:
    return DescribeTaskQueueRequest(namespace="default", task_queue=TaskQueue(name="byok"))


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUS_CODES))
async def test_read_is_retried_after_a_transient_error(status: RPCStatusCode) -> None:
    server = ScriptedServiceClient(status, status)
    answer = await ReadRetryingServiceClient(server).workflow_service.describe_task_queue(build_request())
    assert answer == DescribeTaskQueueResponse()
    assert server.calls == ["describe_task_queue"] * 3


@pytest.mark.parametrize("status", sorted(set(RPCStatusCode) - TRANSIENT_STATUS_CODES - {RPCStatusCode.OK}))
async def test_other_errors_are_final(status: RPCStatusCode) -> None:
    server = ScriptedServiceClient(status)
    with pytest.raises(RPCError):
        await ReadRetryingServiceClient(server).workflow_service.describe_task_queue(build_request())
    assert server.calls == ["describe_task_queue"]


async def test_write_is_sent_once() -> None:
    server = ScriptedServiceClient(RPCStatusCode.CANCELLED)
    with pytest.raises(RPCError):
        await ReadRetryingServiceClient(server).workflow_service.terminate_workflow_execution(
            TerminateWorkflowExecutionRequest()
        )
    assert server.calls == ["terminate_workflow_execution"]


async def test_cancelled_read_ends_at_once() -> None:
    server = ScriptedServiceClient(*[RPCStatusCode.UNAVAILABLE] * 1000)
    reading = asyncio.create_task(
        ReadRetryingServiceClient(server).workflow_service.describe_task_queue(build_request())
    )
    await server.asked.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUS_CODES))
async def test_persistent_failure_is_reported_as_unreachable(
    status: RPCStatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temporal_reads, "MAX_RETRY_DURATION", temporal_reads._FIRST_WAIT * 4)
    server = ScriptedServiceClient(*[status] * 1000)
    with pytest.raises(TemporalUnreachableError, match="operation was canceled"):
        await EnvironmentService(Client(ReadRetryingServiceClient(server))).list_workers()
    assert set(server.calls) == {"describe_task_queue"}
    assert len(server.calls) > 2


async def test_refused_read_is_reported_as_refused() -> None:
    server = ScriptedServiceClient(*[RPCStatusCode.PERMISSION_DENIED] * 2)
    with pytest.raises(TemporalRefusedError, match="operation was canceled"):
        await EnvironmentService(Client(ReadRetryingServiceClient(server))).list_workers()


async def test_read_survives_a_lost_connection(temporal: WorkflowEnvironment) -> None:
    port = int(temporal.client.service_client.config.target_host.rpartition(":")[2])
    async with CuttableProxy(port) as line:
        client = await Client.connect(f"{HOST}:{line.port}", plugins=[make_plugin()])
        service = EnvironmentService(client, "an-unpolled-queue")
        await line.cut_and_disconnect()
        reading = asyncio.create_task(service.list_workers())
        await asyncio.wait([reading], timeout=temporal_reads.MAX_RETRY_DURATION.total_seconds() / 4)
        assert not reading.done(), reading.exception()
        line.restore()
        assert await reading == []


async def test_call_without_an_answer_ends_in_time(temporal: WorkflowEnvironment) -> None:
    port, timeout = int(temporal.client.service_client.config.target_host.rpartition(":")[2]), timedelta(seconds=0.5)
    async with CuttableProxy(port) as line:
        client = await Client.connect(f"{HOST}:{line.port}", plugins=[make_plugin(timeout)])
        line.cut()
        for call in (client.count_workflows(), client.start_workflow("X", id="x", task_queue="an-unpolled-queue")):
            with pytest.raises(RPCError, match=r"no answer within 0\.5 s") as caught:
                await asyncio.wait_for(call, 5)
            assert caught.value.status is RPCStatusCode.DEADLINE_EXCEEDED


async def test_waiting_for_a_result_has_no_time_limit(temporal: WorkflowEnvironment) -> None:
    timeout = timedelta(seconds=0.5)
    client = await Client.connect(temporal.client.service_client.config.target_host, plugins=[make_plugin(timeout)])
    handle = await client.start_workflow("X", id="waiting-without-a-worker", task_queue="an-unpolled-queue")
    result = asyncio.create_task(handle.result())
    await asyncio.wait([result], timeout=2 * timeout.total_seconds())
    assert not result.done(), result.exception()
    await handle.terminate()
    with pytest.raises(WorkflowFailureError):
        await result
