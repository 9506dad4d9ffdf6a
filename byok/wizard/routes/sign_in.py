"""Pages that sign users in with an access token, and sign them out."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from byok.api.auditing import find_request_audit, identify_requester
from byok.api.authentication import UnauthenticatedError
from byok.api.dependencies import State
from byok.api.problems import note_problem_code
from byok.wizard.dependencies import CurrentSession, Form, PagesOfApp, SessionStore

router = APIRouter()
_HOME = "/environments"


@router.get("/")
async def redirect_home() -> Response:
    """Redirect to the list of environments."""
    return RedirectResponse(_HOME, HTTPStatus.SEE_OTHER)


@router.get("/sign-in")
async def show_sign_in(
    request: Request,
    pages: PagesOfApp,
    to: Annotated[str, Query(alias="next")] = _HOME,
    ended: Annotated[bool, Query(description="Whether the user's session has ended.")] = False,
) -> Response:
    """Show the form for the access token."""
    return pages.render(request, "sign_in.html", to=_local(to), fault=None, ended=ended)


@router.post("/sign-in")
async def sign_in(request: Request, pages: PagesOfApp, state: State, sessions: SessionStore) -> Response:
    """Start a session. The access token is checked once and not stored."""
    form = await request.form(max_files=0, max_fields=5)
    to = _local(str(form.get("next", _HOME)))
    try:
        caller = await state.access.authenticate(str(form.get("token", "")).strip() or None)
    except UnauthenticatedError as error:
        note_problem_code(request, "byok.Unauthenticated")
        return pages.render(
            request, "sign_in.html", status=HTTPStatus.UNAUTHORIZED, to=to, fault=str(error), ended=False
        )
    identify_requester(request, caller)
    await _record_intent(request)
    response = RedirectResponse(to, HTTPStatus.SEE_OTHER)
    sessions.set_cookie(request, response, sessions.start_session(caller))
    return response


@router.post("/sign-out")
async def sign_out(request: Request, _: Form, session: CurrentSession, sessions: SessionStore) -> Response:
    """End the session on the server, and delete its cookie."""
    await _record_intent(request)
    sessions.end_session(session)
    response = RedirectResponse("/sign-in", HTTPStatus.SEE_OTHER)
    sessions.delete_cookie(request, response)
    return response


async def _record_intent(request: Request) -> None:
    audit = find_request_audit(request)
    if audit is not None:
        await audit.record_own_intent()


def _local(address: str) -> str:
    """Return the address if it is on this site; otherwise return the address of the home page."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours else _HOME
