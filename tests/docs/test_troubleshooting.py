"""Every error text on the troubleshooting page occurs in the source code of byok or of the local AWS emulator."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from docsite.problem_pages import find_pages
from tests.programs import ROOT

PAGE: Final = (ROOT / "docs/troubleshooting.md").read_text()
ROWS: Final = [
    line.strip("| ").split(" | ") for line in PAGE.splitlines() if re.match(r"\| (code )?`|\| cluster", line)
]
SEEN: Final = [text for row in ROWS for text in re.findall(r"`([^`]+)`", row[0])]


def list_texts() -> Iterator[str]:
    """Yield every string literal in the source code, with `…` in place of each value that an f-string inserts."""
    for room in ("activities", "byok", "localaws", "workflows"):
        for file in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr):
                    yield "".join(str(one.value) if isinstance(one, ast.Constant) else "…" for one in node.values)
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(list_texts())


@pytest.mark.parametrize("seen", SEEN)
def test_text_is_exact(texts: list[str], seen: str) -> None:
    for part in (piece.strip() for piece in seen.split("…")):
        assert any(part in text for text in texts), part


def test_every_row_names_the_code_or_the_fix() -> None:
    pages = find_pages()
    assert len(ROWS) > 20
    for row in ROWS:
        assert all(cell.strip() for cell in row)
        for code in re.findall(r"`((?:byok|s3|rds|kms)\.\S+?)`", row[2]):
            assert code in pages
