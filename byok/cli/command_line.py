"""The Typer classes of byok's commands, which lay out the help and format usage errors."""

import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from typing import Any, Final, TypeVar

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from byok.cli.help_text import (
    MAX_WIDTH,
    lay_out_example,
    lay_out_list,
    lay_out_section,
    lay_out_usage,
    parse_help_text,
    wrap,
)
from byok.cli.usage_errors import format_usage_error, name_argument

_LONGEST_CHOICES: Final = 24
_COMMANDS: Final = "Commands"

Function = TypeVar("Function", bound=Callable[..., Any])


class CommandLine(typer.Typer):
    """A group of commands. The help lists the commands under headings, and can contain examples and exit codes."""

    def __init__(self, name: str, *, help: str, **options: Any) -> None:
        super().__init__(
            name=name,
            help=help,
            cls=DocumentedGroup,
            no_args_is_help=True,
            rich_markup_mode=None,  # plain help renders twice as fast
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"]},
            **options,
        )

    def command(self, name: str | None = None, **options: Any) -> Callable[[Function], Function]:
        """Register a command. See `typer.Typer.command`."""
        return super().command(name, **{"cls": DocumentedCommand, **options})


class DocumentedCommand(TyperCommand):
    """A command whose help shows the examples and exit codes from its docstring."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See `typer.core.TyperCommand`."""
        formatter.write("\n".join(_lay_out(self, ctx, [])) + "\n")


class DocumentedGroup(TyperGroup):
    """A group of commands. The help lists the commands under the headings in `rich_help_panel`."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """See `typer.core.TyperGroup`."""
        panels: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            row = (name, parse_help_text(command.help or "").summary)
            panels.setdefault(getattr(command, "rich_help_panel", None) or _COMMANDS, []).append(row)
        width, widest = _width(ctx), max(map(len, self.commands))
        groups = [
            line
            for panel, rows in panels.items()
            # The descriptions of all groups start in the same column.
            for line in lay_out_section(panel, lay_out_list(rows, width, widest))
        ]
        formatter.write("\n".join(_lay_out(self, ctx, groups)) + "\n")

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Run a command. A usage error is printed as `error: …`, and the exit code is 2."""
        try:
            code = super().main(
                args, prog_name, complete_var, standalone_mode=False, windows_expand_args=windows_expand_args, **extra
            )
        except typer.Abort:
            sys.stderr.write("error: Interrupted. Nothing was started.\n")
            code = 130
        except typer.TyperException as error:
            sys.stderr.write("".join(f"{line}\n" for line in format_usage_error(error)))
            code = error.exit_code
        if standalone_mode:
            sys.exit(code)
        return code


def _width(ctx: Any) -> int:
    return min(ctx.terminal_width or shutil.get_terminal_size().columns, MAX_WIDTH)


def _lay_out(command: DocumentedCommand | DocumentedGroup, ctx: Any, groups: list[str]) -> Iterator[str]:
    width, text, parameters = _width(ctx), parse_help_text(command.help or ""), command.get_params(ctx)
    arguments = [one for one in parameters if isinstance(one, TyperArgument) and not one.hidden]
    options = [one for one in parameters if isinstance(one, TyperOption) and not one.hidden]
    needed = [f"{one.opts[-1]} {_metavar(one)}" for one in options if one.required]
    values = [name_argument(one) if one.required else f"[{name_argument(one)}]" for one in arguments]
    yield from lay_out_usage([ctx.command_path, *values, *needed, "[OPTIONS]", *(["COMMAND"] if groups else [])], width)
    for paragraph in (text.summary, *text.paragraphs):
        yield ""
        yield from wrap(paragraph, width)
    yield from groups
    yield from lay_out_section(
        "Arguments", lay_out_list([(name_argument(one), _describe(one)) for one in arguments], width)
    )
    options.sort(key=lambda one: not one.required)
    yield from lay_out_section("Options", lay_out_list([(_term(one), _describe(one)) for one in options], width))
    examples = [line for example in text.examples for line in lay_out_example(example, width)]
    yield from lay_out_section("Examples", examples)
    yield from lay_out_section("Exit codes", lay_out_list(text.exit_codes, width))


def _term(option: TyperOption) -> str:
    names = ", ".join(sorted(option.opts, key=len) + option.secondary_opts)
    return names if option.is_flag else f"{names} {_metavar(option)}"


def _metavar(option: TyperOption) -> str:
    choices = _choices(option)
    if option.metavar is not None:
        return option.metavar
    if choices and len("|".join(choices)) <= _LONGEST_CHOICES:
        return "|".join(choices)
    return "PATH" if option.type_descriptor.is_path else option.opts[-1].rpartition("-")[2].upper()


def _choices(parameter: TyperArgument | TyperOption) -> list[str]:
    descriptor = parameter.type_descriptor
    found = descriptor.choices if descriptor.is_choice else None
    return [str(one.value) if isinstance(one, Enum) else str(one) for one in found or ()]


def _describe(parameter: TyperArgument | TyperOption) -> str:
    parts, choices, default = [parameter.help or ""], _choices(parameter), parameter.default
    if choices and (isinstance(parameter, TyperArgument) or len("|".join(choices)) > _LONGEST_CHOICES):
        parts.append(f"One of {', '.join(choices)}.")
    if parameter.min is not None and parameter.max is not None:
        parts.append(f"[{parameter.min:,} to {parameter.max:,}]")
    if isinstance(parameter, TyperOption) and parameter.is_flag:
        if parameter.secondary_opts:
            parts.append(f"[default: {(parameter.opts if default else parameter.secondary_opts)[0]}]")
    elif default is not None and parameter.show_default:
        parts.append(f"[default: {default.value if isinstance(default, Enum) else default}]")
    if parameter.required:
        parts.append("[required]")
    return " ".join(part for part in parts if part)
