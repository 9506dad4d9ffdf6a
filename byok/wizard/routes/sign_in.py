"""Pages that sign users in with an access token, and sign them out."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from byok.api.auditing import identify_requester, record_own_intent
from byok.api.authentication import UnauthenticatedError
from byok.api.dependencies import State
from byok.api.problems import note_problem_code
from byok.wizard.dependencies import CurrentSession, Form, PagesOfApp, Providers, SessionStore
from byok.wizard.sign_in_faults import SignInFault
from byok.wizard.sign_in_page import HOME, ReturnAddress, keep_local, render_sign_in_page

router = APIRouter()


@router.get("/")
async def redirect_home() -> Response:
    """Redirect to the list of environments."""
    return RedirectResponse(HOME, HTTPStatus.SEE_OTHER)


@router.get("/sign-in")
async def show_sign_in(
    request: Request,
    to: ReturnAddress = HOME,
    ended: Annotated[bool, Query(description="Whether the user's session has ended.")] = False,
    fault: Annotated[SignInFault | None, Query(description="Why the user could not sign in.")] = None,
    provider: Annotated[str, Query(description="The identity provider that reported the fault.")] = "",
) -> Response:
    """Show the ways to sign in."""
    return render_sign_in_page(request, to, ended=ended, fault=fault, provider=provider)


@router.post("/sign-in")
async def sign_in(request: Request, state: State, sessions: SessionStore) -> Response:
    """Start a session. The access token is checked once and not stored."""
    form = await request.form(max_files=0, max_fields=5)
    to = keep_local(str(form.get("next", HOME)))
    try:
        caller = await state.access.authenticate(str(form.get("token", "")).strip() or None)
    except UnauthenticatedError as error:
        note_problem_code(request, "byok.Unauthenticated")
        return render_sign_in_page(request, to, token_fault=str(error))
    identify_requester(request, caller)
    await record_own_intent(request)
    response = RedirectResponse(to, HTTPStatus.SEE_OTHER)
    sessions.set_cookie(request, response, sessions.start_session(caller))
    return response


@router.post("/sign-out")
async def sign_out(
    request: Request,
    _: Form,
    session: CurrentSession,
    sessions: SessionStore,
    pages: PagesOfApp,
    providers: Providers,
) -> Response:
    """End the session on the server, delete its cookie, and sign the user out of the identity provider."""
    await record_own_intent(request)
    sessions.end_session(session)
    provider = providers.get(session.provider or "")
    url = await provider.find_sign_out_url() if provider is not None else None
    response: Response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    if provider is not None and url is not None:
        # The Content-Security-Policy forbids a redirect to another site in response to a form, so byok renders a page
        # that opens the provider's sign-out page.
        response = pages.render(request, "signed_out.html", provider=provider.name, url=url)
    sessions.delete_cookie(request, response)
    return response
