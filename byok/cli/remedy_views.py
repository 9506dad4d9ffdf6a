"""Render remedies for people: a title, numbered steps, and the commands to copy.

Commands, statements and addresses are never wrapped, so that copied text stays intact.
"""

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from byok.cli.text import join_lines, wrap_prose
from byok.domain.remediation import Remediation, RemedyStep

_INDENT: Final = 5
"""The width of `  1. `, with which a step begins."""


def render_steps(remedy: Remediation, retry: Sequence[Text] = ()) -> Text:
    """Render a remedy without its title.

    Args:
        remedy: The remedy.
        retry: The commands that retry the request, which the last step shows.
    """
    lines = [Text(f"  {wrap_prose(remedy.explanation, 2)}")] if remedy.explanation else []
    for number, step in enumerate(remedy.steps, start=1):
        lines += _render_step(number, step)
        if step.retry is not None:
            lines += [Text.assemble(" " * _INDENT, command) for command in retry]
    return join_lines(lines)


def _render_step(number: int, step: RemedyStep) -> list[Text]:
    lines = [Text(f"{number:3}. {wrap_prose(step.text, _INDENT)}")]
    if step.command is not None:
        lines.append(Text(f"{' ' * _INDENT}{step.command}"))
    if step.link is not None:
        lines.append(Text.assemble(" " * _INDENT, (f"{step.link.label}: ", "dim"), step.link.url))
    lines += [Text(f"{' ' * _INDENT}{line}") for line in (step.statement or "").splitlines()]
    return lines
