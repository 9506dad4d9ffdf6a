"""The server, which turns every request into a `Call`, injects faults, and runs a handler.

For an S3 call, the server runs moto instead of a handler, and adds the rules that moto lacks.
"""

import io
import socket
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, Final

from moto.moto_server.werkzeug_app import create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from localaws import faults, recorder, sts
from localaws.accounts import create_platform_role, find_caller, find_secret, is_session_expired
from localaws.call import AwsError, Call, HttpResponse, Operation
from localaws.cloudformation import operations as cloudformation
from localaws.control import CONTROL_PATH_PREFIX, ControlEndpoint
from localaws.iam import roles as iam
from localaws.kms import aliases, cryptography, grants, imports, replicas, rotation, tags
from localaws.kms import operations as kms
from localaws.presigned import accepts_json, is_presigned, verify_presigned
from localaws.protocol import (
    SERVICES,
    new_request_id,
    parse_credential_scope,
    parse_operation,
    parse_params,
    serialize_error,
    serialize_result,
)
from localaws.rds import clusters as rds
from localaws.s3 import rules as s3
from localaws.s3.listing import build_moto_query
from localaws.state import STATE, AwsState

HANDLERS: Final[dict[str, dict[str, Operation]]] = {
    "kms": {
        **kms.HANDLERS,
        **cryptography.HANDLERS,
        **aliases.HANDLERS,
        **tags.HANDLERS,
        **grants.HANDLERS,
        **replicas.HANDLERS,
        **rotation.HANDLERS,
        **imports.HANDLERS,
    },
    "rds": rds.HANDLERS,
    "sts": sts.HANDLERS,
    "iam": iam.HANDLERS,
    "cloudformation": cloudformation.HANDLERS,
}
"""Every modelled operation, except the S3 operations. moto executes those, and `localaws.s3.operations` lists them."""

StartResponse = Callable[..., object]


