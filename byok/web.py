"""The server of the HTTP API and the wizard, which `byok web` runs."""

import asyncio
import contextlib
import gc
import ipaddress
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog
import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from byok.api.app import build_authenticator, make_api_app, wrap_with_security_middleware
from byok.api.http_protocol import make_http_protocol
from byok.api.response_headers import ContentSecurityPolicyMiddleware
from byok.api.state import ApiState
from byok.api_settings import ApiSettings
from byok.audit.journal import AuditJournal, JournalUnwritableError
from byok.audit.setup import build_shipper
from byok.docs_site import make_docs_app
from byok.domain.help_pages import DOCS_PATH, read_docs_url, use_docs_url
from byok.log import configure_logging
from byok.service.connection import connect_service
from byok.settings import Settings
from byok.wizard.app import CONTENT_SECURITY_POLICY, make_wizard_app

_OF_THE_API: Final = ("/v1/", "/health", "/ready")
_GRACE_SECONDS: Final = 5
"""How long the server waits for open event streams to end when it shuts down. Clients reconnect on their own."""

log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """A uvicorn server that exits with code 0 on a signal. By default, uvicorn re-raises the signal after shutdown."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """See `uvicorn.Server`."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


class UnservableError(Exception):
    """The server cannot start with these settings. The message describes what to change."""


def serve(settings: Settings, host: str, port: int) -> int:
    """Run the server until SIGTERM or SIGINT arrives.

    Returns:
        The exit code: 0, or another code if the server could not bind to the address.

    Raises:
        UnservableError: A setting is missing, the settings would give everyone access, or the audit directory is not
            writable.
    """
    if settings.api.allows_anonymous and not is_loopback_host(host):
        raise UnservableError(
            f"No authentication is configured: anyone who can reach {host} could create and delete environments. Set "
            "BYOK_API__ISSUER, BYOK_API__AUDIENCE and BYOK_API__JWKS_URL, or BYOK_API__TOKENS; or listen on 127.0.0.1."
        )
    if settings.platform_role_arn is None:
        raise UnservableError(
            "BYOK_PLATFORM_ROLE_ARN is not set. Set the variable to the role to which the customers' key policies "
            "grant access."
        )
    configure_logging(settings)
    use_docs_url(read_docs_url(os.environ))
    warn_without_public_url(settings.api)
    journal = AuditJournal(settings.audit.directory)
    try:
        journal.require_writable()
    except JournalUnwritableError as error:
        fix = "Set BYOK_AUDIT__DIRECTORY to a directory that the server can write to."
        raise UnservableError(f"{error}. {fix}") from error
    secret = settings.api.session_secret
    state = ApiState(
        build_authenticator(settings.api),
        settings.platform_role_arn,
        settings.vendor,
        settings.regions,
        partial(
            connect_service, settings.quotas, call_timeout=timedelta(seconds=settings.api.temporal_timeout_seconds)
        ),
        secret.get_secret_value() if secret else secrets.token_urlsafe(32),
        settings.api.max_streams,
        journal,
        build_shipper(settings, journal),
        find_local_aws(os.environ),
        settings.api.aws_events_secret.get_secret_value() if settings.api.aws_events_secret else None,
        settings.api.template_url,
    )
    try:
        # All objects that exist now stay in memory until the process ends. Excluding these objects from garbage
        # collection shortens the collections, during which requests must wait.
        gc.collect()
        gc.freeze()
        _Server(build_server_config(state, settings.api, host, port)).run()
    except SystemExit as end:  # uvicorn could not bind to the address, and has logged the reason
        return end.code if isinstance(end.code, int) else 1
    return 0


def warn_without_public_url(settings: ApiSettings) -> None:
    """Log a warning if the server requires authentication but its public URL is not set."""
    if settings.public_url is None and not settings.allows_anonymous:
        log.warning(
            "the server accepts requests by http and for any host name",
            fix="Set BYOK_API__PUBLIC_URL to the server's address, such as https://byok.example.com.",
        )


def build_server_config(state: ApiState, settings: ApiSettings, host: str, port: int) -> uvicorn.Config:
    """Build the configuration of the server that hosts the API and the wizard."""
    return uvicorn.Config(
        make_asgi_app(state, settings),
        host=host,
        port=port,
        http=make_http_protocol(settings.request_timeout_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )


def make_asgi_app(state: ApiState, settings: ApiSettings) -> ASGIApp:
    """Combine the API, the wizard and the documentation into one application."""
    api, docs = make_api_app(state), make_docs_app()
    wizard = ContentSecurityPolicyMiddleware(make_wizard_app(state, settings), CONTENT_SECURITY_POLICY)

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_OF_THE_API):
            await api(scope, receive, send)
        elif scope["path"] == DOCS_PATH or scope["path"].startswith(f"{DOCS_PATH}/"):
            await docs(scope, receive, send)
        else:
            await wizard(scope, receive, send)

    app: ASGIApp = both
    if settings.allows_anonymous:
        # Without authentication, accept only local host names, so that a web page cannot reach this server through a
        # host name that resolves to 127.0.0.1 (DNS rebinding).
        app = TrustedHostMiddleware(both, allowed_hosts=["localhost", "127.0.0.1", "[::1]"], www_redirect=False)
    return wrap_with_security_middleware(app, settings, state.journal)


def find_local_aws(environ: Mapping[str, str]) -> str | None:
    """Return the endpoint of the local AWS emulator as `scheme://host:port`.

    Return None if AWS_ENDPOINT_URL is not a loopback URL.
    """
    found = urlsplit(environ.get("AWS_ENDPOINT_URL", ""))
    return f"{found.scheme}://{found.netloc}" if found.hostname and is_loopback_host(found.hostname) else None


def is_loopback_host(host: str) -> bool:
    """Return whether a host name or address is reachable only from this machine."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)
