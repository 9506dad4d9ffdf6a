"""`byok web` and `byok worker` run byok's two servers; `byok token` creates a token for the HTTP API."""

from typing import Annotated

import typer

from byok.cli.output import EXIT_USAGE, UsageError, exit_on_error, exit_with_error, print_message, print_text


def web(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Run the server of the wizard and the HTTP API, until SIGTERM or Ctrl-C.

    The server reads its settings from the environment variables BYOK_… and TEMPORAL_…. If other machines can reach the
    server, configure authentication first.

    Examples:
        byok web
        byok web --host 0.0.0.0 --port 8000

    Exit codes: 0 stopped by a signal; 1 the address cannot be used; 2 the settings are invalid or incomplete, or would
    give everyone access.
    """
    with exit_on_error():
        from byok.settings import Settings
        from byok.web import UnservableError, serve

        try:
            code = serve(Settings(), host, port)
        except UnservableError as error:
            exit_with_error(str(error), "byok.Settings", EXIT_USAGE, as_json=False)
    raise typer.Exit(code)


def worker() -> None:
    """Run a worker, until SIGTERM or Ctrl-C.

    The worker needs AWS credentials for the platform role, and reads its settings from the environment variables
    BYOK_…, TEMPORAL_… and AWS_…. Start several workers to share the work. After a signal, the worker finishes the AWS
    calls in progress.

    Examples:
        byok worker
        BYOK_LOG_LEVEL=DEBUG byok worker

    Exit codes: 0 stopped by a signal; 1 the worker cannot start.
    """
    import os
    import sys

    from byok.local.programs import PROGRAMS_ROOT

    # Replace this process with the worker, so that the worker receives signals directly, and its exit code becomes the
    # exit code of the command. The worker is a separate program, because no module of byok may import workflows or
    # activities.
    program = str(PROGRAMS_ROOT / "worker.py")
    os.execv(sys.executable, [sys.executable, program])  # noqa: S606


def token(
    organisation: Annotated[
        str, typer.Argument(help="The organisation whose environments the token grants access to; * for all.")
    ],
    name: Annotated[
        str | None,
        typer.Option(help="Name in audit records. [default: derived from the token]"),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Days until the token expires.")] = 90,
    read_only: Annotated[bool, typer.Option("--read-only", help="Create a read-only token.")] = False,
) -> None:
    """Create a bearer token for the HTTP API, and the matching entry for the settings.

    The first output is the token, which is shown once and not stored. The second output is the entry for
    BYOK_API__TOKENS, which contains only the token's hash.

    Examples:
        byok token acme --name portal --days 90
        byok token '*' --name support --read-only

    Exit codes: 0 printed; 2 incorrect usage.
    """
    with exit_on_error():
        import hashlib
        import secrets
        from datetime import UTC, datetime, timedelta

        from pydantic import ValidationError

        from byok.api_settings import AccessToken
        from byok.cli.requests import format_validation_error
        from byok.domain.scopes import EVERY_ORGANISATION, Scope

        text = secrets.token_urlsafe(32)
        digest = hashlib.sha256(text.encode()).hexdigest()
        whose = "staff" if organisation == EVERY_ORGANISATION else organisation
        try:
            entry = AccessToken(
                name=name or f"{whose}-{digest[:8]}",
                sha256=digest,
                organisation=organisation,
                scopes=(Scope.READ,) if read_only else tuple(Scope),
                expires=(datetime.now(UTC) + timedelta(days=days)).replace(microsecond=0),
            )
        except ValidationError as error:
            raise UsageError(
                format_validation_error(error, {"name": "--name", "organisation": "ORGANISATION"})
            ) from error
        print_message("The token (shown once and not stored) and its entry for BYOK_API__TOKENS:")
        print_text(f"{text}\n{entry.model_dump_json()}\n")
