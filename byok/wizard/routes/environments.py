"""Pages for existing environments: the list, progress, health, *Check now*, *Retry*, and the tenant name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.responses import RedirectResponse, Response

from byok.api.authorization import EnvironmentId
from byok.api.dependencies import State
from byok.api.problems import STATUS_BY_ERROR, build_retry_headers, note_problem_code
from byok.api.routes.events import EventCursor, resolve_event_cursor
from byok.domain.arns import KeyPair
from byok.domain.customer_aws import default_stack_name
from byok.domain.models import HealthState
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.phases import Phase
from byok.domain.scopes import Scope
from byok.onboarding.kit import WARNINGS
from byok.service.environments import EnvironmentService
from byok.service.errors import ServiceError
from byok.service.status import EnvironmentStatus
from byok.service.verification import verify_environment
from byok.wizard.dependencies import CheckSession, Form, PagesOfApp, ReadSession, Service, SessionStore, WriteSession
from byok.wizard.health_views import STATE_LABELS, HealthView
from byok.wizard.pages import PageRenderer
from byok.wizard.sessions import Session
from byok.wizard.views import StatusView

router = APIRouter(prefix="/environments")
_PAGE: Final = 50
_EXTERNAL_ID_TIMEOUT: Final = timedelta(seconds=3)
"""How long a page waits for the external id. Only reading the external id requires a worker; the rest of the
page does not."""


@router.get("")
async def list_environments(
    request: Request,
    pages: PagesOfApp,
    state: State,
    service: Service,
    session: ReadSession,
    after: Annotated[str | None, Query()] = None,
    health: Annotated[HealthState | None, Query()] = None,
) -> Response:
    """List the user's environments, or only those with a health."""
    verified = state.page_token_signer.verify(after)
    found, end = await service.list_environments_page(size=_PAGE, health=health, after=verified)
    return pages.render(
        request,
        "environments.html",
        session=session,
        environments=found,
        labels=STATE_LABELS,
        chosen=health,
        first=after is None,
        following=state.page_token_signer.sign(end),
    )


@router.get("/{environment_id}")
async def show_progress(
    request: Request,
    pages: PagesOfApp,
    state: State,
    service: Service,
    session: ReadSession,
    environment_id: EnvironmentId,
    part: Annotated[str | None, Header(alias="X-Part")] = None,
) -> Response:
    """Show the fourth step (progress, problems, evidence) and, for a ready environment, the fifth (the tenant name)."""
    status = await service.read_status(environment_id)
    if part == "health":  # the page requests this part every minute, so leave out what takes more calls
        return pages.render(
            request, "health.html", session=session, environment=status, **_health_values(status, session)
        )
    return await _page(request, pages, state, service, session, status, part_only=part == "live")


@router.post("/{environment_id}")
async def retry(
    request: Request,
    pages: PagesOfApp,
    state: State,
    service: Service,
    session: WriteSession,
    environment_id: EnvironmentId,
    form: Form,
) -> Response:
    """Replay a stopped environment with the same keys or with corrected keys.

    The form posts to the environment's own page, so that the page can still be reloaded if the retry is refused.
    """
    given = {f"{which}_key_arn": str(form.get(f"{which}_key_arn", "")).strip() or None for which in ("s3", "rds")}
    try:
        await service.replay(environment_id, **given)
    except ServiceError as error:
        return await _refuse(request, pages, state, service, session, environment_id, "Retry was not started", error)
    return RedirectResponse(f"/environments/{environment_id}", HTTPStatus.SEE_OTHER)


@router.post("/{environment_id}/verification")
async def check_now(
    request: Request,
    pages: PagesOfApp,
    state: State,
    service: Service,
    session: CheckSession,
    environment_id: EnvironmentId,
    _: Form,
) -> Response:
    """Check a READY environment now, and return to its page.

    If AWS does not answer, or the check fails, the response is the page with the reason.
    """
    try:
        health = await verify_environment(service, environment_id)
    except ServiceError as error:
        title = "The check was not completed"
        return await _refuse(request, pages, state, service, session, environment_id, title, error)
    if health.unreachable is None:
        return RedirectResponse(f"/environments/{environment_id}", HTTPStatus.SEE_OTHER)
    status = (await service.read_status(environment_id)).model_copy(update={"health": health})
    return await _page(request, pages, state, service, session, status, asked=True)


