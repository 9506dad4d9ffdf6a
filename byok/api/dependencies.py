"""What routes ask for by name: the door to Temporal, who calls, and an environment that is the caller's.

All of them are coroutines: FastAPI hands a plain function to a thread, which costs more than anything it does here.
"""

from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from byok.api.access import Caller
from byok.api.problems import ProblemError, invalid_field_error
from byok.api.state import ApiState
from byok.api.status_broadcaster import StatusBroadcaster
from byok.domain.access import Scope
from byok.domain.arns import REGION_PATTERN
from byok.domain.naming import ENVIRONMENT_ID_MAX, ENVIRONMENT_ID_PATTERN
from byok.service.environments import EnvironmentService

_bearer = HTTPBearer(auto_error=False, description="A token of the OIDC issuer, or one from the settings.")


def _api_state(request: Request) -> ApiState:
    """What the application holds."""
    found: ApiState = request.app.state.byok
    return found


async def _state(request: Request) -> ApiState:
    return _api_state(request)


async def _service(request: Request) -> EnvironmentService:
    return _api_state(request).service


async def _followers(request: Request) -> StatusBroadcaster:
    return _api_state(request).broadcaster


State = Annotated[ApiState, Depends(_state)]
Service = Annotated[EnvironmentService, Depends(_service)]
Broadcaster = Annotated[StatusBroadcaster, Depends(_followers)]
Region = Annotated[
    str, Path(pattern=REGION_PATTERN, max_length=32, description="An AWS Region.", examples=["eu-central-1"])
]


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
        caller = await _api_state(request).access.authenticate(credentials.credentials if credentials else None)
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
        max_length=ENVIRONMENT_ID_MAX,
        description="The environment's id.",
        examples=["acme-prod"],
    ),
]


def require_own(caller: Caller, environment_id: str) -> str:
    """The id, if such an environment would be the caller's: nobody learns whether another organisation has one.

    Raises:
        ProblemError: It would not.
    """
    if not caller.owns(environment_id):
        raise ProblemError(
            HTTPStatus.NOT_FOUND, "byok.EnvironmentNotFound", f"There is no environment {environment_id}."
        )
    return environment_id


async def _readable(caller: ReadCaller, environment_id: EnvironmentId) -> str:
    return require_own(caller, environment_id)


async def _writable(caller: WriteCaller, environment_id: EnvironmentId) -> str:
    return require_own(caller, environment_id)


async def _deletable(caller: DeleteCaller, environment_id: EnvironmentId) -> str:
    return require_own(caller, environment_id)


ReadableId = Annotated[str, Depends(_readable)]
WritableId = Annotated[str, Depends(_writable)]
DeletableId = Annotated[str, Depends(_deletable)]


def require_own_prefix(caller: Caller, environment_id: str) -> None:
    """See that a new environment is called as its organisation's are.

    Raises:
        ProblemError: It is not. Whether there is one of that name is not looked at.
    """
    if not caller.owns(environment_id):
        words = f"has to begin with {caller.prefix}, as the ids of all environments of this organisation do"
        raise invalid_field_error("environment_id", words)
