"""A bare FastAPI application that makes the same Temporal calls as the wizard's pages and does nothing else.

For the first request of a path, the application reads what the page shows, with byok's own code, and keeps the calls.
For each further request of this path, it only sends these calls again: those that ran side by side, side by side.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

from fastapi import FastAPI, Request
from google.protobuf.message import Message
from temporalio.client import Client
from temporalio.service import ServiceClient

from bench.web.bare_server import serve
from byok.service.environments import EnvironmentService
from byok.temporal import connect

Call = tuple[tuple[Any, ...], dict[str, Any]]


class CallRecorder(ServiceClient):
    """A service client that keeps the calls, in groups of calls that ran side by side."""

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


@contextlib.asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.temporal = await connect(timedelta(seconds=10))
    app.state.calls, app.state.turn = {}, asyncio.Lock()
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/{path:path}")
async def show_page(path: str, request: Request) -> dict[str, Any]:
    state = request.app.state
    if path not in state.calls:
        async with state.turn:
            if path not in state.calls:
                state.calls[path] = await record_calls(state.temporal, path)
    for group in state.calls[path]:
        sent = (state.temporal.service_client._rpc_call(*call, **options) for call, options in group)
        await asyncio.gather(*sent, return_exceptions=True)  # that a workflow does not exist is an answer too
    return {"path": path, "calls": [call[0] for group in state.calls[path] for call, _ in group]}


async def record_calls(client: Client, path: str) -> list[list[Call]]:
    """Return the calls that a page makes."""
    recorder = CallRecorder(client.service_client)
    service = EnvironmentService(Client(recorder, namespace=client.namespace, data_converter=client.data_converter))
    match path.split("/"):
        case ["environments"]:
            await service.list_environments_page(size=50)
        case ["environments", environment_id]:
            await service.list_attempts(await service.read_status(environment_id))
    return recorder.groups


if __name__ == "__main__":
    serve(app, __doc__)
