"""Retries a Temporal client's read-only calls, and limits how long a call may take.

Because of the retries, a restarting or overloaded server causes a delay, not an error.

The SDK retries only some calls. By default, the SDK sends a `workflow_service` call only once. The SDK never retries
the status CANCELLED, although a server returns this status when it closes a connection.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from google.protobuf.message import Message
from temporalio.service import RPCError, RPCStatusCode, ServiceClient

TRANSIENT_STATUS_CODES: Final = frozenset(
    {
        # If this process cancels a call, the call raises asyncio.CancelledError, so a CANCELLED status always comes
        # from the server.
        RPCStatusCode.CANCELLED,
        # SDK 1.35 reports UNKNOWN with the message "transport error" if a connection is closed in the middle of a call.
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNAVAILABLE,
    }
)
"""Status codes after which a retry of a read may succeed. Source: gRPC's status codes, and the SDK's list of
retryable codes."""

MAX_RETRY_DURATION: Final = timedelta(seconds=2)
"""How long to retry a read after its first failure.

The time before the first failure does not count, because a single long poll can take longer than this duration.
"""

_FIRST_WAIT: Final = timedelta(milliseconds=50)
_LONGEST_WAIT: Final = timedelta(milliseconds=400)
_READS: Final = ("count_", "describe_", "get_", "list_")
_WAITS_FOR_WORKERS: Final = ("poll_", "query_", "update_workflow")
"""The calls that wait for a worker.

A long wait does not mean that the server is slow, so `call_timeout` does not apply to these calls.
"""


class ReadRetryingServiceClient(ServiceClient):
    """A service client that retries reads and can limit how long a call may take.

    Args:
        inner: The client that sends the calls to the server.
        call_timeout: How long a call may take, including its retries. With None, the SDK's limit of 30 seconds applies
            to each attempt. Only the SDK's limit applies to calls that wait for a workflow or a worker.
    """

    def __init__(self, inner: ServiceClient, call_timeout: timedelta | None = None) -> None:
        super().__init__(inner.config)
        self._inner = inner
        self._call_timeout = call_timeout

    @property
    def worker_service_client(self) -> Any:
        """The client that a worker uses for polling. See the SDK's `ServiceClient`."""
        return self._inner.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See the SDK's `ServiceClient`."""
        self._inner.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """See the SDK's `ServiceClient`."""
        self._inner.update_api_key(api_key)

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[Any], *, retry: bool, **options: Any) -> Any:
        """Send a call. Retry the call if it is a read and fails with a transient status code.

        Raises:
            RPCError: The server rejected the call, the read kept failing for `MAX_RETRY_DURATION`, or the server did
                not answer in time. If the server does not respond to a write, it may still have carried out the write.
        """
        if self._call_timeout is None or rpc.startswith(_WAITS_FOR_WORKERS) or getattr(req, "wait_new_event", False):
            return await self._call(rpc, req, resp_type, retry=retry, **options)
        seconds = self._call_timeout.total_seconds()
        try:
            async with asyncio.timeout(seconds):
                return await self._call(rpc, req, resp_type, retry=retry, **options)
        except TimeoutError as error:
            message = f"no answer within {seconds:g} s"
            raise RPCError(message, RPCStatusCode.DEADLINE_EXCEEDED, b"") from error

    async def _call(self, rpc: str, req: Message, resp_type: type[Any], *, retry: bool, **options: Any) -> Any:
        if not rpc.startswith(_READS):
            return await self._inner._rpc_call(rpc, req, resp_type, retry=retry, **options)
        loop, wait, deadline = asyncio.get_running_loop(), _FIRST_WAIT, None
        while True:
            try:
                return await self._inner._rpc_call(rpc, req, resp_type, retry=False, **options)
            except RPCError as error:
                deadline = deadline or loop.time() + MAX_RETRY_DURATION.total_seconds()
                if error.status not in TRANSIENT_STATUS_CODES or loop.time() + wait.total_seconds() > deadline:
                    raise
            await asyncio.sleep(wait.total_seconds())
            wait = min(2 * wait, _LONGEST_WAIT)
