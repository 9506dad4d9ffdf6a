"""`byok doctor`: what is there, what is missing, and how to put it right."""

import asyncio
from typing import Annotated

import typer

from byok.cli.output import FAILED, READY, console, print_json, reported


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False) -> None:
    """Look whether everything is there: Temporal, workers, AWS, the platform role, the blueprint.

    It speaks for the place it runs in: for a worker's credentials, run it where the worker runs.

    Exit codes: 0 nothing is missing; 1 something is.
    """
    with reported(as_json=as_json):
        code = _doctor(as_json=as_json)
    raise typer.Exit(code)


def _doctor(*, as_json: bool) -> int:
    from dataclasses import asdict

    from rich.text import Text

    from byok.diagnosis import diagnose
    from byok.settings import Settings

    findings = asyncio.run(diagnose(Settings()))
    healthy = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": healthy, "checks": [asdict(finding) for finding in findings]})
        return READY if healthy else FAILED
    out = console()
    for finding in findings:
        mark = Text("✓", "green") if finding.ok else Text("✗", "red")
        out.print(Text.assemble(mark, f" {finding.name:<18} ", finding.detail))
        if finding.fix:
            out.print(Text(f"{'':<21}→ {finding.fix}", "bold"))
    return READY if healthy else FAILED
