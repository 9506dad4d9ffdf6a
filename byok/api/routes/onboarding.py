"""Routes that return the values, template and statements that a customer needs to create the keys. None is secret."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from byok.api.authorization import ReadCaller
from byok.api.dependencies import Region, State
from byok.api.problems import ProblemError, openapi_problem_responses
from byok.api.responses import OnboardingValues
from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement
from byok.domain.onboarding.customer_commands import DEFAULT_PROFILE, DEFAULT_STACK_NAME, KEYS_TEMPLATE_FILE
from byok.onboarding.kit import OnboardingKit
from byok.onboarding.template import render_keys_template

router = APIRouter(
    prefix="/onboarding",
    tags=["onboarding"],
    responses=openapi_problem_responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
)
YAML_MEDIA_TYPE = "application/yaml"


def build_kit(
    state: State, region: str, profile: str = DEFAULT_PROFILE, stack_name: str = DEFAULT_STACK_NAME
) -> OnboardingKit:
    """Build the onboarding kit for a Region.

    Raises:
        ProblemError: The platform role and the Region are in different partitions.
    """
    try:
        return OnboardingKit.for_region(
            state.platform_role_arn, region, state.vendor, profile=profile, stack_name=stack_name
        )
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "byok.InvalidInput", str(error)) from error


def build_keys_template_response(state: State) -> Response:
    """Return the template as a download, under the file name that the commands use (contract 24)."""
    headers = {"Content-Disposition": f'attachment; filename="{KEYS_TEMPLATE_FILE}"'}
    return Response(render_keys_template(state.vendor), media_type=YAML_MEDIA_TYPE, headers=headers)


@router.get("/{region}")
async def values(
    _: ReadCaller,
    state: State,
    region: Region,
    profile: Annotated[
        str, Query(pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="The customer's AWS CLI profile.")
    ] = DEFAULT_PROFILE,
    stack_name: Annotated[
        str,
        Query(
            pattern=r"^[a-zA-Z][-a-zA-Z0-9]*$", max_length=128, description="Name of the stack that creates the keys."
        ),
    ] = DEFAULT_STACK_NAME,
) -> OnboardingValues:
    """Return the role, account, statements and commands for a Region, with all values filled in."""
    return OnboardingValues.model_validate(build_kit(state, region, profile, stack_name).as_json_dict())


@router.get("/{region}/template", response_class=Response, responses={200: {"content": {YAML_MEDIA_TYPE: {}}}})
async def template(_: ReadCaller, state: State, region: Region) -> Response:
    """Return the CloudFormation template that creates both keys. The template is the same for all Regions."""
    build_kit(state, region)
    return build_keys_template_response(state)


@router.get("/{region}/statements/{key}")
async def statements(_: ReadCaller, state: State, region: Region, key: KeyPurpose) -> list[Statement]:
    """Return the statements to append to one key's policy."""
    return build_kit(state, region).statements_for_key(key)
