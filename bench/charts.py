"""`python -m bench.charts RESULTS FOLDER`: draw two charts of a benchmark run.

The program runs in the virtual environment `.tools/bench`, which has matplotlib but neither Temporal nor boto3.
Therefore, this module imports nothing from the project, and reads the raw figures from the file RESULTS.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_COLOURS = {
    "byok": "#0b57c2",
    "byok, on any core": "#7fb0ee",
    "plain Temporal": "#b3541e",
    "plain Temporal, clients made once": "#d9a441",
    "floor": "#5b6470",
    "floor, two branches": "#9aa3ad",
    "floor, on one core": "#c3c9d0",
}


def draw_latency(results: dict[str, Any], file: Path) -> None:
    """Plot how long the creation of one environment takes, and how long byok takes to report a stop.

    The chart compares byok with a bare boto3 script, which is labelled "floor".
    """
    one, interruptions = results["one"], results["interruptions"]
    bars = {
        "floor, sequential": one["floor"],
        "floor, two branches": one["parallel_floor"],
        "byok, warm": one["warm"],
        "floor, cold shell": one["floor_cold"],
        "byok create --wait, cold shell": one["cold"],
        "AWS error → STOPPED": interruptions["refusals"],
    }
    figure, axes = plt.subplots(figsize=(8, 3.2), layout="constrained")
    for number, (name, seconds) in enumerate(reversed(bars.items())):
        middle = statistics.median(seconds)
        axes.barh(number, middle, color=_COLOURS["byok"] if "byok" in name or "→" in name else _COLOURS["floor"])
        axes.plot([min(seconds), max(seconds)], [number, number], color="black", linewidth=1.2)
        axes.annotate(f"  {middle:.2f} s", (max(seconds), number), va="center")
    axes.set_yticks(range(len(bars)), list(reversed(bars)))
    axes.set_xlabel("seconds (median; the line shows minimum to maximum)")
    axes.margins(x=0.12)
    _plain(axes)
    figure.savefig(file, metadata={"Date": None})


def draw_throughput(results: dict[str, Any], file: Path) -> None:
    """Plot throughput against concurrency, and worker memory and CPU against the number of waiting environments."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for kind, colour in _COLOURS.items():
        turns = [turn for turn in results["many"] if turn["kind"] == kind]
        found = sorted({turn["concurrency"] for turn in turns})
        middle = [
            statistics.median([turn["per_second"] for turn in turns if turn["concurrency"] == concurrency])
            for concurrency in found
        ]
        left.plot(found, middle, marker="o", color=colour, label=kind)
    left.set_xscale("log")
    left.set_xticks([10, 50, 200], ["10", "50", "200"])
    left.minorticks_off()
    left.set_ylim(0, 1.5 * left.get_ylim()[1])
    left.set_xlabel("environments at a time")
    left.set_ylabel("environments per second")
    left.legend(fontsize=7, frameon=False, loc="upper right")
    waiting = results["waiting"]
    numbers = [one["environments"] for one in waiting]
    right.plot(numbers, [one["memory"] - one["idle_memory"] for one in waiting], marker="o", color=_COLOURS["byok"])
    right.set_xlabel("environments waiting for Aurora")
    right.set_ylabel("worker memory above idle, MiB", color=_COLOURS["byok"])
    right.set_ylim(bottom=0)
    other = right.twinx()
    other.plot(numbers, [one["worker_cpu"] for one in waiting], marker="s", color=_COLOURS["plain Temporal"])
    other.set_ylabel("worker CPU, % of a core", color=_COLOURS["plain Temporal"])
    other.set_ylim(bottom=0)
    for axes in (left, right):
        _plain(axes)
    figure.savefig(file, metadata={"Date": None})


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw both charts."""
    # With a fixed salt, the same figures always produce an identical file.
    mpl.rcParams["svg.hashsalt"] = "byok"
    # Matplotlib converts text to paths unless the font type is `none`.
    mpl.rcParams["svg.fonttype"] = "none"
    results, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    draw_latency(results, folder / "benchmarks-latency.svg")
    draw_throughput(results, folder / "benchmarks-scale.svg")


if __name__ == "__main__":
    main()
