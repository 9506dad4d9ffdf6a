"""The comparison of two commits.

The comparison uses only rounds that measured both commits.

The result contains ratios of medians, and a verdict for every target.
"""

from bench.compare_commits import CI, DEMO, HELP, Measurement, render_markdown

NOW, BASE = "a" * 40, "b" * 40


def make_measurement(part: str, commit: str, number: int, seconds: float, cpu_seconds: float = 1.0) -> Measurement:
    return Measurement(part, commit, number, seconds, cpu_seconds, "2026-11-28", "2 cores")


def render_and_parse_rows(*figures: Measurement) -> dict[str, list[str]]:
    lines = [line for line in render_markdown(figures, BASE, NOW).splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: rest for name, *rest in cells}


def test_ratio_uses_medians_and_is_compared_with_its_limit() -> None:
    figures = [make_measurement(HELP, NOW, number, seconds) for number, seconds in enumerate((0.1, 0.2, 0.9), 1)]
    figures += [make_measurement(HELP, BASE, number, 0.4) for number in (1, 2, 3)]
    assert render_and_parse_rows(*figures)[HELP] == [
        *("≤ 0.6", "0.50 (0.250 / 0.500 / 2.25)", "0.100 / 0.200 / 0.900", "0.400 / 0.400 / 0.400", "3", "yes")
    ]


def test_round_measured_for_one_commit_is_ignored() -> None:
    figures = [
        make_measurement(DEMO, NOW, 1, 10),
        make_measurement(DEMO, NOW, 2, 1000),
        make_measurement(DEMO, BASE, 1, 20),
        make_measurement(HELP, NOW, 1, 1),
    ]
    assert {name: (cells[-2], cells[-1]) for name, cells in render_and_parse_rows(*figures).items()} == {
        DEMO: ("1", "**no**")
    }


def test_ci_is_also_judged_by_cpu_seconds() -> None:
    found = render_and_parse_rows(make_measurement(CI, NOW, 1, 50, 80), make_measurement(CI, BASE, 1, 100, 100))
    assert [(name, cells[0], cells[-1]) for name, cells in found.items()] == [
        (CI, "≤ 0.6", "yes"),
        (f"{CI}, CPU", "≤ 0.7", "**no**"),
    ]
