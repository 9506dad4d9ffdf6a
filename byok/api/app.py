"""Builds the API application: routes, error handlers, limits and the OpenAPI description."""

import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp

from byok import __version__
from byok.api import problems
from byok.api.auditing import AuditMiddleware
from byok.api.authentication import AllowAllAuth, Authenticator, ChainedAuth, StaticTokenAuth
from byok.api.limits import BodyLimitMiddleware, RateLimitMiddleware
from byok.api.oidc import OidcAuth
from byok.api.origin import SameOriginMiddleware
from byok.api.public_url import PublicUrlMiddleware
from byok.api.requesters import RequestIdMiddleware
from byok.api.response_headers import ResponseHeadersMiddleware
from byok.api.routes import account_proofs, accounts, aws_events, claims, environments, events, health, keys, onboarding
from byok.api.state import ApiState
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal

_ABOUT: Final = """\
Provisions environments whose Aurora cluster and S3 buckets are encrypted with KMS keys that the customer owns.

An environment's id begins with its organisation's name and a hyphen. Errors are problem details (RFC 9457). If a
workflow stopped, `problems` contains the cause, AWS's exact message and the remedy.
"""


def _name_operation(route: APIRoute) -> str:
    """Return the id of a route's operation, after which generated clients name their functions."""
    return route.name


def make_api_app(state: ApiState) -> FastAPI:
    """Build the API application without the security middleware.

    The security middleware is added later, around the API and the wizard together.
    """

    @contextlib.asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        async with state.lifespan():
            yield

    app = FastAPI(
        title="byok",
        version=__version__,
        description=_ABOUT,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # FastAPI's documentation pages would load scripts from a third party
        redoc_url=None,
        generate_unique_id_function=_name_operation,
        lifespan=running,
        responses=problems.openapi_problem_responses(
            HTTPStatus.BAD_REQUEST,
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            HTTPStatus.MISDIRECTED_REQUEST,
            HTTPStatus.TOO_MANY_REQUESTS,
            HTTPStatus.SERVICE_UNAVAILABLE,
        ),
    )
    app.state.byok = state
    problems.install_error_handlers(app)
    for routes in (onboarding, keys, environments, events, claims, accounts, account_proofs, aws_events):
        app.include_router(routes.router, prefix="/v1")
    app.include_router(health.router)
    return app


def wrap_with_security_middleware(app: ASGIApp, settings: ApiSettings, journal: AuditJournal) -> ASGIApp:
    """Wrap an application with middleware for request ids, the audit trail, security checks, limits and headers."""
    app = BodyLimitMiddleware(app, settings.max_body_bytes, settings.request_timeout_seconds)
    app = RateLimitMiddleware(SameOriginMiddleware(app, settings.public_url), settings.requests_per_minute)
    if settings.public_url is not None:
        app = PublicUrlMiddleware(app, settings.public_url)
    app = ResponseHeadersMiddleware(AuditMiddleware(app, journal), https=settings.has_https_url)
    return RequestIdMiddleware(app)


def build_authenticator(settings: ApiSettings) -> Authenticator:
    """Build the authenticator from the settings.

    If the settings allow anonymous callers, the authenticator accepts every caller.
    """
    if settings.allows_anonymous:
        return AllowAllAuth()
    found: list[Authenticator] = [StaticTokenAuth(settings.tokens)] if settings.tokens else []
    for issuer, jwks_url, organisation_claim in (
        (settings.issuer, settings.jwks_url, settings.organisation_claim),
        (settings.staff_issuer, settings.staff_jwks_url, None),
    ):
        if issuer and jwks_url and settings.audience:
            lifetime = settings.max_token_lifetime_seconds
            found.append(OidcAuth(issuer, settings.audience, jwks_url, lifetime, organisation_claim))
    return ChainedAuth(found)
