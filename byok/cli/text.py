"""Text on a terminal: lines put together, and prose folded where the screen ends."""

import textwrap
from collections.abc import Iterable

from rich.text import Text

from byok.cli.output import make_console


def wrap_prose(text: str, indent: int) -> str:
    """Prose folded between words where the screen ends; commands, policy statements and files get no line breaks."""
    out = make_console()
    if not out.is_terminal or not text[:1].isalnum():
        return text
    folds = textwrap.TextWrapper(width=out.width - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(folds.wrap(text))


def join_lines(parts: Iterable[Text]) -> Text:
    """One below the other."""
    return Text("\n").join(parts)
