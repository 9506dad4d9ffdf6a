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
from byok.onboarding.downloads import Download, build_collection_script, build_template
from byok.onboarding.kit import OnboardingKit
from byok.onboarding.template_kinds import TemplateKind

router = APIRouter(
    prefix="/onboarding",
    tags=["onboarding"],
    responses=openapi_problem_responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
)
_ANY_STACK: Final = "byok-kms-keys"
"""A placeholder for the stack name in responses that do not contain the stack name."""
_TEXT: Final = {"schema": {"type": "string"}}
"""The content of a text response in the OpenAPI document. Without the schema, some generated clients return no text."""

Organisation = Annotated[
    OrganisationName | None,
    Query(
        description="The organisation that will own the environment. Used only if the caller is one of the "
        "vendor's staff."
    ),
]
S3KeyArn = Annotated[str | None, Query(max_length=KEY_ARN_MAX_LENGTH, description="The ARN of the S3 key.")]
RdsKeyArn = Annotated[str | None, Query(max_length=KEY_ARN_MAX_LENGTH, description="The ARN of the Aurora key.")]


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
            template_url=state.template_url,
        )
    except ValueError as error:
        raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "byok.InvalidInput", str(error)) from error


def build_download_response(file: Download) -> Response:
    """Return a file as a download, under the file name that the commands use (contract 24)."""
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"'}
    return Response(file.text, media_type=file.media_type, headers=headers)


@router.get("/{region}")
async def get_onboarding_values(
    request: Request,
    caller: ReadCaller,
    state: State,
    region: Region,
    environment_id: Annotated[
        str | None,
        Query(
            pattern=ENVIRONMENT_ID_PATTERN,
            max_length=ENVIRONMENT_ID_MAX_LENGTH,
            description="The id that the environment will have. byok names the key stack after this id.",
        ),
    ] = None,
    profile: Annotated[
        str, Query(pattern=PROFILE_PATTERN, description="The customer's AWS CLI profile; empty for none.")
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
    s3_key_arn: S3KeyArn = None,
    rds_key_arn: RdsKeyArn = None,
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


@router.get(
    "/{region}/template",
    response_class=Response,
    responses={200: {"content": {"application/yaml": _TEXT, "text/plain": _TEXT}}},
)
async def get_template(
    caller: ReadCaller,
    state: State,
    region: Region,
    kind: Annotated[
        TemplateKind,
        Query(description="The template of both keys, the template of the optional tenant role, or a Terraform file."),
    ] = TemplateKind.KEYS,
    organisation: Organisation = None,
) -> Response:
    """Return a file with which the customer creates resources: by default, the CloudFormation template of both keys.

    Only the Terraform file depends on the Region and on the organisation.
    """
    owner = caller.organisation or organisation
    build_kit(state, region, _ANY_STACK)
    return build_download_response(build_template(kind, state.platform_role_arn, region, state.vendor, owner))


@router.get("/{region}/script", response_class=Response, responses={200: {"content": {"text/plain": _TEXT}}})
async def get_collection_script(
    caller: ReadCaller,
    state: State,
    region: Region,
    s3_key_arn: S3KeyArn = None,
    rds_key_arn: RdsKeyArn = None,
    organisation: Organisation = None,
) -> Response:
    """Return the script with which the key administrator collects facts about both keys.

    The script is read-only, and prompts for any ARN that the request does not contain. `POST /v1/diagnoses` reads the
    script's output.
    """
    owner = caller.organisation or organisation
    build_kit(state, region, _ANY_STACK)
    return build_download_response(
        build_collection_script(state.platform_role_arn, region, s3_key_arn, rds_key_arn, owner)
    )


@router.get("/{region}/statements/{key}")
async def get_key_policy_statements(
    caller: ReadCaller, state: State, region: Region, key: KeyPurpose, organisation: Organisation = None
) -> list[Statement]:
    """Return the statements to append to one key's policy."""
    owner = caller.organisation or organisation
    return build_kit(state, region, _ANY_STACK, organisation=owner).statements_for_key(key)
