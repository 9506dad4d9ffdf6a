"""Describes usage errors of commands in byok's own words."""

import re
from collections.abc import Iterator
from typing import Any

from typer import BadParameter, TyperException

from byok.domain.validation_words import in_plain_words


def name_argument(parameter: Any) -> str:
    """Return an argument's name, as shown in the help and in error messages, such as NAME."""
    return str(parameter.metavar or parameter.name.upper())


def format_usage_error(error: TyperException) -> Iterator[str]:
    """Describe a usage error of a command.

    Yields the error message, and then the command that prints the help.
    """
    if type(error).__name__ == "NoArgsIsHelpError":  # the user entered a group without a command
        yield error.message
        return
    yield f"error: {_describe(error)}"
    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        yield f"See: {ctx.command_path} --help"


def _describe(error: TyperException) -> str:
    kind, parameter = type(error).__name__, getattr(error, "param", None)
    name = "" if parameter is None else _name(parameter)
    if kind == "MissingParameter":
        return f"{name}: missing."
    if kind == "NoSuchOption":
        possible = getattr(error, "possibilities", None) or ()
        meant = f" Did you mean {' or '.join(sorted(possible))}?" if possible else ""
        return f"{getattr(error, 'option_name', '')}: no such option.{meant}"
    if kind == "BadOptionUsage":
        needs_value = "requires" in error.message
        return f"{getattr(error, 'option_name', '')}: {'needs a value' if needs_value else 'takes no value'}."
    if isinstance(error, BadParameter):
        return f"{name}: {in_plain_words(error.message)}."
    extra = re.fullmatch(r"Got unexpected extra argument\(s\) \((.*)\)", error.message)
    if extra:
        return f"Unexpected argument: {extra[1]}."
    return error.message


def _name(parameter: Any) -> str:
    options = [one for one in parameter.opts if one.startswith("-")]
    return max(options, key=len) if options else name_argument(parameter)
