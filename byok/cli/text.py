"""Text for a terminal: join lines, and wrap prose at the screen width."""

import textwrap
from collections.abc import Iterable

from rich.text import Text

from byok.cli.output import make_console


def wrap_prose(text: str, indent: int) -> str:
    """Wrap prose between words at the screen width; commands, policy statements and files get no line breaks."""
    out = make_console()
    if not out.is_terminal or not text[:1].isalnum():
        return text
    folds = textwrap.TextWrapper(width=out.width - indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{' ' * indent}".join(folds.wrap(text))


def join_lines(parts: Iterable[Text]) -> Text:
    """Join texts with line breaks."""
    return Text("\n").join(parts)
