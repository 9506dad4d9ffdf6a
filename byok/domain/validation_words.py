"""Rewrites pydantic's error messages in plain language."""

import re
from typing import Final

_WORDS: Final = (
    (r"^Value error, ", ""),
    (r"^Input should be a valid integer.*", "must be a whole number"),
    (r"^Input should be a valid number.*", "must be a number"),
    (r"^Input should be a valid boolean.*", "must be true or false"),
    (r"^Input should be a valid string.*", "must be text"),
    (r"^Input should be a valid (\w+).*", r"must be a \1"),
    (r"^(?:Input|String|Value|Tuple|List) should ", "must "),
    (r"^Extra inputs are not permitted$", "no such field"),
    (r"^Field required$", "missing"),
    (r"^Invalid JSON: (.*)", r"is not valid JSON: \1"),
)
"""Patterns for the messages of pydantic 2.14, each with byok's replacement."""


def in_plain_words(message: str) -> str:
    """Rewrite a pydantic message so that it can follow the name of a field, and remove the full stop."""
    for pattern, words in _WORDS:
        message = re.sub(pattern, words, message, flags=re.DOTALL)
    return message.rstrip(".")
