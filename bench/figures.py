"""Figures of a measurement: least, median and most of several rounds, and their ratio to something in the same rounds.

The machines that measure are shared and noisy: a ratio taken round by round says more than two figures taken apart.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spread:
    """Least, median and most of some figures."""

    least: float
    median: float
    most: float

    @classmethod
    def of(cls, figures: Sequence[float]) -> Self:
        """The spread of at least one figure."""
        return cls(min(figures), statistics.median(figures), max(figures))

    def __str__(self) -> str:
        return " / ".join(format_figure(figure) for figure in (self.least, self.median, self.most))


def compute_ratio_spread(figures: Sequence[float], of: Sequence[float]) -> Spread:
    """What figures are to others of the same rounds."""
    return Spread.of([one / other for one, other in zip(figures, of, strict=True)])


def percentile(figures: Sequence[float], percent: float) -> float:
    """The figure that so many per cent of them do not exceed (nearest rank)."""
    ordered = sorted(figures)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def format_figure(figure: float) -> str:
    """A figure with as many digits as mean something."""
    if figure == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(figure))))
    return f"{figure:,.{min(digits, 3)}f}"
