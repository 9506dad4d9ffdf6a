"""The route that lists which environment has claimed which key, for the vendor's staff."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query

from byok.api.authorization import Service, StaffCaller
from byok.api.problems import openapi_problem_responses
from byok.domain.models import ListClaimsRequest
from byok.service.claims import ClaimPage

router = APIRouter(
    tags=["claims"],
    responses=openapi_problem_responses(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY
    ),
)


@router.get("/claims")
async def list_claims(_: StaffCaller, service: Service, request: Annotated[ListClaimsRequest, Query()]) -> ClaimPage:
    """List the claims on keys.

    Each entry shows which environment claimed the key, whether this environment uses the key, and what to do about the
    claim.

    Only the vendor's staff may list claims, because the list shows the keys and environments of all organisations.
    """
    return await service.list_claims(request)
