"""Routes that create, read, list, verify, replay, cancel and delete environments, and that set tenant names."""

import hashlib
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from pydantic import Field, StrictBool

from byok.api.authorization import (
    DeletableId,
    ReadableId,
    ReadCaller,
    Service,
    WritableId,
    WriteCaller,
    claim_request,
)
from byok.api.dependencies import State, require_region_in_use
from byok.api.problems import invalid_field_error, openapi_problem_responses
from byok.api.responses import AcceptedResponse, AttemptList, EnvironmentPage
from byok.contracts import environment_workflow_id
from byok.domain.arns import KEY_ARN_MAX_LENGTH
from byok.domain.models import EnvironmentHealth, HealthState, ProvisionRequest, TenantOutcome
from byok.domain.models.base import RegionName, RequestModel, RoleArn
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus
from byok.service.verification import verify_environment as verify

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
    """A request to replay a stopped environment. If a key is omitted, the environment keeps its current key."""

    s3_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)
    rds_key_arn: str | None = Field(default=None, min_length=1, max_length=KEY_ARN_MAX_LENGTH)


class NameKeysRequest(RequestModel):
    """A request to set the tenant name on both keys.

    `tenant` replaces the tenant name that the platform assigned to the environment.
    """

    tenant: str | None = Field(default=None, min_length=1, max_length=1024)
    tenant_role_arn: RoleArn | None = None
    repoint: StrictBool = False
    commands_only: StrictBool = False


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    responses={
        200: {
            "model": AcceptedResponse,
            "description": "An identical earlier request already started provisioning.",
        },
        **openapi_problem_responses(HTTPStatus.CONFLICT),
    },
)
async def create_environment(
    caller: WriteCaller,
    service: Service,
    state: State,
    request: ProvisionRequest,
    response: Response,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,255}$",
            description="Identifies this request, so that you can repeat it safely.",
        ),
    ] = None,
) -> AcceptedResponse:
    """Create an environment.

    If you repeat the request, you get the same environment. While provisioning is in progress or the environment is
    ready, a different request for the same id is rejected as a conflict. If provisioning has stopped since the first
    request, repeating the request starts provisioning again, unless both requests have the same `Idempotency-Key`.
    """
    request = claim_request(caller, request)
    require_region_in_use(state, request.region)
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
    _: ReadCaller,
    service: Service,
    state: State,
    phase: Annotated[Phase | None, Query(description="Return only environments in this phase.")] = None,
    health: Annotated[
        HealthState | None, Query(description="Return only READY environments with this health status.")
    ] = None,
    prefix: Annotated[
        str,
        Query(
            pattern=r"^[a-z0-9-]*$",
            max_length=ENVIRONMENT_ID_MAX_LENGTH,
            description="Return only environments whose id begins with this text.",
        ),
    ] = "",
    size: Annotated[int, Query(ge=1, le=200, description="The maximum number of environments.")] = 50,
    after: Annotated[
        str | None, Query(max_length=4096, description="The value of `next` on the previous page.")
    ] = None,
) -> EnvironmentPage:
    """List the caller's environments, most recently created first."""
    found, end = await service.list_environments_page(
        prefix=prefix, phase=phase, health=health, size=size, after=state.page_token_signer.verify(after)
    )
    return EnvironmentPage(environments=found, next=state.page_token_signer.sign(end))


@router.get("/{environment_id}", responses=NOT_FOUND_RESPONSES)
async def get_environment(environment_id: ReadableId, service: Service) -> EnvironmentStatus:
    """Return an environment's phase, health, problems, resources and evidence."""
    return await service.read_status(environment_id)


@router.post("/{environment_id}/verification", responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def verify_environment(environment_id: WritableId, service: Service) -> EnvironmentHealth:
    """Verify the keys and settings of a READY environment now, and return its health.

    If AWS does not respond, the response contains the last known health, and `unreachable` contains the reason.
    """
    return await verify(service, environment_id)


@router.get("/{environment_id}/attempts", responses=NOT_FOUND_RESPONSES)
async def list_attempts(environment_id: ReadableId, service: Service) -> AttemptList:
    """List every attempt to provision or delete an environment.

    The list shows the problem, the start and end times, and the requester of each attempt.

    The status does not contain the attempts, because clients poll the status often, and listing the attempts requires
    reading workflow histories.
    """
    found = await service.list_attempts(await service.read_status(environment_id))
    return AttemptList(attempts=list(found))


@router.post("/{environment_id}/replays", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def replay_environment(environment_id: WritableId, service: Service, request: ReplayRequest) -> AcceptedResponse:
    """Resume a stopped environment at the failed activity.

    If the request contains other keys, provisioning starts over and adopts the environment's existing resources.
    """
    done = await service.replay(environment_id, s3_key_arn=request.s3_key_arn, rds_key_arn=request.rds_key_arn)
    return AcceptedResponse(
        environment_id=environment_id, workflow_id=done.workflow_id, run_id=done.run_id, step=done.step
    )


@router.put("/{environment_id}/tenant", responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def set_tenant_name(environment_id: WritableId, service: Service, request: NameKeysRequest) -> TenantOutcome:
    """Set the tenant name on both keys. If byok has no role in the customer's account, return the commands to run."""
    asked = await service.build_reconcile_tenant_request(
        environment_id,
        request.tenant,
        request.tenant_role_arn,
        repoint=request.repoint,
        commands_only=request.commands_only,
    )
    return await service.reconcile_tenant(asked)


@router.post(
    "/{environment_id}/cancellation", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND_OR_CONFLICT_RESPONSES
)
async def cancel_operation(environment_id: WritableId, service: Service) -> AcceptedResponse:
    """Request cancellation of the running workflow; the status shows the outcome."""
    await service.cancel(environment_id)
    return AcceptedResponse(environment_id=environment_id, workflow_id=environment_workflow_id(environment_id))


@router.delete("/{environment_id}", status_code=HTTPStatus.ACCEPTED, responses=NOT_FOUND_OR_CONFLICT_RESPONSES)
async def delete_environment(
    environment_id: DeletableId,
    service: Service,
    confirm: Annotated[
        str,
        Query(max_length=ENVIRONMENT_ID_MAX_LENGTH, description="The environment's id again, to confirm the deletion."),
    ],
    final_snapshot: Annotated[bool, Query(description="Whether to take a snapshot of the database first.")] = True,
    region: Annotated[
        RegionName | None,
        Query(
            description="The environment's Region. Required only if Temporal no longer has a record of the "
            "environment; otherwise, byok compares the value with the recorded Region."
        ),
    ] = None,
) -> AcceptedResponse:
    """Delete an environment, except for its keys and its final snapshot.

    If the Region, the keys or the kind of encryption in AWS differ from byok's records, or if a bucket contains objects
    that provisioning did not write, the deletion stops before it removes anything.
    """
    if confirm != environment_id:
        raise invalid_field_error(
            "confirm", "must repeat the environment's id, to confirm the deletion of everything in it"
        )
    request = await service.build_delete_request(environment_id, final_snapshot=final_snapshot, region=region)
    started = await service.delete(request)
    return AcceptedResponse(
        environment_id=environment_id, workflow_id=environment_workflow_id(environment_id), started=started
    )
