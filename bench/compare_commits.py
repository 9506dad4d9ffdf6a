"""`python -m bench.compare_commits BASE`: compare how long setup, the demo, the CLI's help and the tests take.

Every round clones BASE and the commit given with `--now`, and measures one commit after the other. Every figure is
saved immediately in `.bench/compare.json`, so that a later run can add parts or rounds for the same two commits.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bench.figures import Spread, compute_ratio_spread
from bench.report import replace_between_markers

ROOT: Final = Path(__file__).resolve().parents[1]
DOCUMENT_PATH: Final = ROOT / "docs" / "benchmarks.md"
RESULTS_PATH: Final = ROOT / ".bench" / "compare.json"
BEGIN_MARKER: Final = "<!-- compare: begin -->"
END_MARKER: Final = "<!-- compare: end -->"
HELP_RUN_COUNT: Final = 11
UNLOCKED_DISTRIBUTIONS: Final = {"byok", "byok-environments", "pip", "setuptools"}
"""The comparison ignores these distributions: the project itself, and tools that are not part of every environment."""

MAX_RATIOS: Final = {
    "`make setup` and the first `byok --help`, nothing installed": (0.15, None),
    "`make demo`, nothing installed": (0.25, None),
    "`make demo`, installed": (0.6, None),
    "`byok --help`": (0.6, None),
    "`CI=true bash .ci/run`, installed": (0.6, 0.7),
}
"""The maximum wall time and CPU time of each part, as fractions of BASE's times. None means no maximum."""

SETUP, DEMO, DEMO_AGAIN, HELP, CI = MAX_RATIOS


@dataclass(frozen=True)
class Measurement:
    """The wall time and CPU time of one part, measured for one commit in one round.

    Attributes:
        seconds: Wall time.
        cpu_seconds: CPU time of all processes that the part started and waited for.
        machine: The number of cores, the system and the Python version.
    """

    part: str
    commit: str
    round: int
    seconds: float
    cpu_seconds: float
    at: str
    machine: str


