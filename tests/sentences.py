"""List every sentence that the project shows to a reader: docstrings, comments, messages, documents and web pages."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*\"(])")
_SHORTEST: Final = 4
"""The minimum number of words. A string with fewer words is a label, and has no grammar to judge."""

_PRODUCT: Final = ("byok/", "activities/", "workflows/", "worker.py")
"""The files whose string literals are byok's messages. In other files, string literals are test data or AWS's texts."""


def list_text_files() -> list[str]:
    """List the tracked files that are written by hand, as paths relative to the root."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in tracked.split() if _is_written_by_hand(name)]


def list_sentences(name: str) -> list[str]:
    """List the sentences of a Python, Markdown or HTML file, with normalised white space; empty for any other file."""
    text = (ROOT / name).read_text(encoding="utf-8")
    match Path(name).suffix:
        case ".py":
            blocks = [*_docstrings(text), *_comments(text)]
            if name.startswith(_PRODUCT):
                blocks += _messages(text)
        case ".md":
            blocks = list(_markdown_blocks(text))
        case ".html":
            blocks = re.split(r"<[^>]*>|\{[%{#].*?[%}#]\}", text)
        case _:
            return []
    return split_into_sentences(blocks)


def split_into_sentences(blocks: Iterable[str]) -> list[str]:
    """Split blocks of text into sentences, normalise the white space, and leave out labels."""
    sentences = [" ".join(part.split()) for block in blocks for part in _SENTENCE_END.split(block)]
    return [sentence for sentence in sentences if len(re.findall(r"\b[A-Za-z]{2,}\b", sentence)) >= _SHORTEST]


def _is_written_by_hand(name: str) -> bool:
    path = Path(name)
    generated = name.startswith(("requirements/", "tests/replay/histories/")) and path.suffix != ".py"
    return not (generated or path.suffix in {".lock", ".png", ".json"} or path.name in {"LICENSE", ".gitignore"})


def _docstrings(text: str) -> Iterator[str]:
    """Yield each paragraph and each entry of every docstring, including the docstrings of constants and attributes."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from re.split(r"\n\s*\n|\n +(?=\w+: )", node.value.value)


def _messages(text: str) -> Iterator[str]:
    """Yield each string that ends like a sentence, with `…` in place of each value that an f-string inserts."""
    tree = ast.parse(text)
    pieces = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if id(node) in pieces | docstrings:
            continue
        if isinstance(node, ast.JoinedStr):
            message = "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)  # type: ignore[misc]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            message = node.value
        else:
            continue
        if message.rstrip().endswith((".", "!", "?", ":")):
            yield message


def _comments(text: str) -> Iterator[str]:
    """Yield each block of consecutive comment lines as one text."""
    run: list[str] = []
    last_line = 0
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT or re.match(r"#\s*(noqa|type:|!|contract|pragma|fmt)", token.string):
            continue
        if run and token.start[0] != last_line + 1:
            yield " ".join(run)
            run = []
        run.append(token.string.lstrip("# "))
        last_line = token.start[0]
    if run:
        yield " ".join(run)


def _markdown_blocks(text: str) -> Iterator[str]:
    """Yield paragraphs, list items and table cells, without code blocks and link targets."""
    prose = re.sub(r"```.*?```|<!--.*?-->|(?<=\])\([^)]*\)", "", text, flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=[-*|] |\d+\. |#)", prose):
        yield from block.split(" | ") if block.lstrip().startswith("|") else [block]
