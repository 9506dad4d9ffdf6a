"""Compares the measured figures with the targets, and reports which targets were met."""

from collections.abc import Iterator
from dataclasses import dataclass

from bench.figures import Spread, compute_ratio_spread, format_figure
from bench.measures.health import HealthFigures
from bench.measures.lost_keys import LOST_KEY_INTERVAL
from bench.measures.sweeps import SweepUsage
from bench.results import BenchmarkResults

BEST_PEER = 7.4
"""The throughput of the fastest peer (Celery) in the last run of bench/peers, in environments per second.

The peer created ten environments at a time.
"""


@dataclass(frozen=True)
class Target:
    """A target and its result.

    Attributes:
        what: The description of the target.
        limit: The limit, as text.
        measured: The figure to compare with the limit. After several rounds, this is the median of their figures.
        shown: The measured figure as text, or its minimum, median and maximum.
        reached: Whether the figure meets the target.
    """

    what: str
    limit: str
    measured: float
    shown: str
    reached: bool


def target_at_most(what: str, limit: float, found: Spread | float, unit: str = "") -> Target:
    """Build a target with an upper limit."""
    middle = found.median if isinstance(found, Spread) else found
    shown = str(found) if isinstance(found, Spread) else format_figure(found)
    return Target(what, f"≤ {limit:g}{unit}", middle, f"{shown}{unit}", middle <= limit)


def target_at_least(what: str, limit: float, found: Spread) -> Target:
    """Build a target with a lower limit."""
    return Target(what, f"≥ {limit:g}", found.median, str(found), found.median >= limit)


def evaluate_targets(results: BenchmarkResults) -> Iterator[Target]:
    """Evaluate the targets, except targets without results."""
    yield from _one_environment(results)
    yield from _many_environments(results)
    yield from _waiting(results)
    if results.interruptions is not None:
        yield target_at_most("seconds from an AWS error to STOPPED", 1, Spread.of(results.interruptions.refusals))
        crashes = Spread.of(results.interruptions.crashes)
        yield target_at_most("seconds from kill -9 until another worker makes a call", 10, crashes)
    yield from _costs(results)


def _one_environment(results: BenchmarkResults) -> Iterator[Target]:
    one = results.one
    if one is None:
        return
    yield target_at_most(
        "one environment, warm, relative to the bare script with two branches",
        1.5,
        compute_ratio_spread(one.warm, one.parallel_floor),
    )
    more = [cold - warm for cold, warm in zip(one.cold, one.warm, strict=True)]
    yield target_at_most("`byok create --wait` from a cold shell, additional seconds", 2, Spread.of(more))


def _many_environments(results: BenchmarkResults) -> Iterator[Target]:
    ours, floor, on_one = (results.find_throughput(kind, 50) for kind in ("byok", "floor", "floor, on one core"))
    if not ours or not floor:
        return
    cpu = compute_ratio_spread([turn.worker_cpu for turn in ours], [turn.total_cpu_seconds for turn in floor])
    yield target_at_most("CPU of the worker, relative to the bare script", 2, cpu)
    for kind in ("plain Temporal", "plain Temporal, clients made once"):
        plain = results.find_throughput(kind, 50)
        if plain:
            yield target_at_most(
                f"CPU of worker, client and Temporal, relative to {kind}",
                0.75,
                compute_ratio_spread(
                    [turn.total_cpu_seconds for turn in ours], [turn.total_cpu_seconds for turn in plain]
                ),
            )
    for whose, turns in (("the bare script", floor), ("the bare script on one core", on_one)):
        if turns:
            rate = compute_ratio_spread([turn.per_second for turn in ours], [turn.per_second for turn in turns])
            yield target_at_least(f"environments per second, 50 at a time, relative to {whose}", 0.7, rate)
    yield target_at_least(
        "environments per second, 50 at a time, compared with the fastest peer",
        BEST_PEER,
        Spread.of([turn.per_second for turn in ours]),
    )


