"""Lays out the help of a command: the description, the options, the examples and the exit codes.

The help fits any terminal of at least 40 columns. Prose is wrapped, and a long option has a line of its own. A long
example continues on the next line after a backslash, so users can still copy the example.
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
"""A terminal with fewer columns than this counts as narrow."""

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
    """Parse a command's docstring."""
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
    """Lay out terms and descriptions.

    There are two columns. If the terminal is narrow and a term is long, all descriptions are instead on the lines below
    their terms.

    Args:
        rows: The terms and their descriptions.
        width: The terminal's width.
        widest: The minimum width of the terms' column. Pass the same value for several lists to align them.
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
    """Lay out a shell command.

    A command that is too long for one line is split before an option or a pipe, and each line except the last ends with
    a backslash.
    """
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
    """Lay out a section, preceded by a blank line.

    A section without lines is omitted.
    """
    found = list(lines)
    if found:
        yield from ("", f"{title}:", *found)


def lay_out_usage(pieces: Sequence[str], width: int) -> Iterator[str]:
    """Lay out the usage line.

    If the usage is too long for one line, it continues on the next line.
    """
    line = "Usage:"
    for piece in pieces:
        if len(line) + 1 + len(piece) > width:
            yield line
            line = " " * 6
        line += f" {piece}"
    yield line
