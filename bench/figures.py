"""Figures of a measurement: minimum, median and maximum of several rounds, and ratios within the same rounds.

Benchmarks run on shared, noisy machines, so a ratio within one round says more than two independent figures.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spread:
    """Minimum, median and maximum of some figures."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Self:
        """Compute the spread of at least one figure."""
        return cls(min(figures), statistics.median(figures), max(figures))

    def __str__(self) -> str:
        return " / ".join(format_figure(figure) for figure in (self.least, self.median, self.most))


def compute_ratio_spread(figures: Sequence[float], of: Sequence[float]) -> Spread:
    """Compute the ratio of the figures of each round."""
    return Spread.of([one / other for one, other in zip(figures, of, strict=True)])


def percentile(figures: Sequence[float], percent: float) -> float:
    """Return the smallest figure that at least `percent` per cent of the figures do not exceed (nearest rank)."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def format_figure(figure: float) -> str:
    """Format a figure with its significant digits."""
    if figure == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(figure))))
    return f"{figure:,.{min(digits, 3)}f}"
