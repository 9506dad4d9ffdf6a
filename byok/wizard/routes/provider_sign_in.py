"""Pages that sign users in with an identity provider."""

from http import HTTPStatus
from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from byok.api.auditing import identify_requester, record_own_intent
from byok.api.problems import note_problem_code
from byok.wizard.dependencies import Providers, SessionStore
from byok.wizard.pending_sign_ins import PendingSignIns, make_pending_sign_in
from byok.wizard.sign_in_faults import SignInError
from byok.wizard.sign_in_page import HOME, ReturnAddress, keep_local, render_sign_in_page

router = APIRouter()

log = structlog.get_logger(__name__)


@router.get("/sign-in/start")
async def start_sign_in(
    request: Request,
    providers: Providers,
    provider: Annotated[str, Query(description="The key of the identity provider.")],
    to: ReturnAddress = HOME,
) -> Response:
    """Redirect to the identity provider."""
    if provider not in providers:
        raise HTTPException(HTTPStatus.NOT_FOUND, "This identity provider is not configured.")
    pending = make_pending_sign_in(provider, keep_local(to))
    try:
        url = await providers[provider].build_authorization_url(pending)
    except SignInError as error:
        log.warning("sign_in_failed", provider=provider, reason=str(error))
        return render_sign_in_page(request, pending.to, fault=error.fault, provider=provider)
    response = RedirectResponse(url, HTTPStatus.SEE_OTHER)
    _pending_sign_ins(request).start(request, response, pending)
    return response


@router.get("/sign-in/callback")
async def finish_sign_in(request: Request, providers: Providers, sessions: SessionStore) -> Response:
    """Start a session for the user whom the identity provider has authenticated.

    The response is always a redirect, so that the authorization code does not stay in the browser's address bar.
    """
    sign_ins = _pending_sign_ins(request)
    answer = dict(request.query_params)
    try:
        pending = sign_ins.complete(request, answer.get("state"))
    except SignInError as error:
        return _redirect_to_sign_in_page(request, error, to=HOME, provider="")
    try:
        caller = await providers[pending.provider].authenticate(pending, answer)
    except SignInError as error:
        response = _redirect_to_sign_in_page(request, error, to=pending.to, provider=pending.provider)
    else:
        identify_requester(request, caller)
        await record_own_intent(request)
        response = RedirectResponse(pending.to, HTTPStatus.SEE_OTHER)
        sessions.set_cookie(request, response, sessions.start_session(caller, pending.provider))
    sign_ins.delete_cookie(request, response)
    return response


def _redirect_to_sign_in_page(request: Request, error: SignInError, *, to: str, provider: str) -> Response:
    log.warning("sign_in_failed", provider=provider, reason=str(error))
    note_problem_code(request, error.fault.code)
    query = urlencode({"fault": error.fault, "provider": provider, "next": to})
    return RedirectResponse(f"/sign-in?{query}", HTTPStatus.SEE_OTHER)


def _pending_sign_ins(request: Request) -> PendingSignIns:
    found: PendingSignIns = request.app.state.pending_sign_ins
    return found
