"""docs/requirements.md links every statement to the tests that cite it, as `contract 43, 61-73` or `D9`.

Only the tests record which statements they verify. `BYOK_TEST_RECORD=1 pytest tests/unit/test_requirements.py` writes
the page's table from these citations.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.unit.test_project_structure import PRODUCT, ROOT, TESTS, relative_path

PAGE: Final = ROOT / "docs" / "requirements.md"
NUMBERS: Final = {*range(1, 149), 151, 154}
"""The statements that the page must contain."""

MOST_EXEMPTIONS: Final = 10
_TABLE_HEAD: Final = "| statement | tests |\n|---|---|\n"
_CITED: Final = re.compile(r"\bcontract ((?:\d+(?:-\d+)?(?:,\s*|\s+and\s+)?)+)")
_STATEMENT: Final = re.compile(r"^- \*\*(D?\d+)\*\* (.*?)(?=^- |^$)", re.MULTILINE | re.DOTALL)
_EXEMPTION: Final = re.compile(r"\*(AWS's own|document only)\*: .*\(.+\)", re.DOTALL)
_BEING_BUILT: Final = "(being built)"


def read_statements() -> dict[str, str]:
    """Return the text of each statement on the page, by its number."""
    return dict(_STATEMENT.findall(PAGE.read_text()))


def find_exemption(text: str) -> str | None:
    """Return the reason why a statement needs no test of its own; None if the statement needs a test.

    A valid exemption gives the reason and the source.
    """
    found = _EXEMPTION.search(text)
    return found[1] if found else None


def find_citations(text: str) -> set[str]:
    """Return the statements that a text cites."""
    spans = [span.split("-") for numbers in _CITED.findall(text) for span in re.findall(r"\d+(?:-\d+)?", numbers)]
    found = {str(number) for span in spans for number in range(int(span[0]), int(span[-1]) + 1)}
    return found | set(re.findall(r"\bD\d{1,2}\b", text))


def list_test_functions(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and the source of each test, with its decorators and the comment lines above them."""
    text = file.read_text()
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)]) - 1
            while first and lines[first - 1].startswith("#"):
                first -= 1
            yield node.name, "\n".join(lines[first : node.end_lineno])


def collect_tests() -> dict[str, list[str]]:
    """Return Markdown links to the tests that cite each statement, by the statement's number."""
    found: dict[str, list[str]] = {}
    for file in TESTS:
        for name, source in list_test_functions(file):
            for number in find_citations(source):
                found.setdefault(number, []).append(f"[{name}](../{relative_path(file)})")
    return found


def render_table() -> str:
    """Render the table: one row per numbered statement."""
    tests = collect_tests()
    rows = []
    for number, text in sorted(read_statements().items(), key=lambda one: one[0].zfill(3)):
        if number.isdigit():
            mark = _BEING_BUILT if _BEING_BUILT in text else find_exemption(text)
            rows.append(f"| {number} | {'; '.join([*([mark] if mark else []), *tests.get(number, [])])} |\n")
    return _TABLE_HEAD + "".join(rows)


@pytest.mark.parametrize("file", [*PRODUCT, *TESTS], ids=relative_path)
def test_cited_requirements_exist(file: Path) -> None:
    assert find_citations(file.read_text()) <= set(read_statements())


def test_page_contains_every_statement_once() -> None:
    numbers = [number for number, _ in _STATEMENT.findall(PAGE.read_text())]

    assert {str(number) for number in NUMBERS} <= set(numbers)
    assert len(numbers) == len(set(numbers))


def test_every_statement_has_a_test_or_a_reason_why_not() -> None:
    tests, statements = collect_tests(), read_statements()
    exempt = {number for number, text in statements.items() if find_exemption(text)}
    being_built = {number for number, text in statements.items() if _BEING_BUILT in text}

    numbered = {number for number in statements if number.isdigit()}
    assert numbered - set(tests) - exempt - being_built == set()
    assert len(exempt) <= MOST_EXEMPTIONS


def test_table_lists_the_tests_that_cite_each_statement() -> None:
    before, _, written = PAGE.read_text().partition(_TABLE_HEAD)
    if "BYOK_TEST_RECORD" in os.environ:
        PAGE.write_text(f"{before.rstrip()}\n\n{render_table()}")
        return

    advice = "run BYOK_TEST_RECORD=1 .venv/bin/pytest tests/unit/test_requirements.py"
    assert _TABLE_HEAD + written == render_table(), advice
