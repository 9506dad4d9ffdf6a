"""`byok status` and `byok list`: show the state of environments."""

from collections.abc import AsyncIterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from byok.cli.output import (
    Explain,
    Output,
    OutputFormat,
    exit_on_error,
    make_console,
    print_json,
    print_message,
    print_text,
)
from byok.cli.sorting import SortKey, sort_environments
from byok.domain.phases import HealthState, Phase

if TYPE_CHECKING:
    from byok.service.environments import EnvironmentService
    from byok.service.status import EnvironmentSummary

_FIRST_PAGE: Final = 100
_LARGER_PAGE: Final = 5
"""How many times larger each page is than the page before it.

Larger pages are faster in total, because each request has a fixed cost. The first page is small, so that the first rows
appear soon.
"""


def status(
    name: Annotated[str, typer.Argument(help="The environment's id.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the environment is ready or stopped, then show the outcome.")
    ] = False,
    _explain: Explain = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Show an environment's phase and health, and why it stopped.

    Reads the status from Temporal, so no worker needs to be running. To check the environment now, run byok verify.

    Examples:
        byok status acme
        byok status acme --wait
        byok status acme --explain
        byok status acme -o json

    Exit codes: 0 in progress, ready or deleted; 1 no such environment, or stopped, but not by a customer's key; 3
    stopped by a customer's key, or ready although a customer's key cannot be used (KEY_LOST) or the tenant alias points
    to another key.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        code = asyncio.run(_status(name, wait=wait, as_json=output.is_json))
    raise typer.Exit(code)


class ListFormat(StrEnum):
    """The formats in which `byok list` prints environments."""

    TEXT = "text"
    WIDE = "wide"
    JSON = "json"
    CSV = "csv"


def list_environments(
    phase: Annotated[Phase | None, typer.Option(help="List only environments in this phase.")] = None,
    health: Annotated[HealthState | None, typer.Option(help="List only environments with this health status.")] = None,
    region: Annotated[str | None, typer.Option(help="List only environments in this AWS Region.")] = None,
    problem: Annotated[
        str | None, typer.Option(metavar="CODE", help="List only environments that stopped with this problem code.")
    ] = None,
    sort: Annotated[SortKey, typer.Option(metavar="KEY", help="What to sort by.")] = SortKey.CREATED,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of environments to list.")] = 100,
    output: Annotated[
        ListFormat,
        typer.Option("--output", "-o", metavar="FORMAT", help="How to print the list; wide is text with all columns."),
    ] = ListFormat.TEXT,
) -> None:
    """List environments, most recently created first.

    Only a READY environment has a health status.

    Examples:
        byok list
        byok list --phase STOPPED --region eu-central-1
        byok list --problem s3.KMS.DisabledException --sort name
        byok list --health KEY_LOST -o csv

    Exit codes: 0 listed; 1 Temporal did not respond; 2 incorrect usage.
    """
    import asyncio

    from byok.cli.platform import require_region

    with exit_on_error(as_json=output is ListFormat.JSON):
        place = None if region is None else require_region(region)
        wanted = {"phase": phase, "health": health, "region": place, "problem_code": problem}
        asyncio.run(_list({name: value for name, value in wanted.items() if value is not None}, sort, limit, output))


async def _status(name: str, *, wait: bool, as_json: bool) -> int:
    from byok.cli import views
    from byok.cli.follow import exit_code_for_status, follow
    from byok.cli.health_views import render_health
    from byok.cli.requests import as_json_dict
    from byok.service.connection import connect_service

    service = await connect_service()
    if wait:
        found = await follow(service, name, quiet=as_json)
    else:
        found = await service.read_status(name)
        if not as_json:
            make_console().print(views.render_environment(found))
    if found.health is not None and not as_json:
        make_console().print("")
        make_console().print(render_health(name, found.health, found.region))
    if as_json:
        attempts = [as_json_dict(one) for one in await service.list_attempts(found)]
        print_json({**as_json_dict(found), "attempts": attempts})
    return exit_code_for_status(found)


async def _list(wanted: dict[str, Any], sort: SortKey, limit: int, output: ListFormat) -> None:
    from byok.cli.list_views import begin_environment_list, render_environment_csv, render_environments
    from byok.cli.requests import as_json_dict
    from byok.service.connection import connect_service

    service, wide = await connect_service(), output is ListFormat.WIDE
    as_text = wide or output is ListFormat.TEXT
    table, console, more = begin_environment_list(wide=wide), make_console(), False
    found: list[EnvironmentSummary] = []
    if sort is SortKey.CREATED:
        async for page, more_follow in _read_pages(service, wanted, limit):
            found, more = found + page, more_follow
            if page and as_text:
                console.print(render_environments(table, page, wide=wide))
    else:  # sorting requires all environments
        every = [one async for page, _ in _read_pages(service, wanted, None) for one in page]
        found, more = sort_environments(every, sort)[:limit], len(every) > limit
        if found and as_text:
            console.print(render_environments(table, found, wide=wide))
    if output is ListFormat.JSON:
        print_json([as_json_dict(item) for item in found])
    elif output is ListFormat.CSV:
        print_text(render_environment_csv(found))
    elif not found:
        print_message(_explain_empty_list(wanted))
    elif more:
        which = "newest" if sort is SortKey.CREATED else "first"
        print_message(f"These are the {which} {len(found):,}. To list more, use --limit.")


async def _read_pages(
    service: "EnvironmentService", wanted: dict[str, Any], limit: int | None
) -> "AsyncIterator[tuple[list[EnvironmentSummary], bool]]":
    """Yield pages of environments. The second value of each pair is true if another page follows."""
    count, size, after = 0, _FIRST_PAGE, None
    while limit is None or count < limit:
        size = size if limit is None else min(size, limit - count)
        page, after = await service.list_environments_page(**wanted, size=size, after=after)
        count += len(page)
        yield page, after is not None
        if after is None:
            return
        size *= _LARGER_PAGE


def _explain_empty_list(wanted: dict[str, Any]) -> str:
    words = {
        "phase": "in {}",
        "health": "with the health status {}",
        "region": "in {}",
        "problem_code": "with the problem {}",
    }
    told = " and ".join(words[name].format(value) for name, value in wanted.items())
    return f"No environment {told}." if told else "No environments yet."
