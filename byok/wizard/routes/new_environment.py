"""The steps that create an environment: name and Region, keys, review and confirmation."""

from contextlib import suppress
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Header, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from byok.api.dependencies import State
from byok.api.problems import STATUS_BY_ERROR, build_retry_headers, note_problem_code
from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.naming import cluster_identifier
from byok.domain.phases import Phase
from byok.onboarding.kit import KEY_LOSS_WARNINGS
from byok.service.errors import EnvironmentConflictError, EnvironmentNotFoundError, ServiceError
from byok.service.key_check_progress import start_key_check
from byok.wizard.dependencies import Form, Service, Steps, accept_one_file, act_for
from byok.wizard.draft import EnvironmentDraft
from byok.wizard.encryption_page import ENCRYPTION, EncryptionPage
from byok.wizard.examination import diagnose_output, examine_policy
from byok.wizard.keys_view import KeysView
from byok.wizard.toasts import Toast, redirect_with_toast

router = APIRouter(prefix="/new")
ENVIRONMENT, REVIEW = "/new", "/new/review"


@router.get("")
async def show_environment_step(request: Request, state: State, steps: Steps) -> Response:
    """Show the first step: the name, the Region, and whether to keep the resources if provisioning stops."""
    draft, prefix = steps.open_draft(request.query_params), steps.prefix
    asked = "next" in request.query_params
    faults = draft.field_errors(prefix, state.regions, "name", "region") if asked else {}
    taken = await _find_taken_name(request, state, steps, draft) if asked and "name" not in faults else None
    if taken:
        faults["name"] = f"The environment {taken} already exists. Choose another name."
    if asked and not faults:
        return steps.go_to(ENCRYPTION, draft)
    undone = EnvironmentDraft.from_fields(dict(parse_qsl(request.query_params.get("undo", ""))))
    return steps.render(
        "environment_step.html",
        draft,
        faults=faults,
        taken=taken,
        prefix=prefix,
        regions=state.regions,
        saved=() if "draft" in request.query_params else steps.list_saved_drafts(),
        undo_url=undone.page_url(ENVIRONMENT) if undone.name or undone.region else None,
    )


@router.post("/discarded-drafts")
async def discard_draft(request: Request, steps: Steps, form: Form) -> Response:
    """Remove a saved draft. The page that follows offers to restore it."""
    draft = steps.open_draft({"draft": form.get("draft", "")})
    entries = draft.model_copy(update={"draft": ""}).page_url("").removeprefix("?")
    response = redirect_with_toast(ENVIRONMENT, Toast.DISCARDED, undo=entries)
    steps.drafts.discard(request, response, draft.draft)
    return response


@router.get("/encryption")
async def show_encryption_step(
    request: Request, state: State, steps: Steps, part: Annotated[str | None, Header(alias="X-Part")] = None
) -> Response:
    """Show the second step, *Encryption at rest*. If the URL contains a key check, also show the check's result."""
    draft = steps.open_draft(request.query_params)
    if draft.field_errors(steps.prefix, state.regions, "name", "region"):
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    page = EncryptionPage(request, state, steps, draft)
    if "next" in request.query_params:
        faults, findings = page.find_obstacles()
        if not faults and not findings and not (draft.is_platform_managed and page.is_in_other_partition):
            return steps.go_to(REVIEW, draft)
        return page.render(KeysView.build(faults, findings))
    if page.has_check:
        return await page.render_check(await act_for(request, state, steps.session), part_only=part == "keys")
    return page.render(KeysView.build({}))


@router.post("/encryption", dependencies=[Depends(accept_one_file)])
async def submit_keys(request: Request, state: State, service: Service, steps: Steps, form: Form) -> Response:
    """Handle the buttons of the second step.

    The buttons open the review, check both keys, swap the ARNs and check both keys, or examine a policy or the output
    of the collection script. None of these buttons creates an environment.
    """
    draft, do = steps.open_draft(form), form.get("do")
    if draft.field_errors(steps.prefix, state.regions, "name", "region"):
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    if do == "swap":
        draft = draft.model_copy(update={"s3_key_arn": draft.rds_key_arn, "rds_key_arn": draft.s3_key_arn})
    page = EncryptionPage(request, state, steps, draft)
    if do == "policy":
        examined = examine_policy(form, state, draft.region, steps.organisation)
        return page.render(KeysView.build({}), examined=examined)
    if do == "diagnose":
        return page.render(
            KeysView.build({}), diagnosis=await diagnose_output(form, state, draft.region, draft.profile)
        )
    if do in {"choose", "update"}:
        return steps.go_to(ENCRYPTION, draft, fragment="kms" if do == "update" else "")
    faults = draft.field_errors(steps.prefix, state.regions, "s3_key_arn", "rds_key_arn", "profile")
    if do == "enter":  # the user pressed Enter in a field
        do = "next" if draft.check else "validate"
    if do not in {"validate", "swap"} or faults or draft.is_platform_managed:
        return steps.go_to(ENCRYPTION, draft, asked=True)
    try:
        run_id = await start_key_check(service, page.check_request)
    except ServiceError as error:
        return page.render_error(error)
    return steps.go_to(ENCRYPTION, draft.model_copy(update={"check": run_id}))


