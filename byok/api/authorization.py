"""Who may call a route: the scope that each route requires, and the environments that a caller may see.

All of them are coroutines: FastAPI hands a plain function to a thread, which costs more than anything it does here.
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

_bearer = HTTPBearer(auto_error=False, description="A token of the OIDC issuer, or one from the settings.")


class RequireScope:
    """Lets a caller pass who may do something."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
    ) -> Caller:
        """Who calls.

        Raises:
            UnauthenticatedError: It is not known.
            ProblemError: It is, and may not.
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
    """The id, if such an environment would be the caller's: nobody learns whether another organisation has one.

    Raises:
        ProblemError: It would not.
    """
    if not caller.owns_environment_id(environment_id):
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "byok.EnvironmentNotFound", f"There is no environment {environment_id}."
        )
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
    """See that a new environment is called as its organisation's are.

    Raises:
        ProblemError: It is not. Whether there is one of that name is not looked at.
    """
    if not caller.owns_environment_id(environment_id):
        words = (
            f"has to begin with {caller.environment_id_prefix}, as the ids of all environments of this organisation do"
        )
        raise invalid_field_error("environment_id", words)
