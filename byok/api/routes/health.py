"""Liveness and readiness checks."""

from http import HTTPStatus

from fastapi import APIRouter

from byok.api.dependencies import State
from byok.api.problems import openapi_problem_responses
from byok.api.responses import Health

router = APIRouter(tags=["health"])


@router.get("/health")
async def get_health() -> Health:
    """Return OK if this process responds. This check calls no other service."""
    return Health()


@router.get("/ready", responses=openapi_problem_responses(HTTPStatus.BAD_GATEWAY))
async def get_readiness(state: State) -> Health:
    """Check that Temporal is reachable.

    The check also passes if no worker is running, because this process can still accept and answer requests.
    """
    return Health(workers=len(await state.service.list_workers()))
