"""Renders every error as RFC 9457 problem details. Each `Problem` of a workflow is included unchanged."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from byok.api.authentication import IdentityProviderUnavailableError, UnauthenticatedError
from byok.api.rate_limits import build_quota_headers
from byok.api.status_broadcaster import TooManyStreamsError
from byok.domain.help_pages import build_help_url
from byok.domain.models import Problem
from byok.service import errors

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"
INTERNAL_ERROR_DETAIL: Final = "Internal error: the server's log has the details. Accepted requests continue."
RETRY_AFTER_SECONDS: Final = "5"
PROBLEM_CODE: Final = "problem_code"
"""The key in a request's state under which the middleware finds the problem code of the response."""

_REFERENCE: Final = "#/components/schemas/{model}"

STATUS_BY_ERROR: Final[Mapping[type[errors.ServiceError], HTTPStatus]] = {
    errors.AuditUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.EnvironmentNotFoundError: HTTPStatus.NOT_FOUND,
    errors.DeletionDiffersError: HTTPStatus.CONFLICT,
    errors.ClaimsUnavailableError: HTTPStatus.BAD_GATEWAY,
    errors.RebuildFailedError: HTTPStatus.BAD_GATEWAY,
    errors.VerificationFailedError: HTTPStatus.BAD_GATEWAY,
    errors.DeliveryNotFoundError: HTTPStatus.NOT_FOUND,
    errors.DeliveryFailedError: HTTPStatus.BAD_GATEWAY,
    errors.AccountConflictError: HTTPStatus.CONFLICT,
    errors.AccountBusyError: HTTPStatus.CONFLICT,
    errors.AccountProofUsedError: HTTPStatus.CONFLICT,
    errors.AccountsUnavailableError: HTTPStatus.BAD_GATEWAY,
    errors.QuotaExceededError: HTTPStatus.TOO_MANY_REQUESTS,
    errors.ExternalIdUnavailableError: HTTPStatus.BAD_GATEWAY,
    errors.EnvironmentConflictError: HTTPStatus.CONFLICT,
    errors.EnvironmentBusyError: HTTPStatus.CONFLICT,
    errors.IdempotencyKeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.NotReplayableError: HTTPStatus.CONFLICT,
    errors.KeyCannotChangeError: HTTPStatus.CONFLICT,
    errors.EncryptionCannotChangeError: HTTPStatus.CONFLICT,
    errors.NoCustomerKeysError: HTTPStatus.CONFLICT,
    errors.NotRunningError: HTTPStatus.CONFLICT,
    errors.EnvironmentNotReadyError: HTTPStatus.CONFLICT,
    errors.DifferentNamingInProgressError: HTTPStatus.CONFLICT,
    errors.NamingStoppedError: HTTPStatus.CONFLICT,
    errors.NoWorkerError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TemporalUnreachableError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TemporalRefusedError: HTTPStatus.BAD_GATEWAY,
    errors.KeyCheckFailedError: HTTPStatus.BAD_GATEWAY,
}
"""The HTTP status of each service error."""


class FieldError(BaseModel):
    """An invalid field and the reason why it is invalid. The field's value is never included."""

    field: str
    message: str


class ProblemDetails(BaseModel):
    """An error as problem details (RFC 9457).

    Attributes:
        type: The address of the documentation page about the code.
        title: The name of the HTTP status.
        status: The HTTP status.
        detail: What happened and what to do, for a human reader.
        code: The problem code, which the CLI also shows.
        errors: The invalid fields, if the request is invalid.
        problems: The problems that stopped a workflow, in the same format as in the status.
        request_id: The id of the request, as in the header `X-Request-Id` and in the audit trail.
    """

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] = []
    problems: list[Problem] = []
    request_id: str


