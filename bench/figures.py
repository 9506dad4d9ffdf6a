"""Statistics over several rounds: the minimum, median and maximum of each figure, and ratios within a round.

Benchmarks run on shared, noisy machines, so the ratio of two figures from the same round is more reliable than the
figures themselves.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spread:
    """The minimum, median and maximum of one or more figures."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Self:
        """Compute the spread of one or more figures."""
        return cls(min(figures), statistics.median(figures), max(figures))

    def __str__(self) -> str:
        return " / ".join(format_figure(figure) for figure in (self.least, self.median, self.most))


def compute_ratio_spread(figures: Sequence[float], of: Sequence[float]) -> Spread:
    """Divide each round's value in `figures` by its value in `of`, and return the spread of these ratios."""
    return Spread.of([one / other for one, other in zip(figures, of, strict=True)])


def percentile(figures: Sequence[float], percent: float) -> float:
    """Return the percentile by the nearest-rank method: the result is one of the figures and is never interpolated."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def format_figure(figure: float) -> str:
    """Format a figure to three significant digits, with at most three decimal places.

    Digits before the decimal point are never rounded.
    """
    if figure == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(figure))))
    return f"{figure:,.{min(digits, 3)}f}"
