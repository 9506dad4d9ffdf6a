"""The steps that create an environment: name and Region, keys, review and confirmation."""

from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from byok.api.dependencies import State
from byok.api.problems import STATUS_BY_ERROR, build_retry_headers, note_problem_code
from byok.api.routes.onboarding import build_download_response
from byok.domain.arns import KeyPurpose, account_id_of_role, partition_of_region
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.document import PolicyDocumentError
from byok.domain.iam.check.report import PolicyReport, invalid_document_report
from byok.domain.iam.check.report import parse_and_check_policy as examine_policy
from byok.domain.models import CheckKeysRequest, KeyCheckResult, Problem
from byok.domain.onboarding.customer_commands import KEYS_TEMPLATE_FILE
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.onboarding.downloads import build_template
from byok.onboarding.kit import KEY_LOSS_WARNINGS, OnboardingKit
from byok.onboarding.template import render_keys_template
from byok.onboarding.template_kinds import TemplateKind
from byok.service.errors import ServiceError
from byok.wizard.dependencies import Form, PagesOfApp, Service, WriteSession
from byok.wizard.draft import EnvironmentDraft, Tab
from byok.wizard.pages import PageRenderer
from byok.wizard.sessions import Session

router = APIRouter(prefix="/new")
ENVIRONMENT, ENCRYPTION, REVIEW = "/new", "/new/encryption", "/new/review"


@router.get("")
async def show_environment_step(request: Request, pages: PagesOfApp, state: State, session: WriteSession) -> Response:
    """Show the first step: the name, the Region, and whether to keep the resources if provisioning stops."""
    draft = EnvironmentDraft.from_fields(request.query_params)
    asked = "next" in request.query_params
    faults = draft.field_errors(session.caller.environment_id_prefix, state.regions, "name", "region") if asked else {}
    if asked and not faults:
        return RedirectResponse(draft.page_url(ENCRYPTION), HTTPStatus.SEE_OTHER)
    return pages.render(
        request,
        "environment_step.html",
        session=session,
        draft=draft,
        faults=faults,
        prefix=session.caller.environment_id_prefix,
        regions=state.regions,
    )


@router.get("/encryption")
async def show_encryption_step(request: Request, pages: PagesOfApp, state: State, session: WriteSession) -> Response:
    """Show the second step, *Encryption at rest*."""
    draft = EnvironmentDraft.from_fields(request.query_params)
    if draft.field_errors(session.caller.environment_id_prefix, state.regions, "name", "region"):
        return RedirectResponse(draft.page_url(ENVIRONMENT, asked=True), HTTPStatus.SEE_OTHER)
    asked, faults, findings = "next" in request.query_params, dict[str, str](), tuple[Problem, ...]()
    if asked and draft.is_platform_managed:
        if not _is_in_other_partition(draft, state):
            return RedirectResponse(draft.page_url(REVIEW), HTTPStatus.SEE_OTHER)
    elif asked:
        names = ("s3_key_arn", "rds_key_arn", "profile", "stack")
        faults = draft.field_errors(session.caller.environment_id_prefix, state.regions, *names)
        findings = () if faults else _findings(draft, state, session.caller.organisation)
        if not faults and not findings:
            return RedirectResponse(draft.page_url(REVIEW), HTTPStatus.SEE_OTHER)
    return _encryption_page(request, pages, state, session, draft, faults=faults, findings=findings)


