"""The JSON in the documents is valid, and a test runs the commands of every page, except the pages in `NOT_RUN`."""

import json
import re
from typing import Final

import pytest

from tests.programs import ROOT

PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
RUN_BY_TESTS: Final = {
    "README.md": "tests/e2e/test_documents.py",
    "docs/api.md": "tests/e2e/test_web_api.py",
    "docs/audit.md": "tests/e2e/test_web_audit.py",
    "docs/health.md": "tests/e2e/test_web_health.py",
    "docs/lifecycle.md": "tests/e2e/test_documents.py",
    "docs/onboarding.md": "tests/e2e/test_documents.py",
    "docs/tutorial.md": "tests/e2e/test_documents.py",
}
"""For each page with commands, the test that runs the commands."""

NOT_RUN: Final = {
    "docs/aws-events.md": "the local AWS emulator has no EventBridge; tests/deploy checks the two templates",
    "docs/sign-in.md": "the commands only set variables, to the reader's own values",
}
"""For each page whose commands no test runs, the reason."""


def list_blocks(language: str) -> list[tuple[str, str]]:
    """Return the page and the content of every code block in a language."""
    return [
        (page.relative_to(ROOT).as_posix(), block)
        for page in PAGES
        for block in re.findall(rf"^ *```{language}\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL)
    ]


@pytest.mark.parametrize(("page", "block"), list_blocks("json"))
def test_json_is_valid(page: str, block: str) -> None:
    json.loads(block)


def test_every_page_with_commands_is_run_by_a_test() -> None:
    assert {page for page, _ in list_blocks("sh")} == {*RUN_BY_TESTS, *NOT_RUN}
    for page, test in RUN_BY_TESTS.items():
        assert page.rpartition("/")[2] in (ROOT / test).read_text()


def test_figures_of_the_comparison_are_those_of_the_readme() -> None:
    speed = (ROOT / "docs/comparison.md").read_text().partition("## Speed")[2].partition("\n## ")[0]
    figures = re.findall(r"\d+(?:\.\d+)? (?:ms|s|MiB)|\d+\.\d+", speed)
    assert len(figures) > 6
    assert [figure for figure in figures if figure not in (ROOT / "README.md").read_text()] == []
