"""What is shown of keys and their policies: reports, findings, and what to paste."""

import json
from collections.abc import Sequence
from typing import Final

from rich.text import Text

from byok.cli.text import fold, join_lines
from byok.domain.diagnosis.diagnose import are_usable
from byok.domain.iam.check.report import PolicyReport, Verdict
from byok.domain.iam.findings import Finding, Severity

_MARKS: Final = {Verdict.ALLOWED: ("✓", "green"), Verdict.DENIED: ("✗", "red"), Verdict.UNKNOWN: ("?", "yellow")}
_COLOURS: Final = {Severity.STOPS: "bold red", Severity.LATER: "bold yellow", Severity.UNKNOWN: "bold yellow"}


def policy_report(report: PolicyReport) -> Text:
    """A row per permission, then what is wrong."""
    name = report.which.key_name
    rows = [_row(report, index) for index in range(len(report.rows))]
    end = {
        True: Text(f"The policy lets the platform use the {name}.", "bold green"),
        False: Text(f"The platform cannot use the {name}.", "bold red"),
        None: Text(f"Whether the platform can use the {name} hangs on what only AWS sees.", "bold yellow"),
    }[report.usable]
    return join_lines([*rows, *([Text()] if rows else []), end, *(finding(one) for one in report.findings)])


def diagnosis(found: Sequence[Finding]) -> Text:
    """Whether two keys can be used, as far as it shows, and every finding with the key that it is about."""
    head = {
        True: Text("Nothing that can be seen stands in the way of these keys.", "bold green"),
        False: Text("These keys cannot be used as they are.", "bold red"),
        None: Text("Whether these keys can be used cannot be said: not everything could be seen.", "bold yellow"),
    }[are_usable(found)]
    return join_lines([head, *(finding(one, named=True) for one in found)])


def finding(one: Finding, *, named: bool = False) -> Text:
    """What is wrong, what to do, and what to paste."""
    whose = f"{one.key.key_name if one.key else 'Both keys'}: " if named else ""
    parts = [
        Text(),
        Text(f"{whose}{one.code}, {one.severity}", _COLOURS.get(one.severity, "bold")),
        Text(f"  {fold(one.message, 2)}"),
    ]
    if one.permissions:
        missing = ", ".join(one.permissions)
        parts.append(Text(f"  {fold(f'Missing for it: {missing}.', 2)}"))
    parts += [Text(f"  {fold(line, 2)}") for line in one.remedy.splitlines()]
    if one.paste:
        parts.append(Text(",\n".join(json.dumps(statement, indent=2) for statement in one.paste)))
    return join_lines(parts)


def _row(report: PolicyReport, index: int) -> Text:
    row = report.rows[index]
    mark, colour = _MARKS[row.verdict]
    by = f"by {row.sid}" if row.sid and row.verdict is Verdict.ALLOWED else ""
    if row.verdict is Verdict.DENIED:
        by = f"denied: {row.misfits[0].cause}"
    if row.verdict is Verdict.UNKNOWN:
        by = "cannot be said from here"
    return Text.assemble((mark, colour), f" {row.call.action:<36} {row.call.purpose:<42} {by}".rstrip())
