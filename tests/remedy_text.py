"""Convert a remedy to a single text, for tests that require a fact but not a particular step."""

from byok.domain.remediation import Remediation


def text_of(remedy: Remediation | None) -> str:
    """Return the title, the explanation, the steps and their cases; each text is followed by its command."""
    assert remedy is not None
    lines = [remedy.title, remedy.explanation]
    for step in remedy.steps:
        lines += [step.text_for_command, *(f"  {one}" for one in (step.console, step.command, step.statement) if one)]
        for case in step.cases:
            parts = (case.console, case.command, case.statement)
            lines += [f"{case.when}: {case.text}", *(f"  {one}" for one in parts if one)]
    return "\n".join(lines)