class LocalAws:
    """The WSGI application, which executes one call at a time, so that every call sees a consistent state."""

    def __init__(self, health: dict[str, Any] | None = None) -> None:
        self._moto_s3 = create_backend_app("s3")
        self._lock = threading.Lock()
        self._control = ControlEndpoint(self.reset, health if health is not None else {})
        s3.disable_moto_bucket_policies()
        if not STATE.roles:
            create_platform_role()

    def reset(self) -> None:
        """Reset everything to its initial state, except the configured durations."""
        from moto.s3.models import s3_backends

        with self._lock:
            fresh = AwsState(database_seconds=STATE.database_seconds, propagation_seconds=STATE.propagation_seconds)
            STATE.__dict__.update(fresh.__dict__)
            s3_backends.reset()
            create_platform_role()
            faults.clear()
            recorder.clear_calls()

    def drain(self) -> None:
        """Stop executing calls before the process ends, and wait until no call is running."""
        self._lock.acquire()

    def __call__(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        body = _read_body(environ)
        path = environ.get("PATH_INFO", "/")
        if path.startswith(CONTROL_PATH_PREFIX):
            return _send(self._control.handle_request(environ["REQUEST_METHOD"], path, body), start_response)
        _bucket_from_host(environ)
        try:
            return _send(self._answer(environ, body), start_response)
        except faults.ConnectionCut:
            return _cut(environ)

    def _answer(self, environ: dict[str, Any], body: bytes) -> HttpResponse:
        scope = parse_credential_scope(environ)
        service = scope.service if scope else "s3"
        request_id = new_request_id(service)
        head = environ["REQUEST_METHOD"] == "HEAD"
        try:
            call = self._decode(environ, body, service, request_id)
        except AwsError as error:
            return serialize_error(service, error, request_id, head=head, as_json=accepts_json(environ))
        outcome, lose_answer = "ok", False
        try:
            with faults.inject_around(call) as fault, self._lock:
                answer = self._carry_out(call)
            lose_answer = faults.inject_after(fault, call)
        except AwsError as error:
            outcome = error.code
            return serialize_error(service, error, request_id, head=head, as_json=accepts_json(environ))
        except faults.ConnectionCut:
            outcome = "timeout"
            raise
        else:
            outcome = "answer lost" if lose_answer else outcome
            if answer.status >= HTTPStatus.BAD_REQUEST:
                outcome = str(answer.status)
        finally:
            recorder.record_call(call, outcome)
        if lose_answer:
            raise faults.ConnectionCut
        return answer

    def _decode(self, environ: dict[str, Any], body: bytes, service: str, request_id: str) -> Call:
        scope = parse_credential_scope(environ)
        if service not in SERVICES:
            raise AwsError(
                "NotImplemented", f"The local AWS emulator models {', '.join(SERVICES)}, but not {service}.", 501
            )
        caller = find_caller(scope.access_key) if scope else None
        if scope is None or caller is None:
            raise _UNKNOWN_CALLER.get(service, _INVALID_TOKEN) if scope else _UNSIGNED.get(service, _MISSING_TOKEN)
        if is_session_expired(scope.access_key):
            raise _EXPIRED.get(service, _EXPIRED_TOKEN)
        if is_presigned(environ):
            body = verify_presigned(environ, find_secret(scope.access_key))
        operation = parse_operation(service, environ, body)
        if service != "s3" and operation not in HANDLERS[service]:
            modelled = ", ".join(HANDLERS[service])
            message = f"The local AWS emulator does not model {service}:{operation}. It models {modelled}."
            raise AwsError("NotImplemented", message, 501)
        params = parse_params(service, operation, environ, body)
        return Call(service, operation, params, caller, scope.region, request_id, environ, body)

    def _carry_out(self, call: Call) -> HttpResponse:
        if call.service != "s3":
            return serialize_result(call, HANDLERS[call.service][call.operation](call))
        s3.authorize_s3_call(call)
        answer = self._by_moto(call)
        if answer.status < HTTPStatus.BAD_REQUEST:
            s3.complete_after_moto(call, answer)
        return answer

    def _by_moto(self, call: Call) -> HttpResponse:
        environ = {
            **call.environ,
            "HTTP_X_MOTO_ACCOUNT_ID": s3.get_executing_account(call),
            "QUERY_STRING": build_moto_query(call),
            "wsgi.input": io.BytesIO(call.body),
            "CONTENT_LENGTH": str(len(call.body)),
        }
        answer = HttpResponse(500)

        def start(status: str, headers: list[tuple[str, str]], *_: object) -> Callable[[bytes], object]:
            answer.status, answer.headers = int(status.split(maxsplit=1)[0]), headers
            return lambda _: None

        body = self._moto_s3(environ, start)
        answer.body = b"".join(body)
        if hasattr(body, "close"):
            body.close()
        hop = {"connection", "transfer-encoding", "x-amz-request-id", "x-amzn-requestid"}
        answer.headers = [(name, value) for name, value in answer.headers if name.lower() not in hop]
        answer.headers.append(("x-amz-request-id", call.request_id))
        return answer


def create_server(app: LocalAws, host: str, port: int) -> BaseWSGIServer:
    """Create a server, and bind it to the port without starting it. Port 0 picks a free port.

    Raises:
        OSError: The port is in use.
    """
    return make_server(host, port, app, threaded=True, request_handler=_Handler)


class _Handler(WSGIRequestHandler):
    """Keeps connections open between calls and writes no access log."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Do nothing, because the recorder already records the calls."""

    def make_environ(self) -> dict[str, Any]:
        """Return the WSGI environment.

        The environment includes the entry that moto's own handler adds for header names with underscores.
        """
        environ: dict[str, Any] = super().make_environ()
        environ.setdefault("moto.preserved_header_names", {})
        return environ


_INVALID_TOKEN: Final = AwsError("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
_MISSING_TOKEN: Final = AwsError("MissingAuthenticationToken", "Missing Authentication Token", 403)
_UNKNOWN_CALLER: Final = {
    "s3": AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403),
    "kms": AwsError("UnrecognizedClientException", "The security token included in the request is invalid.", 400),
}
_EXPIRED_TOKEN: Final = AwsError("ExpiredToken", "The security token included in the request is expired", 403)
_EXPIRED: Final = {
    "s3": AwsError("ExpiredToken", "The provided token has expired.", 400),
    "kms": AwsError("ExpiredTokenException", "The security token included in the request is expired", 400),
}
_UNSIGNED: Final = {"s3": AwsError("AccessDenied", "Access Denied", 403)}


def _read_body(environ: dict[str, Any]) -> bytes:
    stream, length = environ["wsgi.input"], environ.get("CONTENT_LENGTH")
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() == "chunked":
        return bytes(stream.read())
    return bytes(stream.read(int(length))) if length else b""


def _bucket_from_host(environ: dict[str, Any]) -> None:
    """Convert a virtual-hosted-style request to path style: `http://bucket.localhost:4566/key` means `/bucket/key`."""
    host = environ.get("HTTP_HOST", "").partition(":")[0]
    if host.endswith(".localhost"):
        bucket = host.removesuffix(".localhost").removesuffix(".s3")
        environ["PATH_INFO"] = f"/{bucket}{environ.get('PATH_INFO', '/')}"
        environ["HTTP_HOST"] = environ["HTTP_HOST"].replace(host, "localhost")


def _send(answer: HttpResponse, start_response: StartResponse) -> list[bytes]:
    headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length" or not answer.body]
    if answer.body or not any(name.lower() == "content-length" for name, _ in headers):
        headers.append(("Content-Length", str(len(answer.body))))
    start_response(f"{answer.status} {_phrase(answer.status)}", headers)
    return [answer.body]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _cut(environ: dict[str, Any]) -> list[bytes]:
    """Close the connection without a response."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.shutdown(socket.SHUT_RDWR)
    return []
