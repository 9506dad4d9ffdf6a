"""Retries the read-only calls of a Temporal client: a server that restarts or sheds load costs a moment, not an error.

The SDK retries on its own, but not everywhere: calls of `workflow_service` are sent once unless each asks for more, and
CANCELLED is never retried, although a server that closes a connection answers with it.
"""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from google.protobuf.message import Message
from temporalio.service import RPCError, RPCStatusCode, ServiceClient

TRANSIENT_STATUS_CODES: Final = frozenset(
    {
        # A call that we cancel raises asyncio.CancelledError: an answer with this status is the server's.
        RPCStatusCode.CANCELLED,
        # "transport error": what the SDK 1.35 reports where a connection ends in the middle of a call.
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.UNAVAILABLE,
    }
)
"""The answers after which the same read may succeed. Source: gRPC's status codes, and the SDK's own list."""

MAX_RETRY_DURATION: Final = timedelta(seconds=2)
"""How long a read is retried after its first failure. A long poll may run for longer than this before it fails."""

_FIRST_WAIT: Final = timedelta(milliseconds=50)
_LONGEST_WAIT: Final = timedelta(milliseconds=400)
_READS: Final = ("count_", "describe_", "get_", "list_")


class ReadRetryingServiceClient(ServiceClient):
    """A service client whose reads are retried; every other call is passed on as it is.

    Args:
        inner: The client that speaks to the server.
    """

    def __init__(self, inner: ServiceClient) -> None:
        super().__init__(inner.config)
        self._inner = inner

    @property
    def worker_service_client(self) -> Any:
        """What a worker polls with. See the SDK's `ServiceClient`."""
        return self._inner.worker_service_client

    def update_rpc_metadata(self, metadata: Mapping[str, str | bytes]) -> None:
        """See the SDK's `ServiceClient`."""
        self._inner.update_rpc_metadata(metadata)

    def update_api_key(self, api_key: str | None) -> None:
        """See the SDK's `ServiceClient`."""
        self._inner.update_api_key(api_key)

    async def _rpc_call(self, rpc: str, req: Message, resp_type: type[Any], *, retry: bool, **options: Any) -> Any:
        """Send a call, and a read again while it fails for a moment.

        Raises:
            RPCError: The server refuses, or a read kept failing for as long as `PATIENCE`.
        """
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
