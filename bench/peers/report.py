"""Renders the peers' figures, and their ratios to the bare boto3 script (the floor), as a table and as JSON."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.figures import format_figure
from bench.peers.catalogue import Peer


@dataclass(frozen=True)
class PeerFigures:
    """The figures for one peer.

    Attributes:
        cold_wall_seconds: Wall time from the start of the peer until the first environment is complete.
        cold_cpu_seconds: CPU time of all of the peer's processes until the first environment is complete.
        per_second: Environments per second at the given concurrency, after the first environment.
        cpu_seconds: CPU time of all of the peer's processes per environment, after the first environment.
        peak_mib: Peak memory of all of the peer's processes together.
        calls: AWS calls per environment.
    """

    cold_wall_seconds: float
    cold_cpu_seconds: float
    per_second: float
    cpu_seconds: float
    peak_mib: float
    calls: float

    def ratios_to_floor(self, floor: "PeerFigures") -> dict[str, float]:
        """Return the ratio of each figure to the bare boto3 script's figure, unless the script's figure is 0."""
        own, other = asdict(self), asdict(floor)
        return {name: own[name] / other[name] for name in own if other[name]}


@dataclass(frozen=True)
class PeerRow:
    """One row of the table: the figures of a peer and of the bare boto3 script, or the reason why there are none."""

    peer: Peer
    figures: PeerFigures | None = None
    floor: PeerFigures | None = None
    why_not: str = ""
    calls_by_service: dict[str, int] | None = None


COLUMN_HEADINGS: Final = {
    "cold_wall_seconds": "one, cold: s",
    "cold_cpu_seconds": "CPU s, cold",
    "per_second": "per s ({environments} environments, {concurrency} at a time)",
    "cpu_seconds": "CPU s each",
    "peak_mib": "peak MiB",
    "calls": "AWS calls each",
}


def render_table(rows: Sequence[PeerRow], environments: int, concurrency: int) -> str:
    """Render a Markdown table of the figures and their ratios to the bare boto3 script, followed by the remarks."""
    headings = [text.format(environments=environments, concurrency=concurrency) for text in COLUMN_HEADINGS.values()]
    lines = [f"| | {' | '.join(headings)} |", f"|---{'|---' * len(COLUMN_HEADINGS)}|"]
    lines += [f"| {row.peer.title} | {' | '.join(_cells(row))} |" for row in rows]
    lines += [
        "",
        "In brackets: the ratio to the floor, which was measured just before the peer. Moto's CPU time and memory are "
        "not included.",
    ]
    lines += [f"{row.peer.title}: {row.peer.remark}." for row in rows if row.figures and row.peer.remark]
    return "\n".join(lines)


def _cells(row: PeerRow) -> list[str]:
    if row.figures is None:
        return [f"not measured: {row.why_not.replace('|', '/')}", *[""] * (len(COLUMN_HEADINGS) - 1)]
    own = asdict(row.figures)
    of_floor = row.figures.ratios_to_floor(row.floor) if row.floor else {}
    return [
        format_figure(own[name]) + (f" (×{format_figure(of_floor[name])})" if name in of_floor else "")  # noqa: RUF001
        for name in COLUMN_HEADINGS
    ]


def as_json(rows: Sequence[PeerRow], environments: int, concurrency: int) -> dict[str, Any]:
    """Return the rows as JSON."""
    return {
        "environments": environments,
        "concurrency": concurrency,
        "peers": {row.peer.name: _row_as_json(row) for row in rows},
    }


def _row_as_json(row: PeerRow) -> dict[str, Any]:
    if row.figures is None:
        return {"why_not": row.why_not}
    return {
        "figures": asdict(row.figures),
        "floor": asdict(row.floor) if row.floor else None,
        "ratios": row.figures.ratios_to_floor(row.floor) if row.floor else None,
        "calls_by_service": row.calls_by_service,
        "does_not_make": sorted(row.peer.exempt),
        "remark": row.peer.remark,
    }
