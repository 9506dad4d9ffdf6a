"""What stands in a policy for many values: lists, wildcards, and variables that a request fills in.

Source: IAM user guide, "IAM policy elements: Variables and tags".
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

Context = Mapping[str, str | list[str]]
# Fills in the variables of a pattern; None where one of them has no value: such a pattern matches nothing.
Fill = Callable[[str], str | None]

VERSION_WITH_VARIABLES: Final = "2012-10-17"

# `${aws:username}`, and with a value for requests that have none: `${aws:username, 'nobody'}`.
_VARIABLE: Final = re.compile(r"\$\{(?P<key>[^*?$,}][^,}]*)(?:, *'(?P<default>[^']*)')?\}")
# `${*}`, `${?}` and `${$}` are the characters themselves ("Special characters").
_CHARACTER: Final = re.compile(r"\$\{([*?$])\}")
_SPECIAL: Final = re.compile(r"[*?$]")


def as_list(value: Any) -> list[Any]:
    """The values of an element: a policy may give one by itself or an array of them."""
    return value if isinstance(value, list) else [value]


@lru_cache(maxsize=4096)
def compile_wildcard_pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """A pattern with `*` and `?` as a regular expression for a full match.

    What stands between two stars is taken at its first place and never again at a later one: that finds every match,
    and a pattern with many stars takes no longer for it.
    """
    first, *others = re.split(r"(?<!\$\{)\*+", pattern)
    middle = "".join(f"(?>.*?{_without_stars(part)})" for part in others[:-1])
    last = f".*{_without_stars(others[-1])}" if others else ""
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    return re.compile(_without_stars(first) + middle + last, flags)


def _without_stars(pattern: str) -> str:
    parts = re.split(r"(\$\{[*?$]\}|\?)", pattern)
    return "".join("." if part == "?" else re.escape(unescape_pattern(part)) for part in parts)


def unescape_pattern(pattern: str) -> str:
    """A pattern as the text that it is where there are no wildcards."""
    return _CHARACTER.sub(r"\1", pattern)


def escape_pattern(text: str) -> str:
    """A pattern that means this text and nothing else."""
    return _SPECIAL.sub(r"${\g<0>}", text)


def make_variable_filler(context: Context, version: str | None = VERSION_WITH_VARIABLES) -> Fill:
    """What fills in the variables of a policy's `Resource` and `Condition` values for one request.

    Args:
        context: The request's condition keys. One with many values has none as a variable.
        version: The policy's `Version`. In an earlier one, and without any, what looks like a variable is text.
    """
    if version != VERSION_WITH_VARIABLES:
        return lambda pattern: pattern.replace("${", "${$}{")
    present = lowercase_keys(context)

    def fill(pattern: str) -> str | None:
        values: list[str | None] = []

        def value_of(match: re.Match[str]) -> str:
            found = present.get(match["key"].strip().lower())
            values.append(found if isinstance(found, str) else match["default"])
            return escape_pattern(values[-1] or "")

        text = _VARIABLE.sub(value_of, pattern)
        return None if None in values else text

    return fill


def lowercase_keys(context: Context) -> dict[str, str | list[str]]:
    """A request's condition keys as they are compared: without regard to case."""
    return {name.lower(): value for name, value in context.items()}