@router.post("/encryption")
async def check_keys_or_policy(
    request: Request, pages: PagesOfApp, state: State, service: Service, session: WriteSession, form: Form
) -> Response:
    """Validate both keys with a key check, or check a key policy.

    Show the result on the same page, and create nothing.
    """
    draft = EnvironmentDraft.from_fields(form)
    if draft.field_errors(session.caller.environment_id_prefix, state.regions, "name", "region"):
        return RedirectResponse(draft.page_url(ENVIRONMENT, asked=True), HTTPStatus.SEE_OTHER)
    if form.get("do") == "next":
        return RedirectResponse(draft.page_url(ENCRYPTION, asked=True), HTTPStatus.SEE_OTHER)
    if form.get("do") == "policy":
        policy = str(form.get("policy", ""))
        which = KeyPurpose.RDS if form.get("policy_key") == KeyPurpose.RDS else KeyPurpose.S3
        examined = _examine_policy(policy, which, draft, state, session.caller.organisation)
        return _encryption_page(request, pages, state, session, draft, policy=policy, which=which, examined=examined)
    faults = draft.field_errors(session.caller.environment_id_prefix, state.regions, "s3_key_arn", "rds_key_arn")
    if faults or draft.field_errors(session.caller.environment_id_prefix, state.regions, "profile"):
        return _encryption_page(request, pages, state, session, draft, faults=faults)
    checked = await service.check_keys(
        CheckKeysRequest(
            organisation=session.caller.organisation,
            region=draft.region,
            s3_key_arn=draft.s3_key_arn,
            rds_key_arn=draft.rds_key_arn,
            profile=draft.profile,
            environment_id=draft.full_environment_id(session.caller.environment_id_prefix),
            prove_aurora_key=True,
        )
    )
    return _encryption_page(request, pages, state, session, draft, findings=checked.findings, checked=checked)


@router.get("/encryption/rules")
async def check_fields(request: Request, state: State, session: WriteSession) -> Response:
    """Check the ARN fields while the user types. If a field contains a payload, return the payload's two ARNs."""
    draft = EnvironmentDraft.from_fields(request.query_params)
    partly = not (draft.s3_key_arn and draft.rds_key_arn)
    wrong = draft.field_errors(session.caller.environment_id_prefix, state.regions, "region")
    findings = () if wrong else _findings(draft, state, session.caller.organisation)
    filled = {KeyPurpose.S3: draft.s3_key_arn, KeyPurpose.RDS: draft.rds_key_arn}
    told = [one for one in findings if not partly or (one.key is not None and filled[one.key])]
    return JSONResponse(
        {
            "s3_key_arn": draft.s3_key_arn,
            "rds_key_arn": draft.rds_key_arn,
            "findings": [{"key": one.key, "message": one.message} for one in told],
        }
    )


@router.get("/template")
async def download_template(state: State, _: WriteSession) -> Response:
    """Download the template that creates both keys."""
    return build_download_response(build_template(TemplateKind.KEYS, "", "", state.vendor))


@router.get("/review")
async def show_review_step(request: Request, pages: PagesOfApp, state: State, session: WriteSession) -> Response:
    """Show the third step: a summary of all input, and the confirmation (contract 29)."""
    draft = EnvironmentDraft.from_fields(request.query_params)
    keys = () if draft.is_platform_managed else ("s3_key_arn", "rds_key_arn", "profile", "stack")
    fields = {ENVIRONMENT: ("name", "region"), ENCRYPTION: keys}
    for page, names in fields.items():
        if draft.field_errors(session.caller.environment_id_prefix, state.regions, *names):
            return RedirectResponse(draft.page_url(page, asked=True), HTTPStatus.SEE_OTHER)
    if (
        _is_in_other_partition(draft, state)
        if draft.is_platform_managed
        else _findings(draft, state, session.caller.organisation)
    ):
        return RedirectResponse(draft.page_url(ENCRYPTION, asked=True), HTTPStatus.SEE_OTHER)
    return _review_page(request, pages, state, session, draft)


@router.post("/review")
async def create_environment(
    request: Request, pages: PagesOfApp, state: State, service: Service, session: WriteSession, form: Form
) -> Response:
    """Create the environment, and redirect to its progress page."""
    draft = EnvironmentDraft.from_fields(form)
    try:
        asked = draft.build_provision_request(session.caller.organisation)
    except ValidationError:
        return RedirectResponse(draft.page_url(ENVIRONMENT, asked=True), HTTPStatus.SEE_OTHER)
    if not form.get("confirmed"):
        fault = "Select the checkbox to confirm that you want to create this environment."
        return _review_page(request, pages, state, session, draft, fault=fault)
    try:
        await service.create(asked)
    except ServiceError as error:
        note_problem_code(request, error.code)
        page = _review_page(
            request, pages, state, session, draft, fault=str(error), status=STATUS_BY_ERROR[type(error)]
        )
        page.headers.update(build_retry_headers(error))
        return page
    return RedirectResponse(f"/environments/{asked.environment_id}", HTTPStatus.SEE_OTHER)


