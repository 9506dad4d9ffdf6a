"""Renders problems and their remedies for people. Each remedy has a title, numbered steps, and commands to copy.

Only the first two lines of a long remedy are shown, unless the user passes `--explain`. Commands, statements and
addresses are never wrapped, so that copied text stays intact.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import Final

from rich.text import Text

from byok.cli.text import join_lines, wrap_prose
from byok.domain.models import Problem
from byok.domain.remediation import Actor, Remediation, RemedyStep

_INDENT: Final = 5
"""The width of a step's number and the spaces around it (`  1. `)."""


_LONGEST: Final = 8
"""The maximum number of lines of a remedy that is shown in full by default.

A longer remedy could push the problem out of the terminal window.
"""

_SHOWN: Final = 2
_explains: ContextVar[bool] = ContextVar("explains", default=False)


def render_problems(found: Sequence[Problem], retry: Sequence[Text] = (), *, explain: str | None = None) -> Text:
    """Render problems, each with AWS's exact error message and the remedy.

    Args:
        found: The problems.
        retry: The commands that retry the request. If there are several problems, the commands follow the last one,
            because the user must fix all problems before the retry.
        explain: The command that shows long remedies in full. Pass None if the current command has the option
            `--explain`.
    """
    blocks: list[Text] = []
    commands, told = retry if len(found) == 1 else (), False
    for item in found:
        facts = (
            ("code", item.code),
            ("AWS said" if item.quotes_aws else "why", item.message),
            ("operation", item.operation),
            (item.key.field_label if item.key else "key", item.key_arn),
            ("request id", item.request_id),
            ("help", item.help_url if "://" in item.help_url else None),
        )
        blocks += [
            Text(),
            Text(f"  {item.remediation.title}", "bold"),
            *(Text.assemble((f"  {name:<12}", "dim"), wrap_prose(value, 14)) for name, value in facts if value),
        ]
        if item.remediation.steps:
            remedy = render_steps(item.remediation, commands)
            folded = _fold(remedy, explain)
            told = told or folded is remedy
            who = item.remediation.who
            head = Text.assemble(("  What to do", "bold"), (f"  Who: {who}" if who else "", "dim"))
            blocks += [Text(), head, folded]
    if retry and not (commands and told):
        blocks += [Text(), Text(f"  Once {'the problem is' if len(found) == 1 else 'all problems are'} fixed", "bold")]
        blocks += [Text.assemble("    ", command) for command in retry]
    return join_lines(blocks)


def explain_remedies(wanted: bool) -> bool:
    """Show every remedy in full. This function is the callback of the option `--explain`."""
    _explains.set(wanted)
    return wanted


def _fold(remedy: Text, explain: str | None) -> Text:
    lines = remedy.split("\n")
    if _explains.get() or len(lines) <= _LONGEST:
        return remedy
    how = f"run {explain}" if explain else "add --explain"
    return join_lines([*lines[:_SHOWN], Text(f"  … {len(lines) - _SHOWN} more lines. To see all, {how}", "dim")])


def render_steps(remedy: Remediation, retry: Sequence[Text] = ()) -> Text:
    """Render a remedy without its title.

    Args:
        remedy: The remedy.
        retry: The commands that retry the request. The last step contains these commands.
    """
    lines = [Text(f"  {wrap_prose(remedy.explanation, 2)}")] if remedy.explanation else []
    for number, step in enumerate(remedy.steps, start=1):
        lines += _render_step(number, step, remedy.other_actor(step))
        if step.retry is not None:
            lines += [Text.assemble(" " * _INDENT, command) for command in retry]
    return join_lines(lines)


def _render_step(number: int, step: RemedyStep, other: Actor | None) -> list[Text]:
    text = f"({other.words}) {step.text_for_command}" if other else step.text_for_command
    lines = [Text(f"{number:3}. {wrap_prose(text, _INDENT)}"), *_render_command(step.command, _INDENT)]
    if step.script:
        lines.append(Text(f"{' ' * _INDENT}{_SCRIPT}", "dim"))
    if step.link is not None:
        lines.append(Text.assemble(" " * _INDENT, (f"{step.link.label}: ", "dim"), step.link.url or ""))
    lines += _render_console(step.console, _INDENT)
    lines += _render_statement(step.statement, _INDENT)
    for case in step.cases:
        inner = _INDENT + 2
        lines.append(Text(f"{' ' * _INDENT}- {wrap_prose(f'{case.when}: {case.text}', inner)}"))
        lines += [*_render_command(case.command, inner), *_render_console(case.console, inner)]
        lines += _render_statement(case.statement, inner)
    return lines


_SCRIPT: Final = "byok doctor --customer prints the script; byok diagnose keys.json reads its output."


def _render_console(console: str | None, indent: int) -> list[Text]:
    if console is None:
        return []
    return [Text(f"{' ' * indent}{wrap_prose(f'In the console: {console}', indent)}", "dim")]


def _render_command(command: str | None, indent: int) -> list[Text]:
    return [] if command is None else [Text(f"{' ' * indent}{command}")]


def _render_statement(statement: str | None, indent: int) -> list[Text]:
    return [Text(f"{' ' * indent}{line}") for line in (statement or "").splitlines()]
