"""Route dependencies that load the user's session, require a scope, and check that a form comes from the session."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Request

from byok.api.auditing import find_request_audit, identify_requester
from byok.api.dependencies import State
from byok.api.requesters import build_requester
from byok.api.state import ApiState
from byok.domain.models import MAX_REASON_LENGTH, EntryPoint
from byok.domain.scopes import Scope
from byok.service.environments import EnvironmentService
from byok.wizard.draft import EnvironmentDraft
from byok.wizard.identity_provider import IdentityProvider
from byok.wizard.pages import PageRenderer
from byok.wizard.sessions import Session, SessionCookies
from byok.wizard.steps import WizardSteps

RETRY_FIELDS: Final = ("s3_key_arn", "rds_key_arn")
"""The fields of the form that retries a stopped environment."""
_ACTION_FIELDS: Final = (*RETRY_FIELDS, "final_snapshot", "reason", "confirm")
"""The fields of the forms about an existing environment. Their entries are kept while the user signs in again. The page
does not show the entry of `confirm` again, so that the user must confirm a deletion again."""
_MAX_ENTRY_LENGTH: Final = 2_048


class NotSignedInError(Exception):
    """The user is not signed in. The wizard redirects to the sign-in page, which redirects back after the sign-in."""

    def __init__(self, where: str, *, ended: bool) -> None:
        super().__init__(where)
        self.address = f"/sign-in?{urlencode({'next': where} | ({'ended': '1'} if ended else {}))}"


class MissingScopeError(Exception):
    """The user lacks the scope that the page requires."""


class CsrfError(Exception):
    """The form does not come from a page of this session.

    Attributes:
        address: The address of the page to open again, with the form's entries in the query string.
    """

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


async def _pages(request: Request) -> PageRenderer:
    found: PageRenderer = request.app.state.pages
    return found


async def _sessions(request: Request) -> SessionCookies:
    found: SessionCookies = request.app.state.sessions
    return found


async def _providers(request: Request) -> Mapping[str, IdentityProvider]:
    found: Mapping[str, IdentityProvider] = request.app.state.providers
    return found


PagesOfApp = Annotated[PageRenderer, Depends(_pages)]
SessionStore = Annotated[SessionCookies, Depends(_sessions)]
Providers = Annotated[Mapping[str, IdentityProvider], Depends(_providers)]
"""The identity providers with which users can sign in, by key."""


async def _current_session(request: Request, sessions: SessionStore) -> Session:
    session = sessions.load(request)
    if session is None:
        try:
            address = await _address_with_entries(request)
        finally:
            await request.close()  # uploaded files
        raise NotSignedInError(address, ended=sessions.read_cookie(request) is not None)
    identify_requester(request, session.caller)
    return session


async def _address_with_entries(request: Request) -> str:
    """Return the URL of the page the user was on, with the fields of a submitted form, so that no input is lost."""
    if request.method == "GET":
        return f"{request.url.path}?{request.url.query}".rstrip("?")
    if request.url.path.startswith("/new/"):
        return EnvironmentDraft.from_fields(await _read_form(request)).page_url(request.url.path)
    if not request.url.path.startswith("/environments/"):
        return "/environments"
    form = await _read_form(request)
    entries = {name: str(form[name])[:_MAX_ENTRY_LENGTH] for name in _ACTION_FIELDS if form.get(name)}
    return f"{request.url.path}?{urlencode(entries)}".rstrip("?")


CurrentSession = Annotated[Session, Depends(_current_session)]


class _RequireScope:
    def __init__(self, scope: Scope, words: str) -> None:
        self._scope, self._words = scope, words

    async def __call__(self, session: CurrentSession) -> Session:
        if not session.has_scope(self._scope):
            raise MissingScopeError(
                f"You do not have permission to {self._words} ({self._scope}). Ask the person who gave you access."
            )
        return session


ReadSession = Annotated[Session, Depends(_RequireScope(Scope.READ, "see environments"))]
WriteSession = Annotated[Session, Depends(_RequireScope(Scope.WRITE, "create an environment"))]
"""Contract 4: a user without the write scope cannot start the wizard."""


async def _steps(request: Request, pages: PagesOfApp, session: WriteSession) -> WizardSteps:
    return WizardSteps(request, session, pages, request.app.state.drafts)


Steps = Annotated[WizardSteps, Depends(_steps)]
"""The steps that create an environment, for users who may create one."""

CheckSession = Annotated[Session, Depends(_RequireScope(Scope.WRITE, "check an environment"))]
CancelSession = Annotated[Session, Depends(_RequireScope(Scope.WRITE, "cancel an operation"))]
DeleteSession = Annotated[Session, Depends(_RequireScope(Scope.DELETE, "delete an environment"))]


async def _form(request: Request, session: CurrentSession) -> AsyncIterator[Mapping[str, Any]]:
    form = await _read_form(request)
    try:
        if not session.has_valid_form_token(form):
            raise CsrfError(await _address_with_entries(request))
        yield form
    finally:
        await request.close()  # uploaded files


async def _read_form(request: Request) -> Mapping[str, Any]:
    return await request.form(max_files=getattr(request.state, "max_files", 0), max_fields=50)


async def accept_one_file(request: Request) -> None:
    """Allow one uploaded file in a route's form. FastAPI resolves this dependency before it reads the form."""
    request.state.max_files = 1


Form = Annotated[Mapping[str, Any], Depends(_form)]


async def act_for(
    request: Request, state: State, session: Annotated[Session, Depends(_current_session)]
) -> EnvironmentService:
    """Return a service that acts on behalf of the user."""
    return _act(request, state, session, None)


Service = Annotated[EnvironmentService, Depends(act_for)]
"""An `EnvironmentService` that acts on behalf of the user, and finds only the environments of the user's
organisation."""


async def _reasoned_service(request: Request, state: State, session: CurrentSession, form: Form) -> EnvironmentService:
    reason = str(form.get("reason", "")).strip()[:MAX_REASON_LENGTH] or None
    return _act(request, state, session, reason)


def _act(request: Request, state: ApiState, session: Session, reason: str | None) -> EnvironmentService:
    requester = build_requester(request, session.caller, EntryPoint.WIZARD, reason)
    return state.service.on_behalf_of(requester, find_request_audit(request))


ReasonedService = Annotated[EnvironmentService, Depends(_reasoned_service)]
"""The same as `Service`, for forms in which the user can enter a reason."""
