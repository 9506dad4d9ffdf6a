"""Writes the results into docs/benchmarks.md, between two markers. The text outside the markers stays unchanged."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.figures import Spread, compute_ratio_spread, format_figure
from bench.measures.throughput import VARIANTS, Throughput
from bench.results import BenchmarkResults
from bench.targets import evaluate_targets

BEGIN_MARKER: Final = "<!-- measured: begin -->"
END_MARKER: Final = "<!-- measured: end -->"


def write_tables(results: BenchmarkResults, file: Path) -> None:
    """Write the tables into a document.

    Raises:
        ValueError: The document lacks one of the markers.
    """
    replace_between_markers(BEGIN_MARKER, END_MARKER, render_markdown(results), file)


def replace_between_markers(begin: str, end: str, text: str, file: Path) -> None:
    """Replace the text between two markers in a document.

    Raises:
        ValueError: The document lacks one of the markers.
    """
    before, found_begin, rest = file.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found_begin or not found_end:
        raise ValueError(f"{file} lacks {begin} or {end}")
    file.write_text(f"{before}{begin}\n\n{text}\n{end}{after}")


def render_markdown(results: BenchmarkResults) -> str:
    """Render all tables. A figure from several rounds is shown as minimum / median / maximum."""
    return "\n".join(line for part in _parts(results) for line in [*part, ""])


def _parts(results: BenchmarkResults) -> Iterator[Iterable[str]]:
    place = results.place
    versions = ", ".join(f"{name} {number}" for name, number in place.versions.items())
    yield [
        f"Measured {place.at:%Y-%m-%d} on {place.cores} cores ({place.system}, {place.memory_gib:g} GiB), Python "
        f"{place.python}, {versions}. Figures from several rounds are given as minimum / median / maximum."
    ]
    yield from _section("Targets", ("target", "limit", "measured", "met"), _marks(results))
    if results.one is not None:
        yield from _section(
            "One environment, on the local AWS",
            ("", "seconds", "relative to the parallel floor"),
            _one_environment(results),
        )
    if results.many:
        costs = ("CPU ms each", "client", "worker", "Temporal", "MiB worker")
        heads = ("at a time", "", "per second", "relative to the floor", *costs)
        yield from _section("Many environments, on the stand-in", heads, _many(results))
    if results.waiting:
        calls = ("DescribeDBClusters/s", "DescribeDBInstances/s")
        memory = ("worker MiB", "above idle", "Temporal MiB")
        wait_heads = (
            "waiting",
            *memory,
            "worker CPU",
            "Temporal CPU",
            "hold a slot",
            *calls,
            "seconds until all are waiting",
        )
        yield from _section("Environments waiting for Aurora, one worker", wait_heads, _waiting(results))
    if results.interruptions is not None:
        yield from _section("Interruptions", ("", "seconds"), _interruptions(results))
    if results.costs:
        history = ("activities", "history events", "history KiB", "billable actions")
        yield from _section("What an environment costs", ("buckets", "AWS calls", *history, "seconds"), _costs(results))


def _section(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[list[str]]:
    lines = [heads, ["---"] * len(heads), *rows]
    yield [f"### {title}", "", *(f"| {' | '.join(line)} |" for line in lines)]


def _interruptions(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    found = results.interruptions
    assert found is not None
    yield "from AWS denying a write until the status is STOPPED", str(Spread.of(found.refusals))
    yield (
        "from killing the worker (kill -9) during a call until another worker makes a call",
        str(Spread.of(found.crashes)),
    )


def _marks(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    for mark in evaluate_targets(results):
        yield mark.what, mark.limit, mark.shown, "yes" if mark.reached else "**no**"


def _one_environment(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    one = results.one
    assert one is not None
    for name, seconds in (
        ("bare boto3, sequential", one.floor),
        ("bare boto3, two branches (the parallel floor)", one.parallel_floor),
        ("byok, warm: from the request to the result", one.warm),
        ("bare boto3 from a cold shell", one.floor_cold),
        ("`byok create --wait` from a cold shell", one.cold),
    ):
        yield name, str(Spread.of(seconds)), str(compute_ratio_spread(seconds, one.parallel_floor))
    for name, cpu in (("the client", one.client_cpu), ("the worker", one.worker_cpu), ("Temporal", one.temporal_cpu)):
        yield (
            f"CPU of {name}, relative to the floor's",
            str(Spread.of(cpu)),
            str(compute_ratio_spread(cpu, one.floor_cpu)),
        )


def _many(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    for concurrency in sorted({turn.concurrency for turn in results.many}):
        floor = results.find_throughput("floor", concurrency)
        for kind in VARIANTS:
            turns = results.find_throughput(kind.name, concurrency)
            if not turns:
                continue

            def spread(figure: Callable[[Throughput], float], turns: list[Throughput] = turns) -> str:
                return str(Spread.of([figure(turn) for turn in turns]))

            yield (
                f"{concurrency}",
                f"{kind.name} ({turns[0].environments:,} environments)",
                spread(lambda turn: turn.per_second),
                str(compute_ratio_spread([turn.per_second for turn in turns], [turn.per_second for turn in floor])),
                spread(lambda turn: 1000 * turn.total_cpu_seconds),
                spread(lambda turn: 1000 * turn.client_cpu),
                spread(lambda turn: 1000 * turn.worker_cpu),
                spread(lambda turn: 1000 * turn.temporal_cpu),
                spread(lambda turn: turn.worker_memory),
            )


def _waiting(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    for one in results.waiting:
        yield (
            f"{one.environments:,}",
            format_figure(one.memory),
            format_figure(one.memory - one.idle_memory),
            format_figure(one.temporal_memory),
            f"{one.worker_cpu:.1f} %",
            f"{one.temporal_cpu:.1f} %",
            f"{one.attempts_running} of {one.looked_at}",
            format_figure(one.cluster_calls),
            format_figure(one.instance_calls),
            format_figure(one.start_seconds),
        )


def _costs(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    for cost in results.costs:
        numbers = (
            cost.buckets,
            cost.calls,
            cost.activities,
            cost.events,
            round(cost.history_bytes / 1024),
            cost.actions,
        )
        yield (*map(str, numbers), format_figure(cost.seconds))
