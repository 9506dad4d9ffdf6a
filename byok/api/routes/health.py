"""Whether the server lives, and whether it can do anything."""

from http import HTTPStatus

from fastapi import APIRouter

from byok.api.dependencies import Service
from byok.api.problems import openapi_problem_responses
from byok.api.responses import Health
from byok.service.errors import NoWorkerError

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> Health:
    """The process answers. Nobody else is asked."""
    return Health()


@router.get("/ready", responses=openapi_problem_responses(HTTPStatus.BAD_GATEWAY))
async def ready(service: Service) -> Health:
    """Temporal answers, and a worker takes work."""
    workers = await service.list_workers()
    if not workers:
        raise NoWorkerError("No worker takes work: start one.")
    return Health(workers=len(workers))
