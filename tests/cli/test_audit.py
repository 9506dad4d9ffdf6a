"""Every command that changes something or uses a key reports its user and the reason (contract 147)."""

import getpass
import socket
from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperGroup

from byok.cli.app import app
from byok.cli.requesters import build_cli_requester
from byok.domain.models import EntryPoint
from tests.cli.conftest import Run
from tests.cli.fakes import FakeService

READS = {
    *("accounts list", "claims", "diagnose", "doctor", "history", "list", "onboarding", "status", "support-bundle"),
    *("notifications list", "notifications resend", "notifications test"),
    *("policy check", "policy merge", "policy render", "template"),
}
"""The commands that change nothing in the platform and use no customer key."""

LOCAL = {"web", "worker", "token", "demo", "up"}
"""The commands that start a local stack, whose worker records changes to environments in the audit trail."""


def list_commands(group: TyperGroup, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every command with its full name."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from list_commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def test_every_changing_command_takes_a_reason() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    commands = dict(list_commands(group))
    reasons = {name for name, one in commands.items() if any("--reason" in each.opts for each in one.params)}

    assert set(commands) - READS - LOCAL == reasons  # contract 147
    assert reasons >= {"create", "replay", "cancel", "delete", "check", "tenant", "accounts allow", "accounts remove"}


def test_requester_is_the_user_at_this_host() -> None:
    first, second = build_cli_requester("ticket 42"), build_cli_requester(None)
    assert first.subject == f"{getpass.getuser()}@{socket.gethostname()}"
    assert (first.via, first.reason, second.reason) == (EntryPoint.CLI, "ticket 42", None)
    assert first.request_id != second.request_id


def test_command_acts_on_behalf_of_its_user(run: Run, service: FakeService) -> None:
    assert run("cancel", "acme", "--reason", "ticket 42").code == 0
    assert service.requester is not None
    assert (service.requester.via, service.requester.reason) == (EntryPoint.CLI, "ticket 42")


def test_long_reason_is_refused(run: Run, service: FakeService) -> None:
    assert run("cancel", "acme", "--reason", "x" * 257).code == 2
    assert service.requester is None
