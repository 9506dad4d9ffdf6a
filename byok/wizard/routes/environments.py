"""Pages for existing environments: the list, the page of an environment, and *Check now*."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field, field_validator
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from byok.api.authorization import EnvironmentId
from byok.api.dependencies import State
from byok.api.routes.events import EventCursor, resolve_event_cursor
from byok.domain.models import HealthState
from byok.domain.phases import Phase
from byok.domain.regions import describe_region
from byok.domain.scopes import Scope
from byok.service.errors import ServiceError
from byok.service.verification import verify_environment
from byok.wizard.dependencies import CheckSession, Form, PagesOfApp, ReadSession, Service, SessionStore
from byok.wizard.environment_page import PageOfEnvironment
from byok.wizard.health_views import STATE_LABELS
from byok.wizard.refusals import Refusal
from byok.wizard.toasts import Toast, redirect_with_toast
from byok.wizard.views import PHASE_NAMES

router = APIRouter(prefix="/environments")
_PAGE: Final = 50

Part = Annotated[str | None, Header(alias="X-Part")]
"""The part of the page to return to the page's script; None for the whole page."""


class ListFilter(BaseModel):
    """The filter of the list. An empty field matches all environments."""

    q: Annotated[str, Field(max_length=100)] = ""
    phase: Phase | None = None
    health: HealthState | None = None
    region: Annotated[str | None, Field(max_length=64)] = None
    after: str | None = None

    @field_validator("phase", "health", "region", "after", mode="before")
    @classmethod
    def _treat_empty_as_missing(cls, value: object) -> object:
        return value or None

    @property
    def is_empty(self) -> bool:
        """Whether the filter matches all environments."""
        return not (self.q.strip() or self.phase or self.health or self.region)

    def url(self, after: str | None = None) -> str:
        """The URL of a page of the list with this filter."""
        fields = self.model_dump(mode="json", exclude_defaults=True, exclude={"after"}) | (
            {"after": after} if after else {}
        )
        return f"/environments?{urlencode(fields)}" if fields else "/environments"


@router.get("")
async def list_environments(
    request: Request,
    pages: PagesOfApp,
    state: State,
    service: Service,
    session: ReadSession,
    wanted: Annotated[ListFilter, Query()],
    part: Part = None,
) -> Response:
    """List the user's environments, or only those that match the filter.

    While an environment is in progress, the page's script requests the part with the rows every few seconds.
    """
    found, end = await service.list_environments_page(
        size=_PAGE,
        phase=wanted.phase,
        health=wanted.health,
        region=wanted.region,
        text=wanted.q.strip(),
        after=state.page_token_signer.verify(wanted.after),
    )
    following = state.page_token_signer.sign(end)
    return pages.render(
        request,
        "environment_rows.html" if part == "rows" else "environments.html",
        session=session,
        environments=found,
        labels=STATE_LABELS,
        wanted=wanted,
        changing=any(not one.phase.is_final for one in found),
        phase_choices=tuple(PHASE_NAMES.items()),
        health_choices=tuple((state, label.name) for state, label in STATE_LABELS.items()),
        region_choices=tuple((one, describe_region(one)) for one in state.regions),
        can_create=session.has_scope(Scope.WRITE),
        organisations=session.caller.organisation is None and any(one.organisation for one in found),
        next_url=wanted.url(following) if following else None,
    )


@router.get("/{environment_id}")
async def show_progress(page: PageOfEnvironment, _: ReadSession, part: Part = None) -> Response:
    """Show the fourth step (progress, problems, evidence) and, for a ready environment, the fifth (the tenant name)."""
    status = await page.service.read_status(page.environment_id)
    if part == "health":
        return page.render_health(status)
    return await page.render(status, template="live.html" if part == "live" else "progress_step.html")


@router.get("/{environment_id}/evidence")
async def download_evidence(service: Service, _: ReadSession, environment_id: EnvironmentId) -> Response:
    """Download the evidence that the environment is encrypted with its keys, as JSON."""
    status = await service.read_status(environment_id)
    if status.evidence is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(
        status.evidence.model_dump_json(indent=2),
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{status.environment_id}-evidence.json"'},
    )


@router.post("/{environment_id}/verification")
async def check_now(page: PageOfEnvironment, _: CheckSession, __: Form) -> Response:
    """Check a READY environment now, and return to its page.

    If AWS does not respond or the check fails, the response is the environment's page with the reason.
    """
    try:
        health = await verify_environment(page.service, page.environment_id)
    except ServiceError as error:
        return await page.refuse(error, Refusal("The check was not completed", str(error)))
    if health.unreachable is None:
        healthy = health.state is HealthState.HEALTHY
        return redirect_with_toast(page.url, Toast.CHECKED if healthy else Toast.FAULT_FOUND)
    status = (await page.service.read_status(page.environment_id)).model_copy(update={"health": health})
    return await page.render(status, asked=True)


@router.get("/{environment_id}/verification")
async def return_from_check(service: Service, _: ReadSession, environment_id: EnvironmentId) -> Response:
    """Redirect to the environment's page.

    A browser opens this URL if the user had to sign in again after selecting *Check now*.
    """
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
