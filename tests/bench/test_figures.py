"""Statistics of measurements, and the formatting of figures."""

import pytest

from bench.figures import Spread, compute_ratio_spread, format_figure, percentile


def test_spread_has_minimum_median_and_maximum() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)
    assert str(Spread.of([0.5, 12.345, 1234.5])) == "0.500 / 12.3 / 1,234"


def test_ratios_are_computed_per_round() -> None:
    assert compute_ratio_spread([2.0, 9.0], of=[1.0, 3.0]) == Spread(2.0, 2.5, 3.0)
    with pytest.raises(ValueError, match="zip"):
        compute_ratio_spread([1.0], of=[1.0, 2.0])


@pytest.mark.parametrize(("percent", "figure"), [(50, 2), (95, 4), (100, 4), (1, 1)])
def test_percentile_is_a_measured_value(percent: float, figure: float) -> None:
    assert percentile([4, 2, 1, 3], percent) == figure


@pytest.mark.parametrize(
    ("figure", "text"), [(0, "0"), (0.01234, "0.012"), (1.2345, "1.23"), (99.96, "100.0"), (1234.5, "1,234")]
)
def test_figures_show_only_significant_digits(figure: float, text: str) -> None:
    assert format_figure(figure) == text
