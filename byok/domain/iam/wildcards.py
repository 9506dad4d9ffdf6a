"""Functions for lists, wildcards, variables and placeholders in policies.

Source: IAM user guide, "IAM policy elements: Variables and tags".
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

Context = Mapping[str, str | list[str]]
# A function that fills in the variables of a pattern. The function returns None if a variable has no value, because the
# pattern then matches nothing.
Fill = Callable[[str], str | None]

VERSION_WITH_VARIABLES: Final = "2012-10-17"

# A variable such as `${aws:username}`, or `${aws:username, 'anonymous'}` with a default for requests without a value.
_VARIABLE: Final = re.compile(r"\$\{(?P<key>[^*?$,}][^,}]*)(?:, *'(?P<default>[^']*)')?\}")
# `${*}`, `${?}` and `${$}` stand for the literal characters `*`, `?` and `$` ("Special characters").
_CHARACTER: Final = re.compile(r"\$\{([*?$])\}")
_SPECIAL: Final = re.compile(r"[*?$]")


def as_list(value: Any) -> list[Any]:
    """Return the values of a policy element as a list, because a policy may contain a single value or an array."""
    return value if isinstance(value, list) else [value]


def has_placeholder(text: str) -> bool:
    """Return whether a string contains a placeholder, such as `<role>`, `${Role}` or `YOUR`.

    IAM variables such as `${aws:username}` do not count as placeholders.
    """
    return re.search(r"\$\{(?!aws:|kms:|\*|\?|\$)[^}]*\}|<[^>]*>|\{\{|REGION|ACCOUNT|YOUR", text) is not None


@lru_cache(maxsize=4096)
def compile_wildcard_pattern(pattern: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """Compile a pattern with `*` and `?` to a regular expression for a full match.

    The text between two stars matches at its first occurrence, and the expression never backtracks to a later
    occurrence. The expression still finds every match and is fast even for patterns with many stars.
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
    """Convert a pattern without wildcards to the literal text that it stands for."""
    return _CHARACTER.sub(r"\1", pattern)


def escape_pattern(text: str) -> str:
    """Convert a string to a pattern that matches only this string."""
    return _SPECIAL.sub(r"${\g<0>}", text)


def make_variable_filler(context: Context, version: str | None = VERSION_WITH_VARIABLES) -> Fill:
    """Return a function that fills in the variables in a policy's `Resource` and `Condition` values for one request.

    Args:
        context: The request's condition keys. A variable that refers to a multi-valued condition key has no value.
        version: The policy's `Version`. In a policy without a version, or with a version earlier than 2012-10-17,
            variables are literal text.
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
    """Convert the names of a request's condition keys to lower case, because IAM compares them case-insensitively."""
    return {name.lower(): value for name, value in context.items()}
