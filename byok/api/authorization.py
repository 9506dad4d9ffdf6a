"""Authorizes callers: checks the scope that a route requires, and whether the caller may use an environment.

All dependencies are coroutines, because FastAPI runs plain functions in a thread pool, which would take longer than the
functions themselves.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from byok.api.authentication import Caller
from byok.api.dependencies import api_state
from byok.api.problems import ProblemError, invalid_field_error
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.scopes import Scope

_bearer = HTTPBearer(auto_error=False, description="A token from the OIDC issuer or from the settings.")


class RequireScope:
    """Requires the caller to have a scope."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        """Return the caller.

        Raises:
            UnauthenticatedError: The caller could not be authenticated.
            IdentityProviderUnavailableError: The identity provider cannot be reached.
            ProblemError: The caller lacks the scope.
        """
        caller = await api_state(request).access.authenticate(credentials.credentials if credentials else None)
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


async def _staff(caller: ReadCaller) -> Caller:
    """Return the caller if they may use all environments.

    Raises:
        ProblemError: The caller belongs to an organisation.
    """
    if caller.organisation is not None:
        raise ProblemError(HTTPStatus.FORBIDDEN, "byok.Forbidden", "Only the vendor's staff may do this.")
    return caller


StaffCaller = Annotated[Caller, Depends(_staff)]

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


def require_own_environment(caller: Caller, environment_id: str) -> str:
    """Return the id if it belongs to the caller's organisation.

    The check does not reveal whether another organisation has this environment.

    Raises:
        ProblemError: The id belongs to another organisation.
    """
    if not caller.owns_environment_id(environment_id):
        raise ProblemError(HTTPStatus.NOT_FOUND, "byok.EnvironmentNotFound", f"Environment {environment_id} not found.")
    return environment_id


async def _readable(caller: ReadCaller, environment_id: EnvironmentId) -> str:
    return require_own_environment(caller, environment_id)


async def _writable(caller: WriteCaller, environment_id: EnvironmentId) -> str:
    return require_own_environment(caller, environment_id)


async def _deletable(caller: DeleteCaller, environment_id: EnvironmentId) -> str:
    return require_own_environment(caller, environment_id)


ReadableId = Annotated[str, Depends(_readable)]
WritableId = Annotated[str, Depends(_writable)]
DeletableId = Annotated[str, Depends(_deletable)]


def require_own_prefix(caller: Caller, environment_id: str) -> None:
    """Require that a new environment's id begins with the name of the caller's organisation.

    Raises:
        ProblemError: The id does not begin with the organisation's name. The error does not reveal whether the
            environment exists.
    """
    if not caller.owns_environment_id(environment_id):
        words = f"must begin with {caller.environment_id_prefix}, like all ids of this organisation"
        raise invalid_field_error("environment_id", words)
