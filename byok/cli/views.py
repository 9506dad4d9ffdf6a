"""What people see of an environment: its phases, what it waits for, how it ended."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from byok.domain.models import Evidence, KeyCheck, Problem
from byok.domain.statuses import Phase
from byok.status import EnvironmentStatus, EnvironmentSummary, Waiting

_SHOWN: Final = 160
"""Characters of a failure that a line shows while it is tried again; at the end it is shown whole."""

_COLOURS: Final = {Phase.READY: "green", Phase.STOPPED: "red", Phase.ROLLING_BACK: "yellow"}


def environment(status: EnvironmentStatus) -> RenderableType:
    """An environment as it is at this moment."""
    place = f"  {status.region}" if status.region else ""
    parts: list[RenderableType] = [Text.assemble((status.environment_id, "bold"), (place, "dim")), phases(status)]
    parts += [Text(f"  … {waiting(item)}", style="dim") for item in status.pending]
    if status.phase.final:
        parts += ["", outcome(status)]
    return Group(*parts)


def phases(status: EnvironmentStatus) -> RenderableType:
    """The phases so far, each with how long it took."""
    table = Table.grid(padding=(0, 2))
    entries = status.timeline
    for position, entry in enumerate(entries):
        following = entries[position + 1].entered_at if position + 1 < len(entries) else None
        mark = "✗" if entry.phase is Phase.STOPPED else "✓" if following or entry.phase.final else "•"
        until = following or (None if entry.phase.final else datetime.now(UTC))
        took = f"{max((until - entry.entered_at).total_seconds(), 0):.1f} s" if until else ""
        colour = _COLOURS.get(entry.phase, "")
        table.add_row(
            f"  {entry.entered_at.astimezone():%H:%M:%S}", Text(mark, colour), Text(entry.phase, colour), took
        )
    if not entries:
        table.add_row("  ", "•", "accepted")
    return table


def waiting(item: Waiting) -> str:
    """What is being waited for, in one line."""
    what = item.activity.replace("_", " ") if item.activity else "the workflow"
    if item.unclaimed:
        return f"{what} waits for a worker: none has taken it for {_seconds_since(item.since)} s"
    said = f": {_short(item.last_failure)}" if item.last_failure else ""
    # Polling a database that is not there yet is no failure, and its count is nobody's concern.
    refused = item.last_problem is not None and item.last_problem.operation is not None
    count = f", attempt {item.attempt}" if item.attempt > 1 and refused else ""
    return f"{what}{count}{said}"


def outcome(status: EnvironmentStatus) -> RenderableType:
    """How it ended."""
    if status.phase is Phase.READY:
        lead = Text(f"{status.environment_id} is ready.", style="bold green")
        return Group(lead, *([evidence(status.evidence)] if status.evidence else []))
    first = status.problem.phase if status.problem else status.phase
    lead = Text(f"{status.environment_id} stopped in {first}.", style="bold red")
    return Group(lead, *problems(status.problems), *_what_is_left(status))


def problems(found: Sequence[Problem]) -> Iterator[RenderableType]:
    """Problems, each with AWS's own words and what to do."""
    for item in found:
        facts = Table.grid(padding=(0, 2))
        facts.add_column(style="dim", no_wrap=True)
        facts.add_column(overflow="fold")
        facts.add_row("code", Text(item.code, "bold"))
        facts.add_row("AWS said" if item.operation else "why", item.message)
        for name, value in (
            ("operation", item.operation),
            (item.key.label if item.key else "", item.key_arn),
            ("request id", item.request_id),
        ):
            if name and value:
                facts.add_row(name, value)
        yield Padding(facts, (1, 0, 0, 2))
        # Not in the table: commands and statements are copied from here, and nothing may break or indent their lines.
        yield Padding(Text("What to do", "bold"), (1, 0, 0, 2))
        yield Padding(Text(item.remediation, no_wrap=True, overflow="ignore"), (0, 0, 0, 2))


def evidence(proof: Evidence) -> RenderableType:
    """What is encrypted with what, as AWS reported it when it was read back."""
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(no_wrap=True, overflow="ignore")
    database = proof.database
    cluster = database.cluster_arn.rpartition(":")[2]
    table.add_row("  cluster", cluster, f"{database.storage_encryption_type}  {database.key_arn}")
    writer = database.writer_arn.rpartition(":")[2]
    table.add_row("  writer", writer, f"{database.storage_encryption_type}  {database.writer_key_arn}")
    for bucket in proof.buckets:
        objects = f"  ({len(bucket.objects)} objects)" if bucket.objects else ""
        table.add_row("  bucket", bucket.name, f"{bucket.algorithm}  {bucket.key_arn}{objects}")
    return table


def key_check(check: KeyCheck) -> RenderableType:
    """What a check of two keys found."""
    proved = [Text(f"✓ {proof.key.label}: S3 wrote and read an object with {proof.key_arn}") for proof in check.proofs]
    if check.findings:
        return Group(*proved, Text("These keys cannot be used.", style="bold red"), *problems(check.findings))
    note = "✓ RDS key ARN: its form is right. RDS tries a key only when it creates a cluster: that is the proof."
    return Group(*proved, Text(note), Text("Nothing is wrong with these keys.", style="bold green"))


def environments(found: Sequence[EnvironmentSummary]) -> RenderableType:
    """The list of environments."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("ENVIRONMENT", "PHASE", "REGION", "PROBLEM", "STARTED"):
        table.add_column(column, no_wrap=True)
    for item in found:
        table.add_row(
            item.environment_id,
            Text(item.phase, _COLOURS.get(item.phase, "")),
            item.region or "",
            item.problem_code or "",
            f"{item.started_at.astimezone():%Y-%m-%d %H:%M:%S}",
        )
    return table


def _what_is_left(status: EnvironmentStatus) -> Iterator[RenderableType]:
    kept = [
        *(f"cluster {item.identifier}" for item in (status.resources.cluster,) if item),
        *(f"writer {item.identifier}" for item in (status.resources.writer,) if item),
        *(f"bucket {item.name}" for item in status.resources.buckets),
    ]
    if status.left_behind:
        yield Padding(Text("Could not be removed:\n  " + "\n  ".join(status.left_behind)), (1, 0, 0, 2))
    else:
        yield Padding(Text(f"Kept: {', '.join(kept)}" if kept else "Nothing was left behind.", "dim"), (1, 0, 0, 2))


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _seconds_since(moment: datetime) -> int:
    return int((datetime.now(UTC) - moment).total_seconds())
