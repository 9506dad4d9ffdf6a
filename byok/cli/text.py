"""Join lines of text, and wrap prose to the terminal's width."""

import textwrap
from collections.abc import Iterable

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