@router.get("/encryption/rules")
async def check_fields(request: Request, state: State, steps: Steps) -> Response:
    """Check the ARN fields while the user types. If a field contains a payload, return the payload's two ARNs."""
    draft = steps.open_draft(request.query_params)
    partly = not (draft.s3_key_arn and draft.rds_key_arn)
    wrong = draft.field_errors(steps.prefix, state.regions, "region")
    findings = () if wrong else EncryptionPage(request, state, steps, draft).find_arn_problems()
    filled = {KeyPurpose.S3: draft.s3_key_arn, KeyPurpose.RDS: draft.rds_key_arn}
    told = [(one.key, one.message) for one in findings if not partly or (one.key is not None and filled[one.key])]
    invalid = draft.payload_faults()
    if invalid:
        told = [(which, invalid[f"{which}_key_arn"]) for which in KeyPurpose if f"{which}_key_arn" in invalid]
    response = JSONResponse(
        {
            "s3_key_arn": draft.s3_key_arn,
            "rds_key_arn": draft.rds_key_arn,
            "findings": [{"key": key, "message": message} for key, message in told],
        }
    )
    steps.save(response, draft)
    return response


@router.get("/review")
async def show_review_step(request: Request, state: State, steps: Steps) -> Response:
    """Show the third step: a summary of all input, and the confirmation (contract 29)."""
    draft = steps.open_draft(request.query_params)
    if draft.field_errors(steps.prefix, state.regions, "name", "region"):
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    page = EncryptionPage(request, state, steps, draft)
    if any(page.find_obstacles()) or (draft.is_platform_managed and page.is_in_other_partition):
        return steps.go_to(ENCRYPTION, draft, asked=True)
    with suppress(ServiceError):  # the review works without Temporal
        if await _find_taken_name(request, state, steps, draft):  # for example, after the browser's back button
            return steps.go_to(ENVIRONMENT, draft, asked=True)
    return await _render_review(request, state, steps, draft)


@router.post("/review")
async def create_environment(request: Request, state: State, service: Service, steps: Steps, form: Form) -> Response:
    """Create the environment, and redirect to its progress page."""
    draft = steps.open_draft(form)
    try:
        asked = draft.build_provision_request(steps.organisation)
    except ValidationError:
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    if not form.get("confirmed"):
        return await _render_review(request, state, steps, draft, is_unconfirmed=True)
    try:
        await service.create(asked)
    except ServiceError as error:
        note_problem_code(request, error.code)
        status = STATUS_BY_ERROR[type(error)]
        taken, fault = "", str(error)
        if isinstance(error, EnvironmentConflictError):  # its message names fields that the wizard does not have
            taken = asked.environment_id
            fault = f"The environment {taken} already exists, and differs from these entries."
        page = await _render_review(request, state, steps, draft, fault=fault, taken=taken, status=status)
        page.headers.update(build_retry_headers(error))
        return page
    response = RedirectResponse(f"/environments/{asked.environment_id}", HTTPStatus.SEE_OTHER)
    steps.drafts.discard(request, response, draft.draft)
    return response


async def _find_taken_name(request: Request, state: State, steps: Steps, draft: EnvironmentDraft) -> str | None:
    """Return the id of the environment that already has the draft's name; None if the name is available."""
    try:
        service = await act_for(request, state, steps.session)
        status = await service.read_status(draft.full_environment_id(steps.prefix))
    except EnvironmentNotFoundError:
        return None
    return None if status.phase is Phase.DELETED else status.environment_id


async def _render_review(
    request: Request,
    state: State,
    steps: Steps,
    draft: EnvironmentDraft,
    *,
    fault: str = "",
    taken: str = "",
    is_unconfirmed: bool = False,
    status: int = HTTPStatus.OK,
) -> Response:
    page, environment_id = EncryptionPage(request, state, steps, draft), draft.full_environment_id(steps.prefix)
    return steps.render(
        "review_step.html",
        draft,
        status=status,
        environment_id=environment_id,
        cluster=cluster_identifier(state.vendor, environment_id),
        account=account_id_of_role(state.platform_role_arn),
        view=await page.view_known_check(await act_for(request, state, steps.session)),
        warnings=KEY_LOSS_WARNINGS,
        fault=fault,
        taken=taken,
        is_unconfirmed=is_unconfirmed,
    )
