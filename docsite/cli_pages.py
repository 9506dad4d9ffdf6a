"""Generates the page about the command line from the commands."""

from collections.abc import Iterator
from typing import Any

import typer
from typer.main import get_command

from byok.cli.app import app


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child, found in getattr(command, "commands", {}).items():
        if not found.hidden:
            yield from _walk(found, f"{name} {child}")


def list_commands() -> list[str]:
    """Return the names of all commands, such as `byok accounts allow`."""
    return [name for name, _ in _walk(get_command(app), "byok")]


def render_cli_page() -> str:
    """Render the page: a section for each command, with the text that `--help` prints."""
    parts = [
        "# Command line",
        "",
        "This page is made from the commands: it shows what `--help` prints. A result goes to standard output, "
        "and everything else to standard error. With `-o json`, the result is JSON. An error begins with `error:`.",
        "",
    ]
    for name, command in _walk(get_command(app), "byok"):
        context = typer.Context(command, info_name=name, max_content_width=80, terminal_width=80)
        context.help_option_names = ["-h", "--help"]
        parts += [f"## {name}", "", "```text", command.get_help(context).rstrip(), "```", ""]
    return "\n".join(parts)
