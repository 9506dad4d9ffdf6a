"""Writes the results into docs/benchmarks.md, between markers. The text outside the markers stays unchanged.

The results of the health checks have their own markers, so that `health` can run without the other parts.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.figures import Spread, compute_ratio_spread, format_figure
from bench.measures.health import HealthFigures
from bench.measures.lost_keys import LOST_KEY_INTERVAL
from bench.measures.sweeps import SweepUsage
from bench.measures.throughput import VARIANTS, Throughput
from bench.measures.timers import TimersUsage
from bench.results import BenchmarkResults, MachineInfo
from bench.targets import Target, evaluate_health_targets, evaluate_targets

BEGIN_MARKER: Final = "<!-- measured: begin -->"
END_MARKER: Final = "<!-- measured: end -->"
HEALTH_BEGIN_MARKER: Final = "<!-- health: begin -->"
HEALTH_END_MARKER: Final = "<!-- health: end -->"

_TARGET_HEADS: Final = ("target", "limit", "measured", "met")


def write_tables(results: BenchmarkResults, file: Path) -> None:
    """Write the tables into a document.

    Raises:
        ValueError: The document lacks one of the markers.
    """
    replace_between_markers(BEGIN_MARKER, END_MARKER, render_markdown(results), file)


def write_health_tables(place: MachineInfo, found: HealthFigures, file: Path) -> None:
    """Write the tables of the health checks into a document.

    Raises:
        ValueError: The document lacks one of the markers.
    """
    replace_between_markers(HEALTH_BEGIN_MARKER, HEALTH_END_MARKER, render_health_markdown(place, found), file)


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
    """Render all tables except the tables of the health checks.

    A figure from several rounds is shown as minimum / median / maximum.
    """
    return "\n".join(line for part in _parts(results) for line in [*part, ""])


def render_health_markdown(place: MachineInfo, found: HealthFigures) -> str:
    """Render the tables of the health checks."""
    return "\n".join(line for part in _health_parts(place, found) for line in [*part, ""])


def _describe_place(place: MachineInfo) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in place.versions.items())
    return (
        f"Measured {place.at:%Y-%m-%d} on {place.cores} cores ({place.system}, {place.memory_gib:g} GiB), Python "
        f"{place.python}, {versions}. Figures from several rounds are given as minimum / median / maximum."
    )


def _parts(results: BenchmarkResults) -> Iterator[Iterable[str]]:
    yield [_describe_place(results.place)]
    yield from _section("Targets", _TARGET_HEADS, _marks(evaluate_targets(results)))
    if results.one is not None:
        yield from _section(
            "One environment, on the local AWS emulator",
            ("", "seconds", "relative to the bare script with two branches"),
            _one_environment(results),
        )
    if results.many:
        costs = ("CPU ms each", "client", "worker", "Temporal", "MiB worker")
        heads = ("at a time", "", "per second", "relative to the bare script", *costs)
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


def _health_parts(place: MachineInfo, found: HealthFigures) -> Iterator[Iterable[str]]:
    yield [_describe_place(place)]
    yield from _section("Targets for health checks", _TARGET_HEADS, _marks(evaluate_health_targets(found)))
    cpu, calls = (
        ("worker CPU", "idle", "Temporal CPU", "idle"),
        ("S3 calls", "most S3 calls in a second", "RDS calls/s"),
    )
    memory = ("worker MiB", "above idle", "Temporal MiB")
    sweep_heads = ("environments", "interval s", "sweep s", "proved", *memory, *cpu, *calls)
    yield from _section("One sweep, one worker", sweep_heads, _sweeps(found))
    actions = ("actions", "heartbeats", "million actions a month", "including heartbeats and schedule")
    yield from _section("What a sweep costs in Temporal", ("environments", "events", *actions), _sweep_costs(found))
    if found.timers is not None:
        cpu_heads = ("worker CPU s", "Temporal CPU s")
        heads = ("", "environments", "checked", *cpu_heads, "worker MiB", "Temporal MiB", "RDS calls")
        title = "One interval: a sweep, compared with a workflow and a timer for each environment"
        yield from _section(title, heads, _comparison(found))
    yield from _section("Lost keys and lists", ("", "seconds"), _health_seconds(found))


def _sweeps(found: HealthFigures) -> Iterator[Sequence[str]]:
    for one in found.sweeps:
        yield (
            f"{one.environments:,}",
            f"{one.interval:g}",
            format_figure(one.sweep_seconds),
            f"{one.proved:,}",
            format_figure(one.memory),
            format_figure(one.memory - one.idle_memory),
            format_figure(one.temporal_memory),
            f"{100 * one.worker_cpu / one.seconds:.1f} %",
            f"{one.idle_worker_cpu:.1f} %",
            f"{100 * one.temporal_cpu / one.seconds:.1f} %",
            f"{one.idle_temporal_cpu:.1f} %",
            f"{one.s3_calls:,}",
            f"{one.s3_calls_in_a_second:,}",
            format_figure(one.rds_calls / one.seconds),
        )


def _sweep_costs(found: HealthFigures) -> Iterator[Sequence[str]]:
    for one in found.sweeps:
        numbers = (f"{number:,}" for number in (one.environments, one.events, one.actions, one.heartbeats))
        yield (*numbers, format_figure(one.actions_a_month), format_figure(one.all_actions_a_month))


def _comparison(found: HealthFigures) -> Iterator[Sequence[str]]:
    timers = found.timers
    assert timers is not None
    rows: list[tuple[str, int, SweepUsage | TimersUsage]] = [("a sweep", one.proved, one) for one in found.sweeps]
    for name, checked, one in [*rows, ("workflows with timers", timers.checked, timers)]:
        if one.environments == timers.environments:
            figures = (one.worker_cpu, one.temporal_cpu, one.memory, one.temporal_memory)
            yield name, f"{one.environments:,}", f"{checked:,}", *map(format_figure, figures), f"{one.rds_calls:,}"


def _health_seconds(found: HealthFigures) -> Iterator[Sequence[str]]:
    if found.lost_keys:
        what = f"from disabling a key until the status is KEY_LOST, with a sweep every {LOST_KEY_INTERVAL:g} s"
        yield what, str(Spread.of(found.lost_keys))
    if found.events:
        yield "from the AWS event of a disabled key until the status is KEY_LOST", str(Spread.of(found.events))
    if found.first_pages and found.whole_lists:
        most = f"{max(one.environments for one in found.sweeps):,}"
        yield f"the first 50 of {most} environments", str(Spread.of(found.first_pages))
        yield f"all {most} environments", str(Spread.of(found.whole_lists))


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


def _marks(targets: Iterable[Target]) -> Iterator[Sequence[str]]:
    for mark in targets:
        yield mark.what, mark.limit, mark.shown, "yes" if mark.reached else "**no**"


def _one_environment(results: BenchmarkResults) -> Iterator[Sequence[str]]:
    one = results.one
    assert one is not None
    for name, seconds in (
        ("bare script, sequential", one.floor),
        ("bare script, two branches", one.parallel_floor),
        ("byok, warm: from the request to the result", one.warm),
        ("bare script from a cold shell", one.floor_cold),
        ("`byok create --wait` from a cold shell", one.cold),
    ):
        yield name, str(Spread.of(seconds)), str(compute_ratio_spread(seconds, one.parallel_floor))
    for name, cpu in (("the client", one.client_cpu), ("the worker", one.worker_cpu), ("Temporal", one.temporal_cpu)):
        yield (
            f"CPU of {name}, relative to the bare script",
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