class ProblemError(Exception):
    """An error that a route raises to respond with problem details."""

    def __init__(
        self,
        status: HTTPStatus,
        code: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        fault: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.headers = status, code, headers
        self.faults = [FieldError(field=fault[0], message=fault[1])] if fault else []


def invalid_field_error(field: str, message: str) -> ProblemError:
    """Build the error for an invalid value that the request model's validation does not detect."""
    return ProblemError(
        HTTPStatus.UNPROCESSABLE_ENTITY, "byok.InvalidInput", f"{field}: {message}", fault=(field, message)
    )


def build_retry_headers(error: errors.ServiceError) -> dict[str, str]:
    """Build the headers that tell the client when to retry a refused request; empty if a retry does not help."""
    if isinstance(error, errors.QuotaExceededError):
        return build_quota_headers(error.exceeded)
    return {"Retry-After": "5"} if STATUS_BY_ERROR[type(error)] is HTTPStatus.SERVICE_UNAVAILABLE else {}


class StreamFinishedError(Exception):
    """The stream will send no more events, so the client should not reconnect."""


def note_problem_code(request: Request, code: str) -> None:
    """Store a problem's code for the audit trail if the response does not contain problem details."""
    request.scope["state"][PROBLEM_CODE] = code


def build_problem_response(
    scope: Scope,
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    faults: list[FieldError] | None = None,
    problems: tuple[Problem, ...] = (),
) -> JSONResponse:
    """Build a problem details response. `scope` is the ASGI scope of the request."""
    scope["state"][PROBLEM_CODE] = code
    details = ProblemDetails(
        type=build_help_url(code),
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        errors=faults or [],
        problems=list(problems),
        request_id=scope["state"]["request_id"],
    )
    return JSONResponse(details.model_dump(mode="json"), status, headers, PROBLEM_MEDIA_TYPE)


def openapi_problem_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe a route's problem responses for the OpenAPI document."""
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": _REFERENCE.format(model=ProblemDetails.__name__)}}}
    return {status.value: {"description": status.phrase, "content": content} for status in statuses}


def install_error_handlers(app: FastAPI) -> None:
    """Render all errors of an application as problem details, and add their schema to the OpenAPI document."""
    generated = app.openapi

    def openapi() -> dict[str, Any]:
        document = generated()
        schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
        if ProblemDetails.__name__ not in schemas:
            _, found = models_json_schema([(ProblemDetails, "serialization")], ref_template=_REFERENCE)
            for name, schema in found["$defs"].items():
                schemas.setdefault(name, schema)
        return document

    app.openapi = openapi  # type: ignore[method-assign]

    @app.exception_handler(errors.ServiceError)
    async def service_error(request: Request, error: errors.ServiceError) -> Response:
        status = STATUS_BY_ERROR[type(error)]
        problems = error.problems if isinstance(error, errors.NamingStoppedError) else ()
        headers = build_retry_headers(error)
        return build_problem_response(request.scope, status, error.code, str(error), headers=headers, problems=problems)

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> Response:
        return build_problem_response(
            request.scope, error.status, error.code, str(error), headers=error.headers, faults=error.faults
        )

    @app.exception_handler(UnauthenticatedError)
    async def handle_unauthenticated(request: Request, error: UnauthenticatedError) -> Response:
        challenge = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        return build_problem_response(
            request.scope, HTTPStatus.UNAUTHORIZED, "byok.Unauthenticated", str(error), headers=challenge
        )

    @app.exception_handler(IdentityProviderUnavailableError)
    async def identity_unreachable(request: Request, error: IdentityProviderUnavailableError) -> Response:
        again = {"Retry-After": RETRY_AFTER_SECONDS}
        return build_problem_response(
            request.scope, HTTPStatus.SERVICE_UNAVAILABLE, "byok.IdentityUnreachable", str(error), headers=again
        )

    @app.exception_handler(TooManyStreamsError)
    async def too_many_streams(request: Request, error: TooManyStreamsError) -> Response:
        again = {"Retry-After": RETRY_AFTER_SECONDS}
        return build_problem_response(
            request.scope, HTTPStatus.TOO_MANY_REQUESTS, "byok.TooManyStreams", str(error), headers=again
        )

    @app.exception_handler(StreamFinishedError)
    async def nothing_more(_: Request, __: StreamFinishedError) -> Response:
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @app.exception_handler(RequestValidationError)
    async def handle_invalid_request(request: Request, error: RequestValidationError) -> Response:
        faults = [FieldError(field=_name(one["loc"]), message=one["msg"]) for one in error.errors()]
        detail = "; ".join(f"{one.field}: {one.message}" for one in faults)
        return build_problem_response(
            request.scope, HTTPStatus.UNPROCESSABLE_ENTITY, "byok.InvalidInput", detail, faults=faults
        )

    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        return build_problem_response(
            request.scope, status, f"http.{status.value}", str(error.detail), headers=error.headers
        )

    @app.exception_handler(Exception)
    async def internal_error(request: Request, __: Exception) -> Response:
        return build_problem_response(
            request.scope, HTTPStatus.INTERNAL_SERVER_ERROR, "byok.Mistake", INTERNAL_ERROR_DETAIL
        )


def _name(location: tuple[int | str, ...]) -> str:
    """Return the name of a field, without the prefix for the part of the request, such as `body`."""
    return ".".join(str(part) for part in location[1:]) or str(location[0])
