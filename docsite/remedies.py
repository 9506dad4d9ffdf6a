"""Renders remedies as Markdown."""

from byok.domain.remediation import Remediation


def render_remedy(remediation: Remediation) -> str:
    """Render the explanation and the numbered steps of a remedy."""
    parts = [remediation.explanation] if remediation.explanation else []
    for number, step in enumerate(remediation.steps, start=1):
        blocks = [f"{number}. {_indent(step.text).strip()}"]
        if step.link:
            blocks.append(f"    [{step.link.label}]({step.link.url})")
        blocks += [
            _indent(f"```{language}\n{block}\n```")
            for language, block in (("sh", step.command), ("json", step.statement))
            if block
        ]
        parts.append("\n\n".join(blocks))
    return "\n\n".join(parts)


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else "" for line in text.splitlines())