def _findings(draft: EnvironmentDraft, state: State, organisation: str | None) -> tuple[Problem, ...]:
    return draft.key_arn_problems(state.platform_role_arn, state.vendor, organisation, datetime.now(UTC))


def _is_in_other_partition(draft: EnvironmentDraft, state: State) -> bool:
    """Return whether the Region is in a partition in which the platform role cannot work."""
    return partition_of_region(draft.region) != state.platform_role_arn.split(":")[1]


def _examine_policy(
    policy: str, which: KeyPurpose, draft: EnvironmentDraft, state: State, organisation: str | None
) -> PolicyReport:
    """Check a policy.

    If the policy is not a valid document, the report contains the error, and the page shows this report like any other
    report.
    """
    side = PlatformPrincipal(state.platform_role_arn, draft.region, at=datetime.now(UTC), organisation=organisation)
    try:
        return examine_policy(policy.encode(), which, side, state.vendor)
    except PolicyDocumentError as error:
        return invalid_document_report(error, which)


def _encryption_page(
    request: Request,
    pages: PageRenderer,
    state: State,
    session: Session,
    draft: EnvironmentDraft,
    *,
    faults: dict[str, str] | None = None,
    findings: tuple[Problem, ...] = (),
    checked: KeyCheckResult | None = None,
    policy: str = "",
    which: KeyPurpose = KeyPurpose.S3,
    examined: PolicyReport | None = None,
) -> Response:
    prefix = session.caller.environment_id_prefix
    wrong = draft.field_errors(prefix, "profile", "stack")
    usable = draft.model_copy(update={name: EnvironmentDraft.model_fields[name].default for name in wrong})
    fault: str | None = None
    kit: OnboardingKit | None = None
    try:
        kit = OnboardingKit.for_region(
            state.platform_role_arn,
            draft.region,
            state.vendor,
            stack_name=usable.stack_name(prefix),
            profile=usable.profile,
            organisation=session.caller.organisation,
        )
    except ValueError as error:
        fault = str(error)
    return pages.render(
        request,
        "encryption_step.html",
        session=session,
        draft=draft,
        kit=kit,
        fault=fault,
        faults=(faults or {}) | wrong,
        findings=findings,
        checked=checked,
        swapped_url=_swapped_url(draft, checked),
        policy=policy,
        which=which,
        examined=examined,
        keys=KeyPurpose,
        tabs=Tab,
        template_text=render_keys_template(state.vendor),
        template_file=KEYS_TEMPLATE_FILE,
        prefix=session.caller.environment_id_prefix,
    )


def _swapped_url(draft: EnvironmentDraft, checked: KeyCheckResult | None) -> str | None:
    """Return the address of this step with the two ARNs swapped.

    Return None unless the check found that the ARNs are swapped.
    """
    if checked is None or all(one.code != KEYS_EXCHANGED_CODE for one in checked.findings):
        return None
    return draft.page_url(ENCRYPTION, s3_key_arn=draft.rds_key_arn, rds_key_arn=draft.s3_key_arn)


def _review_page(
    request: Request,
    pages: PageRenderer,
    state: State,
    session: Session,
    draft: EnvironmentDraft,
    *,
    fault: str | None = None,
    status: int = HTTPStatus.OK,
) -> Response:
    return pages.render(
        request,
        "review_step.html",
        session=session,
        status=status,
        draft=draft,
        environment_id=draft.full_environment_id(session.caller.environment_id_prefix),
        account=account_id_of_role(state.platform_role_arn),
        warnings=KEY_LOSS_WARNINGS,
        fault=fault,
    )
