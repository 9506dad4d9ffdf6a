"""Renders the sign-in page, which offers both ways to sign in."""

from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Query, Request
from starlette.responses import Response

from byok.api.problems import RETRY_AFTER_SECONDS
from byok.wizard.pages import PageRenderer
from byok.wizard.sign_in_faults import SignInFault, describe_sign_in_fault

HOME: Final = "/environments"
"""The page that a user sees after signing in, unless the user asked for another page."""

ReturnAddress = Annotated[str, Query(alias="next", description="The page to return to.")]


def keep_local(address: str) -> str:
    """Return the address if it is on this site; otherwise return the address of the home page."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if ours else HOME


def render_sign_in_page(
    request: Request,
    to: str,
    *,
    ended: bool = False,
    token_fault: str | None = None,
    fault: SignInFault | None = None,
    provider: str = "",
) -> Response:
    """Render the sign-in page.

    Args:
        request: The request.
        to: The page to return to.
        ended: Whether the user's session has ended.
        token_fault: Why the access token was refused.
        fault: Why the sign-in with an identity provider failed.
        provider: The key of this identity provider; empty if it is not known.
    """
    pages: PageRenderer = request.app.state.pages
    providers = request.app.state.providers
    status, text = HTTPStatus.OK, None
    if token_fault is not None:
        status = HTTPStatus.UNAUTHORIZED
    if fault is not None:
        name = providers[provider].name if provider in providers else "The identity provider"
        status, text = fault.status, describe_sign_in_fault(fault, name, request.app.state.organisation_claim)
    response = pages.render(
        request,
        "sign_in.html",
        status=status,
        to=keep_local(to),
        ended=ended,
        fault=text,
        token_fault=token_fault,
        providers=providers.values(),
    )
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers["Retry-After"] = RETRY_AFTER_SECONDS
    return response
