"""The steps that create an environment: name and Region, keys, review and confirmation."""

import re
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import APIRouter, Header, Request
from pydantic import ValidationError
from starlette.responses import JSONResponse, RedirectResponse, Response

from byok.api.dependencies import State
from byok.api.problems import STATUS_BY_ERROR, build_retry_headers, note_problem_code
from byok.domain.arns import KeyPurpose, account_id_of_role, partition_of_region
from byok.domain.models import CheckKeysRequest, Problem
from byok.domain.onboarding.customer_commands import KEYS_TEMPLATE_FILE
from byok.domain.phases import Phase
from byok.domain.problems.build import KEYS_EXCHANGED_CODE
from byok.onboarding.kit import KEY_LOSS_WARNINGS, OnboardingKit
from byok.onboarding.terraform import TERRAFORM_FILE
from byok.service.errors import EnvironmentNotFoundError, ServiceError
from byok.service.key_check_progress import KeyCheckProgress, read_key_check, start_key_check
from byok.wizard.dependencies import Form, Service, Steps, act_for
from byok.wizard.draft import EnvironmentDraft, Tab
from byok.wizard.examination import Diagnosis, PolicyExamination, diagnose_output, examine_policy
from byok.wizard.keys_view import KeysView

router = APIRouter(prefix="/new")
ENVIRONMENT, ENCRYPTION, REVIEW = "/new", "/new/encryption", "/new/review"

_RUN_ID: Final = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_FIRST_ANSWER: Final = timedelta(milliseconds=700)
"""How long the page waits for the result of a key check before it shows the progress. Most faults are found within this
time."""


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
    return steps.render(
        "environment_step.html",
        draft,
        faults=faults,
        taken=taken,
        prefix=prefix,
        regions=state.regions,
        saved=() if "draft" in request.query_params else steps.list_saved_drafts(),
    )


@router.post("/discarded-drafts")
async def discard_draft(request: Request, steps: Steps, form: Form) -> Response:
    """Remove a saved draft."""
    response = RedirectResponse(ENVIRONMENT, HTTPStatus.SEE_OTHER)
    steps.drafts.discard(request, response, str(form.get("draft", "")))
    return response


@router.get("/encryption")
async def show_encryption_step(
    request: Request, state: State, steps: Steps, part: Annotated[str | None, Header(alias="X-Part")] = None
) -> Response:
    """Show the second step, *Encryption at rest*, with the result of a key check if the URL names one."""
    draft = steps.open_draft(request.query_params)
    if draft.field_errors(steps.prefix, state.regions, "name", "region"):
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    page = _EncryptionPage(request, state, steps, draft)
    run_id = request.query_params.get("check", "")
    if "next" in request.query_params:
        faults, findings = page.find_obstacles()
        if not faults and not findings and not (draft.is_platform_managed and page.is_in_other_partition):
            return steps.go_to(REVIEW, draft)
        return page.render(KeysView.build(faults, findings))
    if re.fullmatch(_RUN_ID, run_id) and draft.s3_key_arn and draft.rds_key_arn:
        return await page.render_check(run_id, part_only=part == "keys")
    return page.render(KeysView.build({}))


@router.post("/encryption")
async def submit_keys(request: Request, state: State, service: Service, steps: Steps, form: Form) -> Response:
    """Go to the review, start a check of both keys, or examine a policy or the output of the collection script.

    Create nothing.
    """
    draft = steps.open_draft(form)
    if draft.field_errors(steps.prefix, state.regions, "name", "region"):
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    page, do = _EncryptionPage(request, state, steps, draft), form.get("do")
    if do == "policy":
        examined = examine_policy(form, state, draft.region, steps.organisation)
        return page.render(KeysView.build({}), examined=examined)
    if do == "diagnose":
        return page.render(KeysView.build({}), diagnosis=await diagnose_output(form, state, draft.region))
    if do in {"choose", "update"}:
        return steps.go_to(ENCRYPTION, draft, fragment="kms" if do == "update" else "")
    faults = draft.field_errors(steps.prefix, state.regions, "s3_key_arn", "rds_key_arn", "profile")
    if do != "validate" or faults or draft.is_platform_managed:
        return steps.go_to(ENCRYPTION, draft, asked=True)
    try:
        run_id = await start_key_check(service, page.check_request)
    except ServiceError as error:
        return page.render_error(error)
    return steps.go_to(ENCRYPTION, draft, check=run_id)


@router.get("/encryption/rules")
async def check_fields(request: Request, state: State, steps: Steps) -> Response:
    """Check the ARN fields while the user types. If a field contains a payload, return the payload's two ARNs."""
    draft = steps.open_draft(request.query_params)
    partly = not (draft.s3_key_arn and draft.rds_key_arn)
    wrong = draft.field_errors(steps.prefix, state.regions, "region")
    findings = () if wrong else _EncryptionPage(request, state, steps, draft).find_arn_problems()
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
    page = _EncryptionPage(request, state, steps, draft)
    if any(page.find_obstacles()) or (draft.is_platform_managed and page.is_in_other_partition):
        return steps.go_to(ENCRYPTION, draft, asked=True)
    return _render_review(state, steps, draft)


@router.post("/review")
async def create_environment(request: Request, state: State, service: Service, steps: Steps, form: Form) -> Response:
    """Create the environment, and redirect to its progress page."""
    draft = steps.open_draft(form)
    try:
        asked = draft.build_provision_request(steps.organisation)
    except ValidationError:
        return steps.go_to(ENVIRONMENT, draft, asked=True)
    if not form.get("confirmed"):
        fault = "Select the checkbox to confirm that you want to create this environment."
        return _render_review(state, steps, draft, fault=fault)
    try:
        await service.create(asked)
    except ServiceError as error:
        note_problem_code(request, error.code)
        page = _render_review(state, steps, draft, fault=str(error), status=STATUS_BY_ERROR[type(error)])
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


