"""`python -m byok.web`: the server of the HTTP API and the wizard.

The exit code is 0 after SIGTERM or SIGINT, and 2 if the settings are invalid or would give everyone access.
"""

import argparse
import asyncio
import contextlib
import gc
import hashlib
import ipaddress
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import structlog
import uvicorn
from pydantic import ValidationError
from pydantic_settings import SettingsError
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from byok.api.app import build_authenticator, make_api_app, wrap_with_security_middleware
from byok.api.http_protocol import make_http_protocol
from byok.api.state import ApiState
from byok.api_settings import AccessToken, ApiSettings
from byok.audit.journal import AuditJournal, JournalUnwritableError
from byok.audit.setup import build_shipper
from byok.domain import scopes as organisations
from byok.log import configure_logging
from byok.service.connection import connect_service
from byok.settings import Settings, format_settings_error
from byok.wizard.app import make_wizard_app

_USAGE: Final = 2
_OF_THE_API: Final = ("/v1/", "/health", "/ready")
_LONGEST_TOKEN_LIFETIME: Final = timedelta(days=3650)
_GRACE_SECONDS: Final = 5
"""How long the server waits at shutdown for open event streams to end. Clients reconnect on their own."""

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


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m byok.web", description="The HTTP API and the wizard.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    commands = parser.add_subparsers(dest="command", title="commands")
    token = commands.add_parser("token", help="generate a bearer token and its entry for the settings")
    token.add_argument("organisation", help="organisation whose environments the token grants access to; * for all")
    token.add_argument("--name", help="name in audit records (default: derived from the organisation and the token)")
    token.add_argument("--days", type=int, default=90, help="days until the token expires (default: 90)")
    token.add_argument("--read-only", action="store_true", help="generate a token that cannot change anything")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the server until a signal arrives, or generate a token.

    Returns:
        The exit code.
    """
    chosen = _arguments().parse_args(arguments)
    try:
        settings = Settings()
        if chosen.command == "token":
            return _token(chosen.organisation, chosen.name, timedelta(days=chosen.days), read_only=chosen.read_only)
        return _serve(settings, chosen.host, chosen.port)
    except (ValidationError, SettingsError) as error:
        return _refuse(f"Invalid settings: {format_settings_error(error)}.")


def _serve(settings: Settings, host: str, port: int) -> int:
    if settings.api.allows_anonymous and not is_loopback_host(host):
        return _refuse(
            f"No authentication is configured: anyone who can reach {host} could create and delete environments. Set "
            "BYOK_API__ISSUER, BYOK_API__AUDIENCE and BYOK_API__JWKS_URL, or BYOK_API__TOKENS; or listen on 127.0.0.1."
        )
    if settings.platform_role_arn is None:
        return _refuse(
            "BYOK_PLATFORM_ROLE_ARN is not set. Set the variable to the role to which the customers' key policies "
            "grant access."
        )
    configure_logging(settings)
    warn_without_public_url(settings.api)
    journal = AuditJournal(settings.audit.directory)
    try:
        journal.require_writable()
    except JournalUnwritableError as error:
        return _refuse(f"{error}. Set BYOK_AUDIT__DIRECTORY to a directory that the server can write to.")
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
    )
    try:
        # Objects that exist now stay in memory until the process ends. Exempting these objects from garbage collection
        # shortens the collections, during which requests wait.
        gc.collect()
        gc.freeze()
        _Server(build_server_config(state, settings.api, host, port)).run()
    except SystemExit as end:  # uvicorn could not bind to the address, and has logged the reason
        return end.code if isinstance(end.code, int) else 1
    return 0


def warn_without_public_url(settings: ApiSettings) -> None:
    """Log a warning if the server has access control but does not know its public URL."""
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
    """Combine the API and the wizard into one application."""
    api, wizard = make_api_app(state), make_wizard_app(state, settings)

    async def both(scope: Scope, receive: Receive, send: Send) -> None:
        ours = scope["type"] == "http" and not scope["path"].startswith(_OF_THE_API)
        await (wizard if ours else api)(scope, receive, send)

    app: ASGIApp = both
    if settings.allows_anonymous:
        # Without authentication, accept only local host names, so that a web page cannot reach this server through a
        # host name that resolves to 127.0.0.1 (DNS rebinding).
        app = TrustedHostMiddleware(both, allowed_hosts=["localhost", "127.0.0.1", "[::1]"], www_redirect=False)
    return wrap_with_security_middleware(app, settings, state.journal)


def find_local_aws(environ: Mapping[str, str]) -> str | None:
    """Return the endpoint of the local AWS as `scheme://host:port`; None if AWS_ENDPOINT_URL is not a loopback URL."""
    found = urlsplit(environ.get("AWS_ENDPOINT_URL", ""))
    return f"{found.scheme}://{found.netloc}" if found.hostname and is_loopback_host(found.hostname) else None


def is_loopback_host(host: str) -> bool:
    """Return whether a host name or address is reachable only from this machine."""
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address).partition("%")[0]).is_loopback for address in found)


def _token(organisation: str, name: str | None, lifetime: timedelta, *, read_only: bool) -> int:
    if not timedelta() < lifetime <= _LONGEST_TOKEN_LIFETIME:
        return _refuse(f"--days: must be between 1 and {_LONGEST_TOKEN_LIFETIME.days}")
    token = secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    whose = "staff" if organisation == organisations.EVERY_ORGANISATION else organisation
    try:
        entry = AccessToken(
            name=name or f"{whose}-{digest[:8]}",
            sha256=digest,
            organisation=organisation,
            scopes=(organisations.Scope.READ,) if read_only else tuple(organisations.Scope),
            expires=(datetime.now(UTC) + lifetime).replace(microsecond=0),
        )
    except ValidationError as error:
        return _refuse(
            "; ".join(f"{one['loc'][0]}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors())
        )
    sys.stderr.write("The token (shown once and not stored) and its entry for BYOK_API__TOKENS:\n")
    sys.stdout.write(f"{token}\n{entry.model_dump_json()}\n")
    return 0


def _refuse(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return _USAGE


if __name__ == "__main__":
    sys.exit(main())
