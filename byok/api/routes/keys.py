"""Routes that check keys, either by using the keys in AWS or by evaluating a key policy without AWS calls."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from byok.api.authorization import ReadCaller, Service, WriteCaller, claim_request
from byok.api.dependencies import State, require_region_in_use
from byok.api.problems import invalid_field_error, openapi_problem_responses
from byok.api.responses import DiagnosisResponse, PolicyCheckResponse
from byok.domain.arns import KEY_ARN_MAX_LENGTH, InvalidKeyArnError, KeyPurpose, parse_key_arn
from byok.domain.diagnosis.diagnose import are_keys_usable, diagnose_collected_keys
from byok.domain.diagnosis.key_facts import COLLECTED_KEYS_MAX_LENGTH, CollectedKeys, CollectedKeysError
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.report import parse_and_check_policy
from byok.domain.models import CheckKeysRequest, KeyCheckResult
from byok.domain.models.base import OrganisationName, RegionName

router = APIRouter(
    tags=["keys"],
    responses=openapi_problem_responses(HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY),
)


class PolicyCheckRequest(BaseModel):
    """A key policy to check.

    Attributes:
        policy: The policy document, or the output of `aws kms get-key-policy` as JSON, YAML or text. The field is a
            string, so that JSON parsing does not reformat the policy.
        key_arn: The ARN of the policy's key. The check uses the ARN to determine which account owns the key.
        organisation: The organisation that owns the environment. Used only if the caller is one of the vendor's staff.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    key: KeyPurpose
    region: RegionName
    policy: Annotated[str, Field(max_length=65_536)]
    key_arn: Annotated[str | None, Field(max_length=KEY_ARN_MAX_LENGTH)] = None
    organisation: OrganisationName | None = None


class DiagnosisRequest(BaseModel):
    """The facts about two keys.

    Attributes:
        output: The output of the key administrator's script. Text before and after the output is ignored.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    output: Annotated[str, Field(max_length=COLLECTED_KEYS_MAX_LENGTH)]


@router.post("/key-checks", responses=openapi_problem_responses(HTTPStatus.BAD_GATEWAY))
async def check_keys(caller: WriteCaller, service: Service, state: State, request: CheckKeysRequest) -> KeyCheckResult:
    """Return a verdict on each key: verified, cannot be used, or not verified.

    byok verifies the Aurora key only if `prove_aurora_key` is true. To verify the key, byok creates a cluster without
    instances, and then removes the cluster.
    """
    request = claim_request(caller, request)
    require_region_in_use(state, request.region)
    return await service.check_keys(request)


@router.post("/policy-checks")
async def check_key_policy(caller: ReadCaller, state: State, request: PolicyCheckRequest) -> PolicyCheckResponse:
    """Check whether a key policy grants each permission that the platform needs, and if not, report what to change."""
    arn = _key_of(request)
    try:
        owner = caller.organisation or request.organisation
        side = PlatformPrincipal(state.platform_role_arn, request.region, arn, datetime.now(UTC), owner)
        report = parse_and_check_policy(request.policy.encode(), request.key, side, state.vendor)
    except ValueError as error:
        raise invalid_field_error("policy", str(error)) from error
    return PolicyCheckResponse.model_validate(report.as_json_dict())


@router.post("/diagnoses")
async def diagnose_keys(_: ReadCaller, state: State, request: DiagnosisRequest) -> DiagnosisResponse:
    """Diagnose two keys from the output of the key administrator's script, without calling AWS."""
    try:
        collection = CollectedKeys.parse(request.output)
        collection.require_platform_role(state.platform_role_arn)
    except CollectedKeysError as error:
        raise invalid_field_error("output", str(error)) from error
    findings = diagnose_collected_keys(collection, state.vendor, datetime.now(UTC))
    listed = [one.as_json_dict() for one in findings]
    return DiagnosisResponse.model_validate({"usable": are_keys_usable(findings), "findings": listed})


def _key_of(request: PolicyCheckRequest) -> str | None:
    if request.key_arn is None:
        return None
    try:
        key = parse_key_arn(request.key_arn.strip())
    except InvalidKeyArnError as error:
        raise invalid_field_error("key_arn", str(error)) from error
    if key.region != request.region:
        raise invalid_field_error("key_arn", f"the key is in {key.region}, but the environment is in {request.region}")
    return str(key)