class _EncryptionPage:
    """The page *Encryption at rest* for one request."""

    def __init__(self, request: Request, state: State, steps: Steps, draft: EnvironmentDraft) -> None:
        self._request, self._state, self._steps, self._draft = request, state, steps, draft

    @property
    def is_in_other_partition(self) -> bool:
        """Whether the Region is in a partition in which the platform role cannot work."""
        return partition_of_region(self._draft.region) != self._state.platform_role_arn.split(":")[1]

    @property
    def check_request(self) -> CheckKeysRequest:
        """The request to check the draft's keys."""
        draft = self._draft
        return CheckKeysRequest(
            organisation=self._steps.organisation,
            region=draft.region,
            s3_key_arn=draft.s3_key_arn,
            rds_key_arn=draft.rds_key_arn,
            profile=draft.profile,
            environment_id=draft.full_environment_id(self._steps.prefix),
            prove_aurora_key=True,
        )

    def find_arn_problems(self) -> tuple[Problem, ...]:
        """Return the problems with the ARNs that byok finds without calling AWS."""
        state = self._state
        return self._draft.key_arn_problems(
            state.platform_role_arn, state.vendor, self._steps.organisation, datetime.now(UTC)
        )

    def find_obstacles(self) -> tuple[dict[str, str], tuple[Problem, ...]]:
        """Return the faults of the fields and the problems with the ARNs that prevent the review."""
        if self._draft.is_platform_managed:
            return {}, ()
        names = ("s3_key_arn", "rds_key_arn", "profile", "stack")
        faults = self._draft.field_errors(self._steps.prefix, self._state.regions, *names)
        return faults, () if faults else self.find_arn_problems()

    async def render_check(self, run_id: str, *, part_only: bool) -> Response:
        """Show the page, or only its part with the keys, with a key check."""
        try:
            service = await act_for(self._request, self._state, self._steps.session)
            progress = await read_key_check(service, self.check_request, run_id, _FIRST_ANSWER)
        except ServiceError as error:
            return self.render_error(error)
        view = KeysView.build({}, progress=progress)
        template = "keys_part.html" if part_only else "encryption_step.html"
        return self.render(view, template=template, run_id=run_id, progress=progress)

    def render_error(self, error: ServiceError) -> Response:
        """Show the page with the reason why a key check was not started or not completed."""
        note_problem_code(self._request, error.code)
        response = self.render(KeysView.build({}, fault=str(error)), status=STATUS_BY_ERROR[type(error)])
        response.headers.update(build_retry_headers(error))
        return response

    def render(
        self,
        view: KeysView,
        *,
        template: str = "encryption_step.html",
        status: int = HTTPStatus.OK,
        run_id: str = "",
        progress: KeyCheckProgress | None = None,
        examined: PolicyExamination | None = None,
        diagnosis: Diagnosis | None = None,
    ) -> Response:
        """Show the page."""
        draft, state, prefix = self._draft, self._state, self._steps.prefix
        faults = draft.field_errors(prefix, state.regions, "profile", "stack")
        usable = draft.model_copy(update={name: EnvironmentDraft.model_fields[name].default for name in faults})
        kit, fault = self._build_kit(usable)
        return self._steps.render(
            template,
            draft,
            status=status,
            kit=kit,
            fault=fault,
            faults=faults,
            view=view,
            check_url=draft.page_url(ENCRYPTION, check=run_id) if view.is_running else "",
            swapped_url=_swapped_url(draft, progress),
            examined=examined or PolicyExamination(),
            diagnosis=diagnosis or Diagnosis(),
            keys=KeyPurpose,
            tabs=Tab,
            template_file=KEYS_TEMPLATE_FILE,
            terraform_file=TERRAFORM_FILE,
            prefix=prefix,
        )

    def _build_kit(self, draft: EnvironmentDraft) -> tuple[OnboardingKit | None, str]:
        """Return the kit, or the reason why there is none."""
        state = self._state
        try:
            kit = OnboardingKit.for_region(
                state.platform_role_arn,
                draft.region,
                state.vendor,
                stack_name=draft.stack_name(self._steps.prefix),
                profile=draft.profile,
                organisation=self._steps.organisation,
                template_url=state.template_url,
            )
        except ValueError as error:
            return None, str(error)
        return kit, ""


def _swapped_url(draft: EnvironmentDraft, progress: KeyCheckProgress | None) -> str | None:
    """Return the URL of this step with the two ARNs swapped.

    Return None unless the check found that the ARNs are swapped.
    """
    result = progress.result if progress else None
    if result is None or all(one.code != KEYS_EXCHANGED_CODE for one in result.findings):
        return None
    return draft.page_url(ENCRYPTION, s3_key_arn=draft.rds_key_arn, rds_key_arn=draft.s3_key_arn)


def _render_review(
    state: State, steps: Steps, draft: EnvironmentDraft, *, fault: str = "", status: int = HTTPStatus.OK
) -> Response:
    return steps.render(
        "review_step.html",
        draft,
        status=status,
        environment_id=draft.full_environment_id(steps.prefix),
        account=account_id_of_role(state.platform_role_arn),
        warnings=KEY_LOSS_WARNINGS,
        fault=fault,
    )
