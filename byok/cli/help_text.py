"""Lay out the help of a command: what its docstring says, its options, its examples and its exit codes.

The help fits any terminal of at least 40 columns: prose is wrapped, a long option goes on a line of its own, and a long
example continues on the next line with a backslash, so that it can be copied.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_WIDTH: Final = 100
_INDENT: Final = "  "
_WIDEST_TERM: Final = 26
_WIDEST_NARROW_TERM: Final = 18
_NARROW: Final = 70
"""Below this width, each description goes below its term, if a term is wide."""

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class HelpText:
    """The parts of a command's docstring.

    Attributes:
        summary: The first paragraph.
        paragraphs: The other paragraphs, each as one line.
        examples: The commands under `Examples:`.
        exit_codes: The codes after `Exit codes:`, each with its meaning.
    """

    summary: str
    paragraphs: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    exit_codes: tuple[tuple[str, str], ...] = ()


def parse_help_text(text: str) -> HelpText:
    """Parse a command's docstring, without its indentation."""
    prose: list[str] = []
    examples: list[str] = []
    codes: list[tuple[str, str]] = []
    for block in re.split(r"\n\s*\n", text.strip()):
        joined = " ".join(block.split())
        if block.startswith("Examples:"):
            examples += [line.strip() for line in block.splitlines()[1:]]
        elif joined.startswith("Exit codes: "):
            parts = re.split(r"; (?=\d+ )", joined.removeprefix("Exit codes: ").rstrip("."))
            codes += [(code, meaning) for code, _, meaning in (part.partition(" ") for part in parts)]
        else:
            prose.append(joined)
    return HelpText(prose[0] if prose else "", tuple(prose[1:]), tuple(examples), tuple(codes))


def wrap(text: str, width: int, indent: str = _INDENT) -> list[str]:
    """Wrap prose between words. Text in square brackets, such as `[default: 30]`, stays on one line."""
    whole = re.sub(
        r"\[[^\]]*\]",
        lambda found: found[0].replace(" ", _NO_BREAK) if len(found[0]) <= width - len(indent) else found[0],
        text,
    )
    folded = textwrap.wrap(
        whole,
        width,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_NO_BREAK, " ") for line in folded]


def lay_out_list(rows: Sequence[tuple[str, str]], width: int, widest: int = 0) -> Iterator[str]:
    """Lay out terms and descriptions: in two columns or, on a narrow terminal, each description below its term.

    Args:
        rows: The terms and their descriptions.
        width: The terminal's width.
        widest: The least width of the terms' column, so that several lists have the same column.
    """
    widest = max([widest, *(len(term) for term, _ in rows if len(term) <= _WIDEST_TERM)])
    if width < _NARROW and widest > _WIDEST_NARROW_TERM:
        for term, description in rows:
            yield f"{_INDENT}{term}"
            yield from wrap(description, width, _INDENT * 3)
        return
    column = _INDENT + " " * widest + "  "
    for term, description in rows:
        lines = wrap(description, width, column)
        if len(term) <= widest and lines:
            lines[0] = f"{_INDENT}{term:<{widest}}  {lines[0].lstrip()}"
            yield from lines
        else:
            yield f"{_INDENT}{term}"
            yield from lines


def lay_out_example(command: str, width: int) -> Iterator[str]:
    """Lay out a shell command; a command that is too long continues before an option, after a backslash."""
    rest, indent = command, _INDENT
    while len(indent) + len(rest) > width:
        breaks = [found.start() for found in re.finditer(r" (?=--?[a-z])| (?=\| )", rest)]
        fitting = [place for place in breaks if 0 < place <= width - len(indent) - 2]
        if not fitting:
            break
        yield f"{indent}{rest[: fitting[-1]]} \\"
        rest, indent = rest[fitting[-1] + 1 :], _INDENT * 2
    yield f"{indent}{rest}"


def lay_out_section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Lay out a section below an empty line; nothing if it has no lines."""
    found = list(lines)
    if found:
        yield from ("", f"{title}:", *found)


def lay_out_usage(pieces: Sequence[str], width: int) -> Iterator[str]:
    """Lay out the usage line; a long one continues between its pieces."""
    line = "Usage:"
    for piece in pieces:
        if len(line) + 1 + len(piece) > width:
            yield line
            line = " " * 6
        line += f" {piece}"
    yield line
