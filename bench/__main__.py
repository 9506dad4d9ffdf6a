"""`python -m bench`, or `make bench`: run every benchmark and write the results to docs/benchmarks.md.

A run takes an hour on two cores, including 25 minutes for the part `health`. `--only` selects parts. `--quick` takes
five minutes, and only checks that the benchmarks work. The raw figures are saved in .bench/results.json after every
part, so that an interrupted run loses only the part in progress.
"""

import argparse
import asyncio
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.machine import ROOT
from bench.measures import costs, health, interruptions, one_environment, throughput, waiting
from bench.report import render_health_markdown, render_markdown, write_health_tables, write_tables
from bench.results import BenchmarkResults, MachineInfo

MEASUREMENT_NAMES: Final = ("one", "many", "waiting", "interruptions", "costs", "health")
RESULTS_PATH: Final = ROOT / ".bench" / "results.json"
DOCUMENT_PATH: Final = ROOT / "docs" / "benchmarks.md"


async def measure(parts: list[str], *, quick: bool) -> BenchmarkResults:
    """Run the selected parts in order."""
    results = BenchmarkResults(place=MachineInfo.of_this_machine())
    with tempfile.TemporaryDirectory(prefix="byok-bench-") as folder:
        path = Path(folder)
        for part in parts:
            print(f"{datetime.now(UTC):%H:%M:%S} measuring: {part} …", file=sys.stderr, flush=True)
            if part == "one":
                results.one = await one_environment.measure(path, rounds=1 if quick else 15)
            elif part == "many":
                sizes = [(10, 5)] if quick else [(50, 10), (200, 50), (1000, 200)]
                results.many = await throughput.measure(path, sizes, rounds=1 if quick else 3)
            elif part == "waiting":
                numbers = [20] if quick else [100, 1000, 5000]
                results.waiting = await waiting.measure(path, numbers, seconds=5 if quick else 65)
            elif part == "interruptions":
                results.interruptions = await interruptions.measure(path, rounds=1 if quick else 5)
            elif part == "health":
                results.health = await health.measure(path, health.QUICK_SIZES if quick else health.HealthSizes())
            else:
                results.costs = await costs.measure(path, (1, 2) if quick else (1, 2, 5, 20))
            RESULTS_PATH.parent.mkdir(exist_ok=True)
            RESULTS_PATH.write_text(results.model_dump_json(indent=1))
    return results


def main() -> int:
    """Measure and write the results.

    Returns:
        Always 0. A missed target is marked in the table, but does not make the run fail.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=MEASUREMENT_NAMES,
        default=list(MEASUREMENT_NAMES),
        help="run only these parts",
    )
    parser.add_argument("--quick", action="store_true", help="measure small loads, whose results are meaningless")
    chosen = parser.parse_args()
    results = asyncio.run(measure(chosen.only, quick=chosen.quick))
    if chosen.only != ["health"]:
        print(render_markdown(results))
    if results.health is not None:
        print(render_health_markdown(results.place, results.health))
    if not chosen.quick and results.health is not None:
        write_health_tables(results.place, results.health, DOCUMENT_PATH)
    if not chosen.quick and set(chosen.only) | {"health"} == set(MEASUREMENT_NAMES):
        write_tables(results, DOCUMENT_PATH)
    return 0


if __name__ == "__main__":
    sys.exit(main())