def _waiting(results: BenchmarkResults) -> Iterator[Target]:
    thousand = next((one for one in results.waiting if one.environments == 1000), None)
    if thousand is None:
        return
    yield target_at_most(
        "1,000 environments waiting: worker's memory above idle", 60, thousand.memory - thousand.idle_memory, " MiB"
    )
    held = 100 * thousand.attempts_running / thousand.looked_at
    what = "1,000 environments waiting: share of environments that hold a slot at any moment"
    yield target_at_most(what, 1, held, " %")
    yield target_at_most("1,000 environments waiting: worker's CPU", 5, thousand.worker_cpu, " % of a core")
    yield target_at_most("1,000 environments waiting: DescribeDBClusters per second", 2, thousand.cluster_calls)
    more = next((one for one in results.waiting if one.environments == 5000), None)
    if more is not None:
        growth = (more.memory - more.idle_memory) / max(1.0, thousand.memory - thousand.idle_memory)
        yield target_at_most("5,000 environments waiting: memory above idle, relative to 1,000", 5, growth)


def _costs(results: BenchmarkResults) -> Iterator[Target]:
    by_buckets = {cost.buckets: cost for cost in results.costs}
    two = by_buckets.get(2)
    if two is None:
        return
    # The limit is 45 calls and not 40, because a second probe (three calls) uses an S3 Bucket Key to prove that S3 may
    # decrypt (contract 126), and because byok also writes an index entry for each of the two claims.
    yield target_at_most("AWS calls, with two buckets and two polls per wait", 45, two.calls)
    yield target_at_most("history events, with two buckets and two polls per wait", 60, two.events)
    yield target_at_most("billable actions, with two buckets and two polls per wait", 16, two.actions)
    most = by_buckets[max(by_buckets)]
    if most is not two:
        further = most.buckets - two.buckets
        yield target_at_most("AWS calls per additional bucket", 11, (most.calls - two.calls) / further)
        yield target_at_most("history events per additional bucket", 6, (most.events - two.events) / further)


def evaluate_health_targets(found: HealthFigures) -> Iterator[Target]:
    """Evaluate the targets of the health checks, except targets without results."""
    sweeps = {one.environments: one for one in found.sweeps}
    most, thousand, timers = sweeps.get(10_000), sweeps.get(1000), found.timers
    if most is not None:
        yield from _sweep(most)
    if thousand is not None and timers is not None:
        yield target_at_most(
            "1,000 environments: CPU of worker and Temporal, relative to a workflow and a timer for each environment",
            0.05,
            (thousand.worker_cpu + thousand.temporal_cpu) / (timers.worker_cpu + timers.temporal_cpu),
        )
    if found.lost_keys:
        what = f"seconds from disabling a key to KEY_LOST, with a sweep every {LOST_KEY_INTERVAL:g} s (slowest case)"
        yield target_at_most(what, LOST_KEY_INTERVAL + 10, max(found.lost_keys))
    if found.events:
        yield target_at_most(
            "seconds from the AWS event of a disabled key to KEY_LOST (slowest case)", 2, max(found.events)
        )
    if most is not None:
        yield target_at_most("10,000 environments: seconds to list the first 50", 0.5, Spread.of(found.first_pages))
        yield target_at_most("10,000 environments: seconds to list all", 10, Spread.of(found.whole_lists))


def _sweep(most: SweepUsage) -> Iterator[Target]:
    many = f"{most.environments:,} environments"
    yield target_at_most(f"{many}: duration of a sweep", most.interval, most.sweep_seconds, " s")
    yield target_at_most(f"{many}: environments whose keys the sweep did not prove", 0, most.environments - most.proved)
    yield target_at_most(f"{many}: worker's memory above idle", 100, most.memory - most.idle_memory, " MiB")
    for who, cpu, limit in (("worker", most.worker_cpu, 20), ("Temporal", most.temporal_cpu, 10)):
        yield target_at_most(f"{many}: {who}'s CPU", limit, 100 * cpu / most.seconds, " % of a core")
    yield target_at_most(f"{many}: RDS calls per second", 3, most.rds_calls / most.seconds)
    what = f"{many}: billable actions in the histories of a month's sweeps"
    yield target_at_most(what, 0.25, most.actions_a_month, " million")
