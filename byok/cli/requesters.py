"""Identifies the user who runs a command, and connects to Temporal on the user's behalf (contract 147)."""

import getpass
import socket
import uuid
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from byok.domain.models import Requester
    from byok.service.environments import EnvironmentService


def _limit(reason: str | None) -> str | None:
    if not reason:
        return None
    from byok.domain.models import MAX_REASON_LENGTH

    if len(reason) > MAX_REASON_LENGTH:
        raise typer.BadParameter(f"at most {MAX_REASON_LENGTH} characters")
    return reason


Reason = Annotated[
    str | None,
    typer.Option(callback=_limit, help="The reason for this command. byok stores the text in the audit trail."),
]


def build_cli_requester(reason: str | None) -> "Requester":
    """Build the requester of a command from the operating system's user name and host name."""
    from byok.domain.models import EntryPoint, Requester

    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # the user id has no user name, as in a container
        user = "unknown"
    subject = f"{user}@{socket.gethostname()}"
    return Requester(via=EntryPoint.CLI, subject=subject, request_id=uuid.uuid4().hex, reason=reason)


async def connect_as_requester(reason: str | None) -> "EnvironmentService":
    """Connect to Temporal, and return an `EnvironmentService` that acts on behalf of the user who runs the command."""
    from byok.service.connection import connect_service
    from byok.settings import Settings

    return (await connect_service(Settings().quotas)).on_behalf_of(build_cli_requester(reason))
