"""Route dependencies: the application's state and the status broadcaster.

All dependencies are coroutines, because FastAPI runs plain functions in a thread pool, and the switch to a thread would
take longer than the functions themselves.
"""

from typing import Annotated

from fastapi import Depends, Path, Request

from byok.api.problems import invalid_field_error
from byok.api.state import ApiState
from byok.api.status_broadcaster import StatusBroadcaster
from byok.domain import regions
from byok.domain.models.base import RegionName


def api_state(request: Request) -> ApiState:
    """Return the application's state."""
    found: ApiState = request.app.state.byok
    return found


async def _state(request: Request) -> ApiState:
    return api_state(request)


async def _followers(request: Request) -> StatusBroadcaster:
    return api_state(request).broadcaster


State = Annotated[ApiState, Depends(_state)]
Broadcaster = Annotated[StatusBroadcaster, Depends(_followers)]
Region = Annotated[RegionName, Path(description="An AWS Region.", examples=["eu-central-1"])]


def require_region_in_use(state: ApiState, region: str) -> None:
    """Check that the platform uses the Region in a request.

    Raises:
        ProblemError: The platform does not use the Region. The error lists the Regions in use.
    """
    try:
        regions.require_region_in_use(region, state.regions)
    except regions.RegionNotInUseError as error:
        raise invalid_field_error("region", str(error)) from error
