"""Environments: asked for, seen, listed, continued, named, ended, deleted."""

import hashlib
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field, StrictBool

from byok.api.authorization import DeletableId, ReadableId, ReadCaller, WritableId, WriteCaller, require_own_prefix
from byok.api.dependencies import Service, State
from byok.api.problems import invalid_field_error, openapi_problem_responses
from byok.api.responses import AcceptedResponse, EnvironmentPage
from byok.contracts import environment_workflow_id
from byok.domain.arns import KEY_ARN_MAX_LENGTH
from byok.domain.models import ProvisionRequest, TenantOutcome, TenantRole
from byok.domain.models.base import RequestModel
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus

router = APIRouter(
    prefix="/environments",
    tags=["environments"],
    responses=openapi_problem_responses(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.BAD_GATEWAY
    ),
)
NOT_FOUND_RESPONSES = openapi_problem_responses(HTTPStatus.NOT_FOUND)
NOT_FOUND_OR_CONFLICT_RESPONSES = openapi_problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


class ReplayRequest(RequestModel):
    """With what a stopped environment goes on; the keys stay the same where nothing is said."""

    s3_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)


class NameKeysRequest(RequestModel):
    """The tenant's name, and how it is to be put on both keys."""

    tenant: str = Field(max_length=1024)
    tenant_role: TenantRole | None = None
    repoint: StrictBool = False
    commands_only: StrictBool = False


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses={
        200: {"model": AcceptedResponse, "description": "The same was asked for before."},
        **openapi_problem_responses(HTTPStatus.CONFLICT),
    },
)
async def create(
    caller: WriteCaller,
    service: Service,
    request: ProvisionRequest,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(pattern=r"^[\x21-\x7e]{1,255}$", description="Names this request, so that it may be sent again."),
    ] = None,
) -> AcceptedResponse:
    """Ask for an environment.

    The same request again finds the same environment, another one under the same id is a conflict. With an
    `Idempotency-Key` a repeated request does not start again what has stopped since.
    """
    require_own_prefix(caller, request.environment_id)
    key = hashlib.sha256(idempotency_key.encode()).hexdigest() if idempotency_key else None
    creation = await service.create(request, key=key)
    response.headers["Location"] = f"/v1/environments/{request.environment_id}"
    if not creation.started:
        response.status_code = HTTPStatus.OK
    return AcceptedResponse(
        environment_id=creation.environment_id,
        workflow_id=creation.workflow_id,
        run_id=creation.run_id,
        started=creation.started,
    )


@router.get("")
async def list_environments(
    caller: ReadCaller,
    service: Service,
    state: State,
    phase: Annotated[Phase | None, Query(description="Those in this phase alone.")] = None,
    prefix: Annotated[
        str,
        Query(pattern=r"^[a-z0-9-]*$", max_length=ENVIRONMENT_ID_MAX_LENGTH, description="What the ids begin with."),
    ] = "",
    size: Annotated[int, Query(ge=1, le=200, description="How many at most.")] = 50,
    after: Annotated[str | None, Query(max_length=4096, description="`next` of the page before.")] = None,
) -> EnvironmentPage:
    """The caller's environments: those that run first, then the last ended. A page may be shorter than asked for."""
    start = caller.environment_id_prefix
    if prefix.startswith(start):
        start = prefix
    elif not start.startswith(prefix):  # nothing of theirs begins so
        return EnvironmentPage(environments=[])
    found, end = await service.list_environments_page(
        prefix=start, phase=phase, size=size, after=state.page_token_signer.verify(after)
    )
    return EnvironmentPage(environments=found, next=state.page_token_signer.sign(end))


@router.get("/{environment_id}", responses=NOT_FOUND_RESPONSES)
async def get(environment_id: ReadableId, service: Service) -> EnvironmentStatus:
    """Where an environment is, what stopped it, what exists of it, and the proof of its encryption."""
    return await service.read_status(environment_id)


@router.post("/{environment_id}/replays", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def replay(environment_id: WritableId, service: Service, request: ReplayRequest) -> AcceptedResponse:
    """Continue a stopped environment from the failed step; with other keys anew, adopting what is its own."""
    done = await service.replay(environment_id, s3_key_arn=request.s3_key_arn, rds_key_arn=request.rds_key_arn)
    return AcceptedResponse(
        environment_id=environment_id, workflow_id=done.workflow_id, run_id=done.run_id, step=done.step
    )


@router.put("/{environment_id}/tenant", responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def name_keys(environment_id: WritableId, service: Service, request: NameKeysRequest) -> TenantOutcome:
    """Give both keys the tenant's name, or the commands for it where there is no role to do it with."""
    asked = await service.build_reconcile_tenant_request(
        environment_id,
        request.tenant,
        request.tenant_role,
        repoint=request.repoint,
        commands_only=request.commands_only,
    )
    return await service.reconcile_tenant(asked)


@router.post(
    "/{environment_id}/cancellation", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND_OR_CONFLICT_RESPONSES
)
async def cancel(environment_id: WritableId, service: Service) -> AcceptedResponse:
    """Ask for the end of what is being done; the status says what becomes of it."""
    await service.cancel(environment_id)
    return AcceptedResponse(environment_id=environment_id, workflow_id=environment_workflow_id(environment_id))


@router.delete("/{environment_id}", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def delete(
    environment_id: DeletableId,
    service: Service,
    confirm: Annotated[
        str, Query(max_length=ENVIRONMENT_ID_MAX_LENGTH, description="The id once more: everything of it is deleted.")
    ],
    final_snapshot: Annotated[bool, Query(description="Whether a snapshot of the database is taken first.")] = True,
) -> AcceptedResponse:
    """Delete an environment, but for its keys and its final snapshot."""
    if confirm != environment_id:
        raise invalid_field_error("confirm", "has to be the environment's id once more, as everything of it is deleted")
    request = await service.build_delete_request(environment_id, final_snapshot=final_snapshot)
    started = await service.delete(request)
    return AcceptedResponse(
        environment_id=environment_id, workflow_id=environment_workflow_id(environment_id), started=started
    )
