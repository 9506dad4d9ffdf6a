"""Join lines of text, and wrap prose to the terminal's width."""

import textwrap
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.text import Text

from byok.cli.output import make_console


def wrap_prose(text: str, indent: int) -> str:
    """Wrap prose to the terminal's width, but never inside a word.

    Text that starts with a symbol or a space (commands, policy statements, file contents) is returned unchanged.
    """
    out = make_console()
    if not out.is_terminal or not text[:1].isalnum():
        return text
    folds = textwrap.TextWrapper(width=out.width - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(folds.wrap(text))


def join_lines(parts: Iterable[Text]) -> Text:
    """Join pieces of text with line breaks."""
    return Text("\n").join(parts)


def render_table(headings: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str]) -> Text:
    """Render a table as lines of text without borders, with a style for each row."""
    return GrowingTable(headings).render(rows, styles)


class GrowingTable:
    """A table whose rows are rendered in several batches.

    If a later batch contains wider values, the columns become wider from that batch on.

    Args:
        headings: The headings, which are rendered before the first rows.
    """

    def __init__(self, headings: Sequence[str]) -> None:
        self._headings: Sequence[Sequence[str]] = [headings]
        self._widths = [0] * len(headings)

    def render(self, rows: Sequence[Sequence[str]], styles: Sequence[str]) -> Text:
        """Render the next batch of rows, each with a style."""
        lines = [*self._headings, *rows]
        self._widths = [max(width, *(len(line[i]) for line in lines)) for i, width in enumerate(self._widths)]
        styles, self._headings = ["dim"] * len(self._headings) + [*styles], []
        return join_lines(
            Text("  ".join(f"{cell:<{width}}" for cell, width in zip(line, self._widths, strict=True)).rstrip(), style)
            for line, style in zip(lines, styles, strict=True)
        )


def format_time(time: datetime) -> str:
    """Return a time in UTC, to the second, with the zone."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def format_clock(time: datetime) -> str:
    """Format the time of day in UTC, with the time zone.

    Use this format for consecutive lines whose times are only minutes apart.
    """
    return f"{time.astimezone(UTC):%H:%M:%S} UTC"
