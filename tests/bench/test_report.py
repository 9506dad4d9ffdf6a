"""The report of a benchmark run: its targets, its tables, and the document that contains them."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.figures import Spread
from bench.measures.costs import EnvironmentCost
from bench.measures.health import HealthFigures
from bench.measures.interruptions import InterruptionSeconds
from bench.measures.one_environment import OneEnvironmentSeconds
from bench.measures.sweeps import SweepUsage
from bench.measures.throughput import Throughput
from bench.measures.timers import TimersUsage
from bench.measures.waiting import WaitingUsage
from bench.report import (
    BEGIN_MARKER,
    END_MARKER,
    HEALTH_BEGIN_MARKER,
    HEALTH_END_MARKER,
    render_health_markdown,
    render_markdown,
    write_health_tables,
    write_tables,
)
from bench.results import BenchmarkResults, MachineInfo
from bench.targets import evaluate_health_targets, evaluate_targets, target_at_least, target_at_most

PLACE = MachineInfo(
    at=datetime(2026, 11, 25, tzinfo=UTC), cores=2, memory_gib=8, system="Linux x86_64", python="3.11", versions={}
)


def make_throughput(kind: str, per_second: float, cpu: float) -> Throughput:
    return Throughput(
        kind=kind, environments=200, concurrency=50, per_second=per_second, client_cpu=cpu, worker_cpu=cpu, calls=40
    )


def make_cost(buckets: int, calls: int, events: int) -> EnvironmentCost:
    return EnvironmentCost(
        buckets=buckets, looks=4, seconds=1, events=events, history_bytes=1, activities=7, actions=16, calls=calls
    )


RESULTS = BenchmarkResults(
    place=PLACE,
    one=OneEnvironmentSeconds(
        floor=[0.1], parallel_floor=[0.1], warm=[0.16], cold=[0.9], floor_cold=[0.5],
        floor_cpu=[0.04], client_cpu=[0.01], worker_cpu=[0.06], temporal_cpu=[0.05],
    ),
    many=[
        make_throughput("byok", 12, 0.06),
        make_throughput("plain Temporal", 6, 0.2),
        make_throughput("floor", 24, 0.02),
    ],
    waiting=[
        WaitingUsage(
            environments=1000, start_seconds=50, idle_memory=140, memory=190, temporal_memory=300, worker_cpu=3,
            temporal_cpu=6, attempts_running=0, looked_at=50, cluster_calls=1.7, instance_calls=0, seconds=60,
        )
    ],
    interruptions=InterruptionSeconds(refusals=[0.1, 0.2, 0.3], crashes=[8.5]),
    costs=[make_cost(2, 40, 60), make_cost(5, 73, 78)],
)  # fmt: skip


def make_sweep(environments: int, **changes: float) -> SweepUsage:
    figures = {
        "interval": 240, "seed_seconds": 300, "settle_seconds": 60, "idle_memory": 130, "idle_worker_cpu": 0.5,
        "idle_temporal_cpu": 2, "seconds": 240, "sweep_seconds": 200, "proved": environments, "changed": 0,
        "memory": 200, "temporal_memory": 500, "worker_cpu": 36, "temporal_cpu": 12, "s3_calls": 20_000,
        "s3_calls_in_a_second": 150, "rds_calls": 600, "events": 130, "actions": 21, "heartbeats": 60,
    }  # fmt: skip
    return SweepUsage.model_validate({"environments": environments, **figures, **changes})


HEALTH = HealthFigures(
    sweeps=[make_sweep(10_000), make_sweep(1000, worker_cpu=2, temporal_cpu=1, rds_calls=80)],
    timers=TimersUsage(
        environments=1000, seconds=240, start_seconds=20, checked=1000, memory=150, temporal_memory=300, worker_cpu=10,
        temporal_cpu=20, rds_calls=1000,
    ),
    lost_keys=[3, 12],
    events=[0.2, 2.5],
    first_pages=[8.0],
    whole_lists=[9.0],
)  # fmt: skip


def test_report_shows_which_targets_were_reached() -> None:
    found = {mark.what: (mark.shown, mark.reached) for mark in evaluate_targets(RESULTS)}
    assert found["one environment, warm, relative to the bare script with two branches"] == (
        "1.60 / 1.60 / 1.60",
        False,
    )
    assert found["environments per second, 50 at a time, relative to the bare script"] == (
        "0.500 / 0.500 / 0.500",
        False,
    )
    assert found["CPU of worker, client and Temporal, relative to plain Temporal"][1] is True
    assert found["1,000 environments waiting: worker's memory above idle"] == ("50.0 MiB", True)
    assert found["AWS calls per additional bucket"] == ("11.0", True)
    assert found["seconds from an AWS error to STOPPED"] == ("0.100 / 0.200 / 0.300", True)
    assert found["seconds from kill -9 until another worker makes a call"] == ("8.50 / 8.50 / 8.50", True)
    assert len(found) == 17


def test_report_shows_which_targets_of_health_checks_were_reached() -> None:
    found = {mark.what: (mark.shown, mark.reached) for mark in evaluate_health_targets(HEALTH)}
    assert found["10,000 environments: duration of a sweep"] == ("200 s", True)
    assert found["10,000 environments: worker's CPU"] == ("15.0 % of a core", True)
    assert found["10,000 environments: RDS calls per second"] == ("2.50", True)
    assert found["10,000 environments: billable actions in the histories of a month's sweeps"] == (
        "0.227 million",
        True,
    )
    assert found["10,000 environments: seconds to list the first 50"] == ("8.00 / 8.00 / 8.00", False)
    ratio = "1,000 environments: CPU of worker and Temporal, relative to a workflow and a timer for each environment"
    assert found[ratio] == ("0.100", False)
    assert found["seconds from disabling a key to KEY_LOST, with a sweep every 10 s (slowest case)"] == ("12.0", True)
    assert found["seconds from the AWS event of a disabled key to KEY_LOST (slowest case)"] == ("2.50", False)
    assert len(found) == 12


def test_unproved_environments_miss_the_target() -> None:
    missed = make_sweep(10_000, proved=9_999, sweep_seconds=260)
    marks = evaluate_health_targets(HealthFigures(sweeps=[missed], first_pages=[1], whole_lists=[1]))
    assert {mark.what for mark in marks if not mark.reached} >= {
        "10,000 environments: duration of a sweep",
        "10,000 environments: environments whose keys the sweep did not prove",
    }


def test_report_of_health_checks_has_every_figure() -> None:
    text = render_health_markdown(PLACE, HEALTH)
    assert (
        "| 10,000 | 240 | 200 | 10,000 | 200 | 70.0 | 500 | 15.0 % | 0.5 % | 5.0 % | 2.0 % | 20,000 | 150 | 2.50 |"
        in text
    )
    assert "| 10,000 | 130 | 21 | 60 | 0.227 | 0.896 |" in text
    assert "| a sweep | 1,000 | 1,000 | 2.00 | 1.00 | 200 | 500 | 80 |" in text
    assert "| workflows with timers | 1,000 | 1,000 | 10.0 | 20.0 | 150 | 300 | 1,000 |" in text
    assert "| from the AWS event of a disabled key until the status is KEY_LOST | 0.200 / 1.35 / 2.50 |" in text
    assert "| all 10,000 environments | 9.00 / 9.00 / 9.00 |" in text


def test_small_load_has_tables_and_no_targets() -> None:
    text = render_health_markdown(PLACE, HealthFigures(sweeps=[make_sweep(200)]))
    assert "### One sweep, one worker" in text
    assert "| **no** |" not in text


def test_health_tables_leave_the_other_tables_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    file.write_text(f"{BEGIN_MARKER}\nkept\n{END_MARKER}\n{HEALTH_BEGIN_MARKER}\nearlier\n{HEALTH_END_MARKER}\nafter\n")
    write_health_tables(PLACE, HEALTH, file)
    text = file.read_text()
    assert text.startswith(f"{BEGIN_MARKER}\nkept\n{END_MARKER}\n{HEALTH_BEGIN_MARKER}\n\nMeasured 2026-11-25")
    assert text.endswith(f"{HEALTH_END_MARKER}\nafter\n")
    assert "earlier" not in text


def test_target_is_compared_with_the_median() -> None:
    assert target_at_most("", 2, Spread(1, 2, 9)).reached
    assert not target_at_most("", 2, Spread(1, 2.1, 3)).reached
    assert target_at_least("", 2, Spread(1, 2, 9)).reached
    assert not target_at_least("", 2, Spread(1, 1.9, 9)).reached


def test_skipped_benchmark_has_no_table() -> None:
    text = render_markdown(BenchmarkResults(place=PLACE, costs=RESULTS.costs))
    assert "### What an environment costs" in text
    assert "### Many environments" not in text
    assert "| AWS calls per additional bucket |" in text


def test_tables_replace_only_the_text_between_the_markers(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    file.write_text(f"# Before\n\n{BEGIN_MARKER}\nearlier\n{END_MARKER}\n\nafter\n")
    write_tables(RESULTS, file)
    write_tables(RESULTS, file)
    text = file.read_text()
    assert text.startswith(f"# Before\n\n{BEGIN_MARKER}\n\nMeasured 2026-11-25 on 2 cores")
    assert text.endswith(f"{END_MARKER}\n\nafter\n")
    assert (text.count("### Targets"), "earlier" in text) == (1, False)


def test_document_without_markers_is_left_unchanged(tmp_path: Path) -> None:
    file = tmp_path / "other.md"
    file.write_text("# Other\n")
    with pytest.raises(ValueError, match="lacks"):
        write_tables(RESULTS, file)
    assert file.read_text() == "# Other\n"
