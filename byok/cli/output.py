"""Print results and messages. Results go to standard output, and everything else goes to standard error.

Rich respects `NO_COLOR`, and omits colours if the output is not a terminal.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_CUSTOMER_KEY: Final = 3
EXIT_NOT_PROVED: Final = 4
EXIT_DRIFT: Final = 5
"""The exit code if the environment is not healthy, but no customer's key is lost."""

EXIT_INTERRUPTED: Final = 130


class OutputFormat(StrEnum):
    """The formats in which a command prints its result."""

    TEXT = "text"
    JSON = "json"

    @property
    def is_json(self) -> bool:
        """Whether the result is printed as JSON, for programs."""
        return self is OutputFormat.JSON


Output = Annotated[OutputFormat, typer.Option("--output", "-o", help="Print the result as text or as JSON.")]


def _explain_remedies(wanted: bool) -> bool:
    from byok.cli.remedy_views import explain_remedies

    return explain_remedies(wanted)


Explain = Annotated[
    bool, typer.Option("--explain", callback=_explain_remedies, help="Show long remedies in full, with every step.")
]


class UsageError(Exception):
    """The input is invalid, and nothing was started. The message contains the name of the field."""

    code = "byok.InvalidInput"


def make_console(*, stderr: bool = False) -> "Console":
    """Return a console for standard output or standard error."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def print_message(message: str) -> None:
    """Print a message for the user on standard error, so that the message is never mixed with the result."""
    make_console(stderr=True).print(message, markup=False)


def print_json(content: Any) -> None:
    """Print a result as JSON, for programs."""
    sys.stdout.write(json.dumps(content, indent=2) + "\n")


def print_text(text: str) -> None:
    """Print a result that is already text, such as a file or a command, unchanged."""
    sys.stdout.write(text)


def exit_with_error(message: str, code: str, exit_code: int, *, as_json: bool) -> NoReturn:
    """Print `error: …` on standard error, and exit.

    With `as_json`, the error is also printed as JSON on standard output.
    """
    if as_json:
        from byok.domain.help_pages import build_help_url

        print_json({"error": {"code": code, "message": message, "help_url": build_help_url(code)}})
    print_message(f"error: {message}")
    raise typer.Exit(exit_code)


@contextmanager
def exit_on_error(*, as_json: bool = False) -> Iterator[None]:
    """Turn every expected error of a command into a message and an exit code, without a traceback."""
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from byok.domain.help_pages import read_docs_url, use_docs_url
    from byok.service.errors import ServiceError
    from byok.settings import format_settings_error

    use_docs_url(read_docs_url(os.environ))  # commands that only read do not load the other settings
    try:
        yield
    except UsageError as error:
        exit_with_error(str(error), error.code, EXIT_USAGE, as_json=as_json)
    except ServiceError as error:
        exit_with_error(str(error), error.code, EXIT_FAILED, as_json=as_json)
    except ValidationError as error:
        if error.title != "Settings":
            raise
        exit_with_error(
            f"Invalid settings: {format_settings_error(error)}.", "byok.Settings", EXIT_USAGE, as_json=as_json
        )
    except SettingsError as error:
        exit_with_error(
            f"Invalid settings: {format_settings_error(error)}.", "byok.Settings", EXIT_USAGE, as_json=as_json
        )
    except KeyboardInterrupt:
        print_message("error: Interrupted. Operations that have already started continue: see `byok status`.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
