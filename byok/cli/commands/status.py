"""`byok status` and `byok list`: show the state of environments."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from byok.cli.output import exit_on_error, make_console, print_json, print_message
from byok.domain.phases import HealthState, Phase

if TYPE_CHECKING:
    from byok.service.status import EnvironmentSummary

_FIRST_PAGE: Final = 100
_LARGER_PAGE: Final = 5
"""How much larger the next page is. Each page costs some fixed time, but the first rows must appear soon."""


def status(
    name: Annotated[str, typer.Argument(help="The environment's id.")],
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until the environment is ready or stopped, then show the outcome.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the status as JSON.")] = False,
) -> None:
    """Show an environment's phase and health, and why it stopped.

    Reads the status from Temporal, so no worker needs to be running. To check the environment now, run byok verify.

    Exit codes: 0 in progress, ready or deleted; 1 stopped by anything except a customer's key, or there is no such
    environment; 3 stopped by a customer's key, or ready, but AWS refuses to use a customer's key (KEY_LOST) or the
    tenant alias points to another key.
    """
    import asyncio

    with exit_on_error(as_json=as_json):
        code = asyncio.run(_status(name, wait=wait, as_json=as_json))
    raise typer.Exit(code)


def list_environments(
    phase: Annotated[Phase | None, typer.Option(help="List only environments in this phase.")] = None,
    health: Annotated[HealthState | None, typer.Option(help="List only environments with this health.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of environments to list.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="Print the list as JSON.")] = False,
) -> None:
    """List environments, most recently created first.

    Only a READY environment has a health.
    """
    import asyncio

    with exit_on_error(as_json=as_json):
        asyncio.run(_list(phase, health, limit, as_json=as_json))


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


async def _list(phase: Phase | None, health: HealthState | None, limit: int, *, as_json: bool) -> None:
    from byok.cli.list_views import begin_environment_list, render_environments
    from byok.cli.requests import as_json_dict
    from byok.service.connection import connect_service

    service, table, console = await connect_service(), begin_environment_list(), make_console()
    found: list[EnvironmentSummary] = []
    size, after = _FIRST_PAGE, None
    while len(found) < limit:
        size = min(size, limit - len(found))
        page, after = await service.list_environments_page(phase=phase, health=health, size=size, after=after)
        found += page
        if page and not as_json:
            console.print(render_environments(table, page))
        if after is None:
            break
        size *= _LARGER_PAGE
    if as_json:
        print_json([as_json_dict(item) for item in found])
    elif not found:
        print_message(_explain_empty_list(phase, health))
    elif after is not None:
        print_message(f"These are the newest {len(found):,}. To list more, use --limit.")


def _explain_empty_list(phase: Phase | None, health: HealthState | None) -> str:
    if health is not None:
        return f"No environment{f' in {phase}' if phase else ''} has the health {health}."
    return "No environments yet." if phase is None else f"No environment is in {phase}."
