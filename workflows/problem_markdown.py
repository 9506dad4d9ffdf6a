"""Renders problems and their remedies as Markdown for Temporal's UI."""

import re
from collections.abc import Sequence

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from byok.domain.models import Problem
    from byok.domain.remediation import Remediation


def format_problems(problems: Sequence[Problem], retry: str) -> list[str]:
    """Return the problems, each with its remedy, and the command for the retry."""
    if len(problems) == 1:
        return list_problems(problems, retry)
    return [*list_problems(problems), "", f"Once all problems are fixed: `{retry}`"] if problems else []


def list_problems(problems: Sequence[Problem], retry: str | None = None) -> list[str]:
    """Return the problems, each with its remedy. Pass the command for the retry if it belongs to the last step."""
    lines: list[str] = []
    for item in problems:
        lines += ["", f"#### {item.remediation.title}", "", f"**{item.code}** `{item.message}`", ""]
        lines += [f"- {name}: `{value}`" for name, value in _facts(item) if value]
        lines += ["", *list_steps(item.remediation, retry)]
    return lines


def list_steps(remedy: Remediation, retry: str | None = None) -> list[str]:
    """Return a remedy's steps as a numbered list. The blocks of a step are indented, so that the list continues."""
    lines = [_escape(remedy.explanation), ""] if remedy.explanation else []
    lines += [f"Who: {remedy.who}", ""] if remedy.who else []
    for number, step in enumerate(remedy.steps, start=1):
        other = remedy.other_actor(step)
        lines.append(f"{number}. {f'({other.words}) ' if other else ''}{_escape(step.text_for_command)}")
        if step.link is not None:
            page = f"[{step.link.label}]({step.link.url})" if step.link.url else step.link.label
            lines.append(f"   {page}{f'. {_escape(step.console)}' if step.console else ''}")
        lines += _blocks("   ", step.command, step.statement, retry if step.retry else None)
        for case in step.cases:
            lines += ["", f"   - {_escape(f'{case.when}: {case.text_with_console}')}"]
            lines += _blocks("     ", case.command, case.statement)
    return lines


def _blocks(indent: str, *blocks: str | None) -> list[str]:
    lines: list[str] = []
    for block in blocks:
        if block is not None:
            lines += ["", f"{indent}```", *(f"{indent}{line}" for line in block.splitlines()), f"{indent}```"]
    return lines


def _escape(text: str) -> str:
    """Escape the characters that start a link, an element or emphasis, because a user may have entered them."""
    return re.sub(r"([\\\[\]<*_])", r"\\\1", text)


def _facts(item: Problem) -> tuple[tuple[str, str | None], ...]:
    return (
        ("key", item.key and item.key.field_label),
        ("ARN", item.key_arn),
        ("operation", item.operation),
        ("request id", item.request_id),
    )
