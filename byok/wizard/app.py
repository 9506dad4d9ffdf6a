"""Builds the wizard application: pages, error pages and the content security policy."""

from http import HTTPStatus
from pathlib import Path
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from byok.api.authentication import AllowAllAuth, IdentityProviderUnavailableError, UnauthenticatedError
from byok.api.problems import (
    INTERNAL_ERROR_DETAIL,
    RETRY_AFTER_SECONDS,
    STATUS_BY_ERROR,
    ProblemError,
    StreamFinishedError,
    build_retry_headers,
    note_problem_code,
)
from byok.api.state import ApiState
from byok.api.status_broadcaster import TooManyStreamsError
from byok.api_settings import ApiSettings
from byok.service.errors import EnvironmentNotFoundError, ServiceError
from byok.wizard.dependencies import CsrfError, MissingScopeError, NotSignedInError
from byok.wizard.ended_sessions import EndedSessions
from byok.wizard.identity_provider import build_identity_providers
from byok.wizard.pages import PageRenderer
from byok.wizard.pending_sign_ins import PendingSignIns
from byok.wizard.routes import (
    environment_actions,
    environments,
    key_diagnosis,
    key_documents,
    new_environment,
    provider_sign_in,
    sign_in,
)
from byok.wizard.saved_drafts import SavedDrafts
from byok.wizard.sessions import Session, SessionCookies

CONTENT_SECURITY_POLICY: Final = (
    # Block third-party content and inline content, and do not let other sites frame the pages.
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)

_MAX_SHOWN_PATH: Final = 100
"""The page for an unknown path shows at most this many characters of the path."""


def make_wizard_app(state: ApiState, settings: ApiSettings) -> FastAPI:
    """Build the wizard application, which runs in the same process as the API.

    Args:
        state: The state that the wizard and the API share.
        settings: The settings that the wizard and the API share.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state.byok = state
    https = None if settings.public_url is None else settings.has_https_url
    app.state.sessions = SessionCookies(
        state.secret,
        anonymous=isinstance(state.access, AllowAllAuth),
        https=https,
        ended=EndedSessions(settings.session_directory),
    )
    app.state.drafts = SavedDrafts(state.secret, https=https)
    app.state.providers = build_identity_providers(settings)
    app.state.pending_sign_ins = PendingSignIns(
        state.secret,
        app.state.providers,
        https=settings.has_https_url,
        used=EndedSessions(settings.session_directory),
    )
    app.state.external_ids = {}
    app.state.organisation_claim = settings.organisation_claim
    app.state.pages = PageRenderer(state.vendor, signs_in=not isinstance(state.access, AllowAllAuth))
    for routes in (
        sign_in,
        provider_sign_in,
        new_environment,
        key_documents,
        environments,
        environment_actions,
        key_diagnosis,
    ):
        app.include_router(routes.router)
    # Only static files are compressed. Compressing pages could reveal secrets through the size of the responses.
    app.mount("/static", GZipMiddleware(StaticFiles(directory=Path(__file__).with_name("static"))))
    _add_error_pages(app)
    return app


def _add_error_pages(app: FastAPI) -> None:
    pages: PageRenderer = app.state.pages

    def page(request: Request, status: int, title: str, message: str, again: str | None = None) -> Response:
        return pages.render(
            request,
            "message.html",
            session=_find_session(request),
            status=status,
            title=title,
            message=message,
            again=again,
        )

    @app.exception_handler(NotSignedInError)
    async def not_signed_in(request: Request, error: NotSignedInError) -> Response:
        note_problem_code(request, "byok.Unauthenticated")
        return RedirectResponse(error.address, HTTPStatus.SEE_OTHER)

    @app.exception_handler(MissingScopeError)
    async def forbidden(request: Request, error: MissingScopeError) -> Response:
        note_problem_code(request, "byok.Forbidden")
        return page(request, HTTPStatus.FORBIDDEN, "Permission denied", str(error))

    @app.exception_handler(CsrfError)
    async def foreign_form(request: Request, error: CsrfError) -> Response:
        note_problem_code(request, "byok.ForeignForm")
        message = (
            "The form does not belong to this session: the session has ended, or the server has been restarted. Open "
            f"the page again{', which then contains your entries' if '?' in error.address else ''}."
        )
        return page(request, HTTPStatus.FORBIDDEN, "This request changed nothing", message, again=error.address)

    @app.exception_handler(UnauthenticatedError)
    async def handle_unauthenticated(request: Request, error: UnauthenticatedError) -> Response:
        return page(request, HTTPStatus.UNAUTHORIZED, "You are not signed in", str(error))

    @app.exception_handler(IdentityProviderUnavailableError)
    async def identity_unreachable(request: Request, error: IdentityProviderUnavailableError) -> Response:
        answer = page(request, HTTPStatus.SERVICE_UNAVAILABLE, "Try again in a moment", str(error))
        answer.headers["Retry-After"] = RETRY_AFTER_SECONDS
        return answer

    @app.exception_handler(ServiceError)
    async def service_error(request: Request, error: ServiceError) -> Response:
        note_problem_code(request, error.code)
        message = str(error)
        if isinstance(error, EnvironmentNotFoundError):
            message += " It may have been deleted, or its name may be misspelled."
        answer = page(request, STATUS_BY_ERROR[type(error)], _title(error.code), message)
        answer.headers.update(build_retry_headers(error))
        return answer

    @app.exception_handler(ProblemError)
    async def problem(request: Request, error: ProblemError) -> Response:
        note_problem_code(request, error.code)
        return page(request, error.status, _title(error.code), str(error))

    @app.exception_handler(TooManyStreamsError)
    async def too_many_streams(_: Request, error: TooManyStreamsError) -> Response:
        # Return plain text, because the page's script reads this response.
        return Response(str(error), HTTPStatus.TOO_MANY_REQUESTS)

    @app.exception_handler(StreamFinishedError)
    async def nothing_more(_: Request, __: StreamFinishedError) -> Response:
        return Response(status_code=HTTPStatus.NO_CONTENT)

    @app.exception_handler(RequestValidationError)
    async def handle_invalid_request(request: Request, _: RequestValidationError) -> Response:
        return page(request, HTTPStatus.NOT_FOUND, "Page not found", _describe_missing_page(request))

    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.NOT_FOUND:
            return page(request, error.status_code, "Page not found", _describe_missing_page(request))
        return page(request, error.status_code, "Request failed", str(error.detail))

    @app.exception_handler(Exception)
    async def internal_error(request: Request, _: Exception) -> Response:
        return page(request, HTTPStatus.INTERNAL_SERVER_ERROR, "Something went wrong", INTERNAL_ERROR_DETAIL)


def _find_session(request: Request) -> Session | None:
    """Return the user's session, which error pages need for the navigation; None if the session cannot be read."""
    sessions: SessionCookies = request.app.state.sessions
    try:
        return sessions.load(request)
    except OSError:  # the directory of ended sessions is missing
        return None


def _describe_missing_page(request: Request) -> str:
    path = "".join(char for char in request.url.path if char.isprintable())
    shown = path if len(path) <= _MAX_SHOWN_PATH else f"{path[:_MAX_SHOWN_PATH]}…"
    return f"There is no page at {shown}. Check the address, or continue from the list of environments."


def _title(code: str) -> str:
    return "Environment not found" if code == EnvironmentNotFoundError.code else "Request failed"
