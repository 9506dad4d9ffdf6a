"""Renders remedies as Markdown."""

from typing import Final

from byok.domain.remediation import Remediation, RemedyCase, RemedyLink, RemedyStep


def render_remedy(remediation: Remediation) -> str:
    """Render the explanation and the numbered steps of a remedy."""
    parts = [remediation.explanation] if remediation.explanation else []
    for number, step in enumerate(remediation.steps, start=1):
        other = remediation.other_actor(step)
        blocks = [f"{number}. {f'({other.words}) ' if other else ''}{_indent(step.text_for_command).strip()}"]
        if step.link:
            blocks.append(f"    {_console(step, step.link)}")
        blocks += [_indent(block) for block in _code(step)]
        if step.script:
            blocks.append(f"    {_SCRIPT}")
        for case in step.cases:
            blocks.append(f"    - {case.when}: {case.text_with_console}")
            blocks += [_indent(_indent(block)) for block in _code(case)]
        parts.append("\n\n".join(blocks))
    return "\n\n".join(parts)


_SCRIPT: Final = (
    "[If a key is refused](../key-owners.md#if-a-key-is-refused) says where the script comes from and who reads its "
    "output."
)


def _console(step: RemedyStep, link: RemedyLink) -> str:
    """Return the link to the step's console page, and what to do on that page."""
    page = f"[{link.label}]({link.url})" if link.url else link.label
    return f"{page}. {step.console}" if step.console else page


def _code(part: RemedyStep | RemedyCase) -> list[str]:
    """Return the command and the statements, each as a code block."""
    blocks = (("sh", part.command), ("json", part.statement))
    return [f"```{language}\n{block}\n```" for language, block in blocks if block]


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
