"""Authorizes callers: checks the scope that a route requires, and whether the caller may use an environment.

All dependencies are coroutines, because FastAPI runs plain functions in a thread pool, and the switch to a thread would
take longer than the functions themselves.
"""

from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from byok.api.auditing import find_request_audit, identify_requester
from byok.api.authentication import Caller
from byok.api.dependencies import api_state
from byok.api.problems import ProblemError, invalid_field_error
from byok.api.requesters import Reason, build_requester
from byok.domain.models import CheckKeysRequest, EntryPoint, ProvisionRequest
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.scopes import Scope
from byok.service.environments import EnvironmentService

_bearer = HTTPBearer(auto_error=False, description="A token from the OIDC issuer or from the settings.")


async def _authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """Return the caller. FastAPI calls this dependency once for each request.

    Raises:
        UnauthenticatedError: The caller could not be authenticated.
        IdentityProviderUnavailableError: The identity provider cannot be reached.
    """
    caller = await api_state(request).access.authenticate(credentials.credentials if credentials else None)
    identify_requester(request, caller)
    return caller


AnyCaller = Annotated[Caller, Depends(_authenticate)]


def find_service(request: Request, caller: Caller, reason: str | None = None) -> EnvironmentService:
    """Return an `EnvironmentService` that acts on behalf of the caller.

    Routes that need Temporal only for some requests call this function instead of declaring a dependency.

    Raises:
        TemporalUnreachableError: The server is not connected to Temporal yet.
    """
    requester = build_requester(request, caller, EntryPoint.API, reason)
    return api_state(request).service.on_behalf_of(requester, find_request_audit(request))


async def _service(request: Request, caller: AnyCaller, reason: Reason) -> EnvironmentService:
    return find_service(request, caller, reason)


Service = Annotated[EnvironmentService, Depends(_service)]
"""An `EnvironmentService` that acts on behalf of the caller, and finds only the environments of the caller's
organisation."""


class RequireScope:
    """Requires the caller to have a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(self, caller: AnyCaller) -> Caller:
        """Return the caller.

        Raises:
            ProblemError: The caller lacks the scope.
        """
        if self._scope not in caller.scopes:
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "byok.Forbidden",
                f"The token lacks the scope {self._scope}.",
                {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{self._scope}"'},
            )
        return caller


ReadCaller = Annotated[Caller, Depends(RequireScope(Scope.READ))]
WriteCaller = Annotated[Caller, Depends(RequireScope(Scope.WRITE))]
DeleteCaller = Annotated[Caller, Depends(RequireScope(Scope.DELETE))]
_AccountsCaller = Annotated[Caller, Depends(RequireScope(Scope.ACCOUNTS))]


async def _staff(caller: ReadCaller) -> Caller:
    return _require_staff(caller)


async def _accounts_staff(caller: _AccountsCaller) -> Caller:
    return _require_staff(caller)


def _require_staff(caller: Caller) -> Caller:
    """Return the caller if the caller may use the environments of all organisations.

    Raises:
        ProblemError: The caller belongs to an organisation.
    """
    if caller.organisation is not None:
        raise ProblemError(HTTPStatus.FORBIDDEN, "byok.Forbidden", "Only the vendor's staff may make this request.")
    return caller


StaffCaller = Annotated[Caller, Depends(_staff)]
AccountsCaller = Annotated[Caller, Depends(_accounts_staff)]
"""A caller who belongs to the vendor's staff and has the scope for registering accounts (contract 146)."""

EnvironmentId = Annotated[
    str,
    Path(
        alias="environment_id",
        pattern=ENVIRONMENT_ID_PATTERN,
        max_length=ENVIRONMENT_ID_MAX_LENGTH,
        description="The environment's id.",
        examples=["acme-prod"],
    ),
]


async def _readable(_: ReadCaller, environment_id: EnvironmentId) -> str:
    return environment_id


async def _writable(_: WriteCaller, environment_id: EnvironmentId) -> str:
    return environment_id


async def _deletable(_: DeleteCaller, environment_id: EnvironmentId) -> str:
    return environment_id


ReadableId = Annotated[str, Depends(_readable)]
WritableId = Annotated[str, Depends(_writable)]
DeletableId = Annotated[str, Depends(_deletable)]


_Request = TypeVar("_Request", ProvisionRequest, CheckKeysRequest)


def claim_request(caller: Caller, request: _Request) -> _Request:
    """Return the request with the caller's organisation filled in.

    The vendor's staff may make requests for any organisation.

    Raises:
        ProblemError: The request is for another organisation, or its environment id does not begin with the name of the
            caller's organisation. The error does not reveal whether the environment exists.
    """
    if caller.organisation is None:
        return request
    if request.organisation not in (None, caller.organisation):
        raise invalid_field_error("organisation", f"must be {caller.organisation}, or left out")
    if request.environment_id is not None and not request.environment_id.startswith(caller.environment_id_prefix):
        words = f"must begin with {caller.environment_id_prefix}, like all ids of this organisation"
        raise invalid_field_error("environment_id", words)
    return request.model_copy(update={"organisation": caller.organisation})
