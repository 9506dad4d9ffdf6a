"""The page *Encryption at rest* for one request: the keys, the kit that creates them, and a check of the keys."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from byok.api.problems import STATUS_BY_ERROR, build_retry_headers, note_problem_code
from byok.api.state import ApiState
from byok.domain.arns import KeyPurpose, partition_of_region
from byok.domain.models import CheckKeysRequest, Problem
from byok.domain.onboarding.customer_commands import KEYS_TEMPLATE_FILE
from byok.onboarding.kit import OnboardingKit
from byok.onboarding.terraform import TERRAFORM_FILE
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError
from byok.service.key_check_progress import KeyCheckProgress, read_key_check
from byok.wizard.draft import EnvironmentDraft, Tab
from byok.wizard.examination import Diagnosis, PolicyExamination
from byok.wizard.keys_view import KeysView
from byok.wizard.steps import WizardSteps

ENCRYPTION: Final = "/new/encryption"

_FIRST_ANSWER: Final = timedelta(milliseconds=700)
"""How long the page waits for the result of a key check before it shows the progress. Most checks that find a fault end
within this time.
"""


class EncryptionPage:
    """The page *Encryption at rest* for one request."""

    def __init__(self, request: Request, state: ApiState, steps: WizardSteps, draft: EnvironmentDraft) -> None:
        self._request, self._state, self._steps, self._draft = request, state, steps, draft

    @property
    def is_in_other_partition(self) -> bool:
        """Whether the Region and the platform role are in different partitions."""
        return partition_of_region(self._draft.region) != self._state.platform_role_arn.split(":")[1]

    @property
    def has_check(self) -> bool:
        """Whether a check of the draft's own keys was started."""
        draft = self._draft
        return bool(draft.check and draft.s3_key_arn and draft.rds_key_arn) and not draft.is_platform_managed

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
        """Return the invalid fields and the problems with the ARNs that the user must fix before the review."""
        if self._draft.is_platform_managed:
            return {}, ()
        names = ("s3_key_arn", "rds_key_arn", "profile", "stack")
        faults = self._draft.field_errors(self._steps.prefix, self._state.regions, *names)
        return faults, () if faults else self.find_arn_problems()

    async def render_check(self, service: EnvironmentService, *, part_only: bool) -> Response:
        """Show the page with the draft's key check, or only the part of the page that contains the keys."""
        try:
            progress = await self._read_check(service)
        except ServiceError as error:
            return self.render_error(error)
        template = "keys_part.html" if part_only else "encryption_step.html"
        return self.render(KeysView.build({}, progress=progress), template=template)

    async def view_known_check(self, service: EnvironmentService) -> KeysView:
        """Return the current results of the draft's key check.

        If byok cannot read the check, no key counts as verified.
        """
        progress: KeyCheckProgress | None = None
        if self.has_check:
            with suppress(ServiceError):  # the review also works without the check
                progress = await self._read_check(service)
        return KeysView.build({}, progress=progress)

    async def _read_check(self, service: EnvironmentService) -> KeyCheckProgress | None:
        return await read_key_check(service, self.check_request, self._draft.check, _FIRST_ANSWER)

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
            check_url=draft.page_url(ENCRYPTION) if view.is_running else "",
            examined=examined or PolicyExamination(),
            diagnosis=diagnosis or Diagnosis(),
            keys=KeyPurpose,
            tabs=Tab,
            template_file=KEYS_TEMPLATE_FILE,
            terraform_file=TERRAFORM_FILE,
            prefix=prefix,
        )

    def _build_kit(self, draft: EnvironmentDraft) -> tuple[OnboardingKit | None, str]:
        """Return the kit, or the reason why it cannot be built."""
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