class Checkout:
    """A clone of one commit, with its own caches, which start empty."""

    def __init__(self, commit: str, folder: Path) -> None:
        self.folder = folder / "clone"
        caches = folder / "caches"
        caches.mkdir(parents=True)
        # Without bytecode files, every process would compile all modules, and the figures would include that time.
        inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment = {
            **inherited,
            "PIP_CACHE_DIR": str(caches / "pip"),
            "UV_CACHE_DIR": str(caches / "uv"),
            "XDG_CACHE_HOME": str(caches),
        }
        subprocess.run(["git", "clone", "--quiet", "--no-checkout", ROOT, self.folder], check=True)
        subprocess.run(["git", "checkout", "--quiet", commit], cwd=self.folder, check=True)

    def time_command(self, command: str, **environment: str) -> tuple[float, float]:
        """Run a command line in the clone.

        Returns:
            The command's wall time and CPU time in seconds.

        Raises:
            RuntimeError: The command failed. The message contains the end of the command's output.
        """
        before, began = _cpu_of_children(), time.monotonic()
        ended = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        seconds, cpu = time.monotonic() - began, _cpu_of_children() - before
        if ended.returncode != 0:
            raise RuntimeError(f"{command} failed in {self.folder}:\n{ended.stdout[-3000:]}")
        return seconds, cpu

    def list_distributions(self) -> dict[str, str]:
        """Return the versions of the installed distributions, by name."""
        code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
        listed = subprocess.run(
            [self.folder / ".venv" / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
        )
        found: dict[str, str] = json.loads(listed.stdout)
        return {name: version for name, version in found.items() if name not in UNLOCKED_DISTRIBUTIONS}


def measure(commits: Sequence[str], rounds: Sequence[int], parts: Sequence[str]) -> Iterator[Measurement]:
    """Measure every part of both commits in every round. The order of the two commits alternates between rounds."""
    for number in rounds:
        for commit in commits if number % 2 else reversed(commits):
            folder = Path(tempfile.mkdtemp(prefix="byok-compare-"))
            try:
                for part, seconds, cpu in _measure_parts(commit, folder, parts):
                    now = f"{datetime.now(UTC):%Y-%m-%d}"
                    yield Measurement(part, commit, number, seconds, cpu, now, _machine())
            finally:
                shutil.rmtree(folder, ignore_errors=True)


def _measure_parts(commit: str, folder: Path, parts: Sequence[str]) -> Iterator[tuple[str, float, float]]:
    if DEMO in parts:
        fresh = Checkout(commit, folder / "demo")
        yield DEMO, *fresh.time_command("make demo")
        yield DEMO_AGAIN, *fresh.time_command("make demo")
    if {SETUP, HELP, CI} & set(parts):
        whole = Checkout(commit, folder / "setup")
        yield SETUP, *whole.time_command("make setup && .venv/bin/byok --help")
        _must_be_the_same(commit, whole.list_distributions())
        turns = [whole.time_command(".venv/bin/byok --help") for _ in range(HELP_RUN_COUNT)]
        yield HELP, statistics.median(wall for wall, _ in turns), statistics.median(cpu for _, cpu in turns)
        if CI in parts:
            whole.time_command(
                "make setup browser .tools/awscli/.installed .tools/oracle/.installed .tools/oidc/.installed"
            )
            yield CI, *whole.time_command("bash .ci/run", CI="true")


_installed: Final[dict[str, dict[str, str]]] = {}


def _must_be_the_same(commit: str, distributions: dict[str, str]) -> None:
    _installed[commit] = distributions
    for other, theirs in _installed.items():
        differing = set(theirs.items()) ^ set(distributions.items())
        if differing:
            raise RuntimeError(f"{commit} and {other} install different distributions: {sorted(differing)}")


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _machine() -> str:
    return f"{os.cpu_count()} cores ({platform.system()} {platform.machine()}), Python {platform.python_version()}"


def render_markdown(figures: Sequence[Measurement], base: str, now: str) -> str:
    """Render the table of targets."""
    heads = ("", "limit", "relative to the other commit", "seconds", "other commit's seconds", "rounds", "met")
    lines = [heads, ["---"] * len(heads)]
    for part, limits in MAX_RATIOS.items():
        ours, theirs = (_of(figures, part, commit) for commit in (now, base))
        common = sorted(ours.keys() & theirs.keys())
        for limit, what, take in zip(limits, ("", ", CPU"), _TAKES, strict=True):
            if limit is None or not common:
                continue
            one, other = ([take(side[number]) for number in common] for side in (ours, theirs))
            ratio = statistics.median(one) / statistics.median(other)
            shown = f"{ratio:.2f} ({compute_ratio_spread(one, other)})"
            reached = "yes" if ratio <= limit else "**no**"
            row = (f"{part}{what}", f"≤ {limit}", shown, str(Spread.of(one)), str(Spread.of(other)))
            lines.append([*row, str(len(common)), reached])
    places = sorted({f"{figure.at} on {figure.machine}" for figure in figures})
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return (
        f"Commit {now[:7]} relative to {base[:7]}, measured {'; '.join(places)}. Each ratio compares the medians of "
        "all rounds. The values in parentheses are the minimum, median and maximum of the ratios in the individual "
        f"rounds. Seconds are given as minimum / median / maximum.\n\n{table}"
    )


_TAKES: Final[tuple[Callable[[Measurement], float], ...]] = (
    lambda figure: figure.seconds,
    lambda figure: figure.cpu_seconds,
)


def _of(figures: Sequence[Measurement], part: str, commit: str) -> Mapping[int, Measurement]:
    return {one.round: one for one in figures if (one.part, one.commit) == (part, commit)}


def _full(commit: str) -> str:
    named = subprocess.run(["git", "rev-parse", commit], cwd=ROOT, capture_output=True, text=True, check=True)
    return str(named.stdout.strip())


def main() -> int:
    """Measure, save every figure, and write the table into docs/benchmarks.md.

    Returns:
        Always 0. A missed target is marked in the table, but does not make the run fail.
    """
    names = {"setup": SETUP, "demo": DEMO, "help": HELP, "ci": CI}
    parser = argparse.ArgumentParser(prog="python -m bench.compare_commits", description=__doc__)
    parser.add_argument("base", help="the commit to compare with")
    parser.add_argument("--now", default="HEAD", help="the commit to measure (default: HEAD)")
    parser.add_argument("--rounds", type=int, nargs="+", default=[1, 2, 3], help="the numbers of the rounds to measure")
    parser.add_argument("--only", nargs="+", choices=names, default=list(names), help="measure only these parts")
    chosen = parser.parse_args()
    commits = [_full(chosen.base), _full(chosen.now)]
    RESULTS_PATH.parent.mkdir(exist_ok=True)
    kept = [Measurement(**one) for one in json.loads(RESULTS_PATH.read_text())] if RESULTS_PATH.exists() else []
    figures = [one for one in kept if one.commit in commits]
    for figure in measure(commits, chosen.rounds, [names[name] for name in chosen.only]):
        sys.stderr.write(f"{figure}\n")
        same = (figure.part, figure.commit, figure.round)
        figures = [*(one for one in figures if (one.part, one.commit, one.round) != same), figure]
        RESULTS_PATH.write_text(json.dumps([asdict(one) for one in figures], indent=1))
    replace_between_markers(BEGIN_MARKER, END_MARKER, f"{render_markdown(figures, *commits)}\n", DOCUMENT_PATH)
    return 0


if __name__ == "__main__":
    sys.exit(main())
