"""A bare FastAPI application that makes the same Temporal calls as the API and the wizard, and does nothing else.

For the first request to a path, the application runs byok's own code and records the Temporal calls. For each further
request to the path, the application only repeats the recorded calls, and decodes the workflows in the responses as
Temporal's SDK does for every caller. Calls that ran concurrently are repeated concurrently.
"""

import argparse
import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from google.protobuf.message import Message
from pydantic import BaseModel
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse, ListWorkflowExecutionsResponse
from temporalio.client import Client, WorkflowExecution
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import ServiceClient

from byok import contracts
from byok.service.environments import EnvironmentService
from byok.temporal import connect

Call = tuple[tuple[Any, ...], dict[str, Any]]


class CallRecorder(ServiceClient):
    """A service client that records every call. Calls that run concurrently form a group."""

    def __init__(self, inner: ServiceClient) -> None:
        super().__init__(inner.config)
        self.inner = inner
        self.groups: list[list[Call]] = []
        self._running = 0

    @property
    def worker_service_client(self) -> Any:
        """See the SDK's `ServiceClient`."""
        return self.inner.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See the SDK's `ServiceClient`."""
        self.inner.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """See the SDK's `ServiceClient`."""
        self.inner.update_api_key(api_key)

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[Any], **options: Any) -> Any:
        if not self._running:
            self.groups.append([])
        self.groups[-1].append(((rpc, req, resp_type), options))
        self._running += 1
        try:
            return await self.inner._rpc_call(rpc, req, resp_type, **options)
        finally:
            self._running -= 1


class CreateRequest(BaseModel):
    """The body of a create request, without any of the API's validation."""

    environment_id: str
    region: str
    s3_key_arn: str
    rds_key_arn: str
    key_grace_seconds: int = 30


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.temporal = await connect(timedelta(seconds=10))
    app.state.calls, app.state.turn = {}, asyncio.Lock()
    yield


app = FastAPI(lifespan=lifespan)


@app.post("/v1/environments", status_code=202)
async def create_environment(asked: CreateRequest, request: Request) -> dict[str, Any]:
    handle = await request.app.state.temporal.start_workflow(
        contracts.PROVISION_ENVIRONMENT_WORKFLOW,
        asked,
        id=contracts.environment_workflow_id(asked.environment_id),
        task_queue=contracts.TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    return {"environment_id": asked.environment_id, "workflow_id": handle.id, "run_id": handle.result_run_id}


@app.get("/{path:path}")
async def repeat_calls(path: str, request: Request) -> dict[str, Any]:
    state = request.app.state
    if path not in state.calls:
        async with state.turn:
            if path not in state.calls:
                state.calls[path] = await record_calls(state.temporal, path)
    for group in state.calls[path]:
        sent = (repeat_call(state.temporal, call) for call in group)
        await asyncio.gather(*sent, return_exceptions=True)  # "workflow not found" is a valid response, too
    return {"path": path, "calls": [call[0] for group in state.calls[path] for call, _ in group]}


async def repeat_call(client: Client, call: Call) -> list[WorkflowExecution]:
    """Repeat a call, and return the workflows in the response.

    Decoding is a part of the SDK's `list_workflows` and `describe`: no program that uses the SDK can leave it out.
    """
    arguments, options = call
    response = await client.service_client._rpc_call(*arguments, **options)
    match response:
        case ListWorkflowExecutionsResponse():
            found = list(response.executions)
        case DescribeWorkflowExecutionResponse():
            found = [response.workflow_execution_info]
        case _:
            found = []
    return [WorkflowExecution._from_raw_info(one, client.namespace, client.data_converter) for one in found]


async def record_calls(client: Client, path: str) -> list[list[Call]]:
    """Run byok's own code for a path, and return the Temporal calls that it makes."""
    recorder = CallRecorder(client.service_client)
    service = EnvironmentService(Client(recorder, namespace=client.namespace, data_converter=client.data_converter))
    match path.split("/"):
        case ["environments"]:
            await service.list_environments_page(size=50)
        case ["v1", "environments", environment_id]:
            await service.read_status(environment_id)
        case ["environments", environment_id]:
            await service.list_attempts(await service.read_status(environment_id))
    return recorder.groups


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = uvicorn.Server(uvicorn.Config(app, "127.0.0.1", port, log_config=None, access_log=False))
    asyncio.run(server.serve())