@router.get("/{environment_id}/verification")
async def return_from_check(service: Service, _: ReadSession, environment_id: EnvironmentId) -> Response:
    """Redirect to the environment's page, for browsers that open the address of a check after a new sign-in."""
    status = await service.read_status(environment_id)
    return RedirectResponse(f"/environments/{status.environment_id}", HTTPStatus.SEE_OTHER)


async def _cursor(
    state: State,
    service: Service,
    session: ReadSession,
    environment_id: EnvironmentId,
    last_event_id: Annotated[str | None, Header(max_length=256)] = None,
) -> EventCursor:
    return await resolve_event_cursor(last_event_id, environment_id, session.caller, service, state.broadcaster)


@router.get("/{environment_id}/changes", response_class=EventSourceResponse)
async def stream_changes(
    state: State,
    session: ReadSession,
    sessions: SessionStore,
    environment_id: EnvironmentId,
    seen: Annotated[EventCursor, Depends(_cursor)],
) -> AsyncIterator[ServerSentEvent]:
    """Send an event each time the environment's status changes, until the session ends.

    On each event, the page reloads its live part.
    """
    try:
        async for status in state.broadcaster.follow(environment_id, session.caller):
            if sessions.has_ended(session):
                return
            now = EventCursor.from_status(status)
            if now != seen:
                yield ServerSentEvent(event="change", id=str(now), data=status.phase)
            seen = now
    except ServiceError:
        return


async def _refuse(
    request: Request,
    pages: PageRenderer,
    state: State,
    service: EnvironmentService,
    session: Session,
    environment_id: str,
    title: str,
    error: ServiceError,
) -> Response:
    """Show the environment's page with the reason why byok did not do what the user asked for."""
    note_problem_code(request, error.code)
    status = await service.read_status(environment_id)
    fault, code = (title, str(error)), STATUS_BY_ERROR[type(error)]
    page = await _page(request, pages, state, service, session, status, fault=fault, code=code)
    page.headers.update(build_retry_headers(error))
    return page


async def _page(
    request: Request,
    pages: PageRenderer,
    state: State,
    service: EnvironmentService,
    session: Session,
    status: EnvironmentStatus,
    *,
    fault: tuple[str, str] | None = None,
    code: int = HTTPStatus.OK,
    part_only: bool = False,
    asked: bool = False,
) -> Response:
    return pages.render(
        request,
        "live.html" if part_only else "progress_step.html",
        session=session,
        status=code,
        view=StatusView.from_status(status),
        environment=status,
        attempts=await service.list_attempts(status),
        naming_commands=await _list_naming_commands(state, service, status),
        warnings=WARNINGS,
        fault_title=fault[0] if fault else None,
        fault=fault[1] if fault else None,
        **_health_values(status, session, asked=asked),
    )


def _health_values(status: EnvironmentStatus, session: Session, *, asked: bool = False) -> dict[str, Any]:
    """Return the values that the template of the health needs. Only a READY environment has a health."""
    view = None if status.health is None else HealthView.from_health(status.health, datetime.now(UTC), asked=asked)
    return {"health": view, "can_check": session.has_scope(Scope.WRITE)}


async def _list_naming_commands(
    state: State, service: EnvironmentService, status: EnvironmentStatus
) -> tuple[str, ...]:
    """List the commands that put the assigned tenant name on both keys; empty until the environment is ready.

    If the external id cannot be read, the list does not contain the commands for the tenant role.
    """
    name, region, s3_key_arn, rds_key_arn = status.tenant_name, status.region, status.s3_key_arn, status.rds_key_arn
    if status.phase is not Phase.READY or not (name and region and s3_key_arn and rds_key_arn):
        return ()
    stack_name = status.stack_name or default_stack_name(status.environment_id)
    commands = CustomerCommands(
        state.platform_role_arn, region, state.vendor, stack_name, status.profile, status.organisation
    )
    external_id: str | None = None
    with suppress(ServiceError, TimeoutError):
        async with asyncio.timeout(_EXTERNAL_ID_TIMEOUT.total_seconds()):
            external_id = await service.get_external_id(status.organisation)
    return commands.name_keys_commands(KeyPair(s3_key_arn, rds_key_arn), name, external_id)
