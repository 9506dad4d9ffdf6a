"""Renders the page of an environment, including the error if byok rejected a request from that page."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from starlette.responses import Response

from byok.api.authorization import EnvironmentId
from byok.api.dependencies import State
from byok.api.problems import STATUS_BY_ERROR, build_retry_headers, note_problem_code
from byok.domain.arns import KeyPair
from byok.domain.customer_aws import default_stack_name
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.phases import Phase
from byok.domain.problems.build import find_arn_problems
from byok.domain.problems.remediation import RemedyContext
from byok.domain.scopes import Scope
from byok.onboarding.kit import WARNINGS
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError
from byok.service.replay import find_replay_options
from byok.service.status import EnvironmentStatus
from byok.wizard.dependencies import RETRY_FIELDS, CurrentSession, PagesOfApp, Service
from byok.wizard.health_views import HealthView
from byok.wizard.pages import PageRenderer
from byok.wizard.refusals import Refusal
from byok.wizard.sessions import Session
from byok.wizard.views import StatusView

_EXTERNAL_ID_TIMEOUT: Final = timedelta(seconds=3)
"""How long a page waits for the external id. The external id is the only part of the page that requires a worker."""


@dataclass(frozen=True)
class EnvironmentPage:
    """Renders the page of one environment for one request.

    Attributes:
        service: Acts on behalf of the user.
    """

    environment_id: str
    service: EnvironmentService
    request: Request
    pages: PageRenderer
    state: State
    session: Session

    @property
    def url(self) -> str:
        """The page's address."""
        return f"/environments/{self.environment_id}"

    async def render(
        self,
        status: EnvironmentStatus,
        *,
        template: str = "progress_step.html",
        refusal: Refusal | None = None,
        code: int = HTTPStatus.OK,
        asked: bool = False,
        entered: Mapping[str, str | None] | None = None,
        faults: Mapping[str, str] | None = None,
    ) -> Response:
        """Render the page or its live part.

        Args:
            status: The environment's status.
            template: The template of the page, or of its live part.
            refusal: The reason why byok did not carry out the user's request, if it did not.
            code: The HTTP status.
            asked: Whether the user has just requested a health check.
            entered: The ARNs that the user entered for the retry. If the user had to sign in again, the URL contains
                these ARNs. The default is the ARNs in the URL.
            faults: The error messages of the fields with these ARNs, by the name of the field.
        """
        if entered is None:
            entered = {name: self.request.query_params.get(name) for name in RETRY_FIELDS}
        return self.pages.render(
            self.request,
            template,
            session=self.session,
            status=code,
            view=StatusView.from_status(status),
            environment=status,
            attempts=await self.service.list_attempts(status),
            naming_commands=await self._list_naming_commands(status),
            keys_stack=_find_stack_name(status),
            warnings=WARNINGS,
            refusal=refusal,
            entered={name: value for name, value in entered.items() if value},
            faults=faults or {},
            can_delete=self.session.has_scope(Scope.DELETE),
            **self._health_values(status, asked=asked),
        )

    def find_arn_faults(self, status: EnvironmentStatus, given: Mapping[str, str | None]) -> dict[str, str]:
        """Return the error messages for the ARNs that the user entered for a retry, by the name of the field.

        The page has only the fields of the keys that can be replaced.
        """
        if status.region is None:
            return {}
        keys = KeyPair(given["s3_key_arn"] or status.s3_key_arn or "", given["rds_key_arn"] or status.rds_key_arn or "")
        context = RemedyContext(
            status.region, self.state.platform_role_arn, self.state.vendor, organisation=status.organisation
        )
        problems = find_arn_problems(keys, context, datetime.now(UTC))
        if problems:
            note_problem_code(self.request, problems[0].code)
        options = find_replay_options(status)
        offered = {f"{which}_key_arn" for which in options.other_keys} if options else set()
        entered = next(name for name, arn in given.items() if arn)
        named = ((f"{one.key}_key_arn", one.message) for one in problems)
        return {name if name in offered else entered: message for name, message in named}

    def render_health(self, status: EnvironmentStatus) -> Response:
        """Render only the health.

        The page requests this part every minute, so the part contains only values that require few calls.
        """
        return self.pages.render(
            self.request, "health.html", session=self.session, environment=status, **self._health_values(status)
        )

    async def refuse(
        self,
        error: ServiceError,
        refusal: Refusal,
        status: EnvironmentStatus | None = None,
        entered: Mapping[str, str | None] | None = None,
    ) -> Response:
        """Render the page with the reason why byok did not carry out the user's request.

        Args:
            error: The error, which determines the HTTP status.
            refusal: The reason.
            status: The status that the page shows; by default, the current status.
            entered: The ARNs that the user entered for the retry.
        """
        note_problem_code(self.request, error.code)
        status = status or await self.service.read_status(self.environment_id)
        page = await self.render(status, refusal=refusal, code=STATUS_BY_ERROR[type(error)], entered=entered)
        page.headers.update(build_retry_headers(error))
        return page

    def _health_values(self, status: EnvironmentStatus, *, asked: bool = False) -> dict[str, Any]:
        """Return the values for the health template. Only a READY environment has a health status."""
        view = None if status.health is None else HealthView.from_health(status.health, datetime.now(UTC), asked=asked)
        return {"health": view, "can_change": self.session.has_scope(Scope.WRITE)}

    async def _list_naming_commands(self, status: EnvironmentStatus) -> tuple[str, ...]:
        """List the commands that put the assigned tenant name on both keys; empty until the environment is ready.

        If the external id cannot be read, the list does not contain the commands for the tenant role.
        """
        name, region, s3_key_arn, rds_key_arn = status.tenant_name, status.region, status.s3_key_arn, status.rds_key_arn
        if status.phase is not Phase.READY or not (name and region and s3_key_arn and rds_key_arn):
            return ()
        commands = CustomerCommands(
            self.state.platform_role_arn,
            region,
            self.state.vendor,
            _find_stack_name(status),
            status.profile,
            status.organisation,
        )
        external_id = await self._find_external_id(status.organisation)
        return commands.name_keys_commands(KeyPair(s3_key_arn, rds_key_arn), name, external_id)

    async def _find_external_id(self, organisation: str | None) -> str | None:
        """Return an organisation's external id; None if it cannot be read.

        An external id never changes, and reading it requires a workflow, so the wizard reads each external id only
        once.
        """
        known: dict[str | None, str] = self.request.app.state.external_ids
        if organisation not in known:
            with suppress(ServiceError, TimeoutError):
                async with asyncio.timeout(_EXTERNAL_ID_TIMEOUT.total_seconds()):
                    known[organisation] = await self.service.get_external_id(organisation)
        return known.get(organisation)


def _find_stack_name(status: EnvironmentStatus) -> str:
    """Return the name of the stack that creates the customer's keys."""
    return status.stack_name or default_stack_name(status.environment_id)


async def _environment_page(
    request: Request,
    pages: PagesOfApp,
    state: State,
    service: Service,
    session: CurrentSession,
    environment_id: EnvironmentId,
) -> EnvironmentPage:
    return EnvironmentPage(environment_id, service, request, pages, state, session)


PageOfEnvironment = Annotated[EnvironmentPage, Depends(_environment_page)]
"""The page of the environment in the request's path."""
