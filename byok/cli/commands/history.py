"""`byok history`: shows all attempts to provision or delete an environment."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import Output, OutputFormat, exit_on_error, make_console, print_json

if TYPE_CHECKING:
    from rich.text import Text

    from byok.domain.models import Attempt


def history(
    name: Annotated[str, typer.Argument(help="The environment's id.")],
    output: Output = OutputFormat.TEXT,
) -> None:
    """Show every attempt to provision or delete an environment.

    An attempt begins with a start or a replay, and ends when the environment is ready, deleted or stopped. For each
    attempt, the history shows who began the attempt, when it began and ended, and which problem stopped it. A gap in
    the numbers means that Temporal no longer has a record of an attempt.

    Examples:
        byok history acme
        byok history acme -o json

    Exit codes: 0 shown; 1 there is no such environment, or Temporal cannot be reached.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        found = asyncio.run(_list(name))
        if output.is_json:
            print_json([one.model_dump(mode="json") for one in found])
        else:
            make_console().print(_render(found))


async def _list(name: str) -> "tuple[Attempt, ...]":
    from byok.service.connection import connect_service

    service = await connect_service()
    return await service.list_attempts(await service.read_status(name))


def _render(found: "Sequence[Attempt]") -> "Text":
    from byok.cli.text import format_time, render_table
    from byok.cli.views import PHASE_COLOURS

    rows = [
        (
            str(one.number),
            one.kind.value,
            format_time(one.started_at),
            format_time(one.ended_at) if one.ended_at else "",
            one.phase.value,
            f"{one.problem_code} in {one.problem_phase}" if one.problem_code else "",
            one.by or "",
            one.reason or "",
        )
        for one in found
    ]
    headings = ("NO", "ATTEMPT", "FROM", "UNTIL", "PHASE", "PROBLEM", "BY", "REASON")
    return render_table(headings, rows, [PHASE_COLOURS.get(one.phase, "") for one in found])
