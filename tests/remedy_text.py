"""A remedy as one text, for tests that look for a fact and not for the step that states it."""

from byok.domain.remediation import Remediation


def text_of(remedy: Remediation | None) -> str:
    """Return the title, the explanation, the steps and their cases; each text is followed by its command."""
    assert remedy is not None
    lines = [remedy.title, remedy.explanation]
    for step in remedy.steps:
        lines += [step.text, *(f"  {one}" for one in (step.command, step.statement) if one)]
        for case in step.cases:
            lines += [f"{case.when}: {case.text}", *(f"  {one}" for one in (case.command, case.statement) if one)]
    return "\n".join(lines)
