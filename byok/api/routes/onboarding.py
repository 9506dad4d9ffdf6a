"""Routes that return the values, template and statements for creating the keys. The responses contain no secrets."""

from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request, Response

from byok.api.authorization import ReadCaller, find_service
from byok.api.dependencies import Region, State
from byok.api.problems import ProblemError, invalid_field_error, openapi_problem_responses
from byok.api.responses import OnboardingValues
from byok.domain.arns import KEY_ARN_MAX_LENGTH, KeyPair, KeyPurpose
from byok.domain.customer_aws import DEFAULT_PROFILE, PROFILE_PATTERN, STACK_NAME_PATTERN, default_stack_name
from byok.domain.iam.statements import Statement
from byok.domain.models.base import OrganisationName
from byok.domain.naming import ENVIRONMENT_ID_MAX_LENGTH, ENVIRONMENT_ID_PATTERN
from byok.domain.onboarding.customer_commands import KEYS_TEMPLATE_FILE
from byok.onboarding.kit import OnboardingKit
from byok.onboarding.template import render_keys_template

router = APIRouter(
    prefix="/onboarding",
    tags=["onboarding"],
    responses=openapi_problem_responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
)
YAML_MEDIA_TYPE = "application/yaml"
_ANY_STACK: Final = "byok-kms-keys"
"""A placeholder stack name, for routes that build a kit but return only the parts that do not contain the name."""

Organisation = Annotated[
    OrganisationName | None,
    Query(
        description="The organisation that will own the environment. Used only if the caller is one of the "
        "vendor's staff."
    ),
]


def build_kit(
    state: State,
    region: str,
    stack_name: str,
    profile: str = DEFAULT_PROFILE,
    keys: KeyPair | None = None,
    organisation: str | None = None,
) -> OnboardingKit:
    """Build the onboarding kit for a Region.

    Raises:
        ProblemError: The platform role and the Region are in different partitions, or a key cannot be used in the
            Region.
    """
    try:
        return OnboardingKit.for_region(
            state.platform_role_arn,
            region,
            state.vendor,
            stack_name=stack_name,
            profile=profile,
            keys=keys,
            organisation=organisation,
        )
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "byok.InvalidInput", str(error)) from error


def build_keys_template_response(state: State) -> Response:
    """Return the template as a download, under the file name that the commands use (contract 24)."""
    headers = {"Content-Disposition": f'attachment; filename="{KEYS_TEMPLATE_FILE}"'}
    return Response(render_keys_template(state.vendor), media_type=YAML_MEDIA_TYPE, headers=headers)


@router.get("/{region}")
async def values(
    request: Request,
    caller: ReadCaller,
    state: State,
    region: Region,
    environment_id: Annotated[
        str | None,
        Query(
            pattern=ENVIRONMENT_ID_PATTERN,
            max_length=ENVIRONMENT_ID_MAX_LENGTH,
            description="The future environment's id; the key stack is named after it.",
        ),
    ] = None,
    profile: Annotated[
        str, Query(pattern=PROFILE_PATTERN, description="The customer's AWS CLI profile.")
    ] = DEFAULT_PROFILE,
    stack_name: Annotated[
        str | None,
        Query(
            pattern=STACK_NAME_PATTERN,
            max_length=128,
            description="Name of the stack that creates the keys. The default name contains the environment's id.",
        ),
    ] = None,
    organisation: Organisation = None,
    s3_key_arn: Annotated[
        str | None, Query(max_length=KEY_ARN_MAX_LENGTH, description="The ARN of the S3 key.")
    ] = None,
    rds_key_arn: Annotated[
        str | None, Query(max_length=KEY_ARN_MAX_LENGTH, description="The ARN of the Aurora key.")
    ] = None,
) -> OnboardingValues:
    """Return the role, the account, the statements and the commands for a Region, with all values filled in.

    `environment_id` or `stack_name` is required, because each environment needs its own key stack. If both keys are
    given, the values include the external id of the caller's organisation and the commands for the optional tenant
    role.
    """
    if stack_name is None:
        if environment_id is None:
            raise invalid_field_error("environment_id", "is required unless stack_name is given")
        stack_name = default_stack_name(environment_id)
    keys = KeyPair(s3_key_arn, rds_key_arn) if s3_key_arn and rds_key_arn else None
    owner = caller.organisation or organisation
    kit = build_kit(state, region, stack_name, profile, keys, owner)
    if keys is not None:
        kit = replace(kit, external_id=await find_service(request, caller).get_external_id(owner))
    return OnboardingValues.model_validate(kit.as_json_dict())


@router.get("/{region}/template", response_class=Response, responses={200: {"content": {YAML_MEDIA_TYPE: {}}}})
async def template(_: ReadCaller, state: State, region: Region) -> Response:
    """Return the CloudFormation template that creates both keys. The template is the same for all Regions."""
    build_kit(state, region, _ANY_STACK)
    return build_keys_template_response(state)


@router.get("/{region}/statements/{key}")
async def statements(
    caller: ReadCaller, state: State, region: Region, key: KeyPurpose, organisation: Organisation = None
) -> list[Statement]:
    """Return the statements to append to one key's policy."""
    owner = caller.organisation or organisation
    return build_kit(state, region, _ANY_STACK, organisation=owner).statements_for_key(key)
