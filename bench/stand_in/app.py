"""The stand-in's server: maps requests to operations, and serves the control endpoint for benchmarks."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import parse_qsl

from bench.stand_in import rds, sts
from bench.stand_in.calls import CallLeftUnanswered, CallLog
from bench.stand_in.connection import Connection
from bench.stand_in.copies import CopyTexts
from bench.stand_in.messages import (
    AwsError,
    HttpRequest,
    HttpResponse,
    not_modelled_error,
    serialize_error,
    serialize_query_result,
)
from bench.stand_in.rds import RdsService
from bench.stand_in.s3 import S3Service

CONTROL_PATH_PREFIX: Final = "/_stand_in/"

QueryHandler = Callable[[str, dict[str, str]], str]


class StandIn:
    """The AWS operations that the worker's activities call when nothing fails.

    Args:
        database_seconds: How long a cluster, a writer or a snapshot stays in the `creating` or `deleting` state.
        page: Number of clusters or instances per page, if a call has no MaxRecords.
    """

    def __init__(self, database_seconds: float, page: int = 100) -> None:
        self.calls = CallLog()
        self._buckets, self._databases = S3Service(), RdsService(database_seconds, page)
        self._query: Mapping[str, tuple[str, Mapping[str, QueryHandler]]] = {
            "rds": (rds.XML_NAMESPACE, self._databases.handlers),
            "sts": (sts.XML_NAMESPACE, {"GetCallerIdentity": sts.get_caller_identity}),
        }

    def handle_request(self, request: HttpRequest) -> HttpResponse | None:
        """Handle one request and return its response, or None if the call is held."""
        if request.path.startswith(CONTROL_PATH_PREFIX):
            return self._control(request)
        service = "s3"
        try:
            service, region = _scope(request)
            if service == "s3":
                operation, handler = self._buckets.resolve_operation(request)
                self.calls.count_or_refuse(service, operation)
                return handler(request, region)
            if service not in self._query:
                raise not_modelled_error(f"the service {service}")
            return self._by_query(service, region, request.body)
        except CallLeftUnanswered:
            return None
        except AwsError as refused:
            if refused.code == "NotImplemented":
                self.calls.count_not_modelled(refused.message)
            return serialize_error(service, refused, head=request.method == "HEAD")

    def _by_query(self, service: str, region: str, body: bytes) -> HttpResponse:
        namespace, handlers = self._query[service]
        params = dict(parse_qsl(body.decode(), keep_blank_values=True))
        operation = params.pop("Action", "")
        params.pop("Version", None)
        handler = handlers.get(operation)
        if handler is None:
            raise not_modelled_error(f"{service}:{operation or '(no Action)'}")
        self.calls.count_or_refuse(service, operation)
        return serialize_query_result(namespace, operation, handler(region, params))

    def _control(self, request: HttpRequest) -> HttpResponse:
        """Handle a control request.

        The paths are `health` (GET), `calls` (GET and DELETE), `refuse`, `hold` and `disable` (POST and DELETE), and
        `copies` (POST). `disable` disables a KMS key, and `copies` copies an environment.
        """
        match request.method, request.path.removeprefix(CONTROL_PATH_PREFIX):
            case "GET", "health":
                return _json({"ready": True})
            case "GET", "calls":
                return _json(self.calls.as_json())
            case "DELETE", "calls":
                self.calls.clear()
            case "POST", "refuse":
                try:
                    asked = json.loads(request.body)
                    refused = AwsError(asked["code"], asked["message"], asked["status"])
                    self.calls.refusals[asked["operation"]] = refused
                except (ValueError, KeyError, TypeError) as error:
                    return _json({"error": f"operation, code, message and status are required: {error!r}"}, 400)
            case "DELETE", "refuse":
                self.calls.refusals.clear()
            case "POST", "hold":
                self.calls.held_back.add(json.loads(request.body)["operation"])
            case "DELETE", "hold":
                self.calls.held_back.clear()
            case "POST", "disable":
                self._buckets.disabled_keys.add(json.loads(request.body)["key"])
            case "DELETE", "disable":
                self._buckets.disabled_keys.clear()
            case "POST", "copies":
                copies = [CopyTexts(pairs) for pairs in json.loads(request.body)["copies"]]
                self._buckets.copy_environment(copies)
                self._databases.copy_environment(copies)
            case _:
                return _json({"error": f"not found: {request.method} {request.path}"}, 404)
        return _json({})


@asynccontextmanager
async def run_server(stand_in: StandIn, port: int) -> AsyncIterator[int]:
    """Serve on this machine only, and yield the port. Port 0 picks a free port."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(stand_in.handle_request, connections), "127.0.0.1", port)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(connections):
            connection.close()
        await asyncio.sleep(0)  # `connection_lost` runs in the event loop's next iteration


def _scope(request: HttpRequest) -> tuple[str, str]:
    """Return the service and the Region in a signature: Credential=<key>/<day>/<Region>/<service>/aws4_request."""
    parts = request.headers.get("authorization", "").split("/", 4)
    if len(parts) < 5:
        raise not_modelled_error("unsigned requests, because only the signature contains the service and the Region")
    return parts[3], parts[2]


def _json(content: dict[str, Any], status: int = 200) -> HttpResponse:
    return HttpResponse(status, {"content-type": "application/json"}, json.dumps(content).encode())
