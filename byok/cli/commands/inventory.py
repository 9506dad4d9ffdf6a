"""`byok inventory`: rebuilds the records of environments from the resources that exist in AWS."""

from typing import TYPE_CHECKING

import typer

from byok.cli.command_line import CommandLine
from byok.cli.output import Output, OutputFormat, exit_on_error, make_console, print_json
from byok.cli.requesters import Reason, connect_as_requester

if TYPE_CHECKING:
    from byok.domain.models import RebuildResult

inventory = CommandLine("inventory", help="Compare byok's records with AWS.")


@inventory.callback()
def accept_inventory_commands() -> None:
    """Do nothing.

    Without this callback, Typer would drop the name `rebuild`, because the group contains only one command.
    """


@inventory.command()
def rebuild(
    reason: Reason = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Rebuild the missing records of environments that have resources in AWS.

    Use this command if Temporal's database was lost. A worker searches all Regions in use, and compares the resources,
    tags and claims of each environment with the blueprint. The worker then creates each missing record, with the phase
    READY if everything is in place, and otherwise STOPPED. The command changes neither AWS nor an existing record. An
    environment without a cluster gets no record. The command reports such an environment only if it has claims on keys.

    Examples:
        byok inventory rebuild --reason "Temporal was restored from an old backup"

    Exit codes: 0 every environment has a record; 1 an environment has no record, or AWS did not respond; 2 incorrect
    usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        result = asyncio.run(_rebuild(reason))
        if output.is_json:
            from byok.service.rebuilding import UNKNOWN_AFTER_REBUILD

            print_json({**result.model_dump(mode="json"), "unknown": list(UNKNOWN_AFTER_REBUILD)})
        else:
            make_console().print(_format(result))
        if result.missing:
            raise typer.Exit(1)


async def _rebuild(reason: str | None) -> "RebuildResult":
    from byok.service.rebuilding import rebuild_records

    return await rebuild_records(await connect_as_requester(reason))


def _format(result: "RebuildResult") -> str:
    from byok.service.rebuilding import UNKNOWN_AFTER_REBUILD

    lines = [
        f"{one.environment_id}  {one.region or '-'}  {one.phase or 'no record'}  {one.problem}"
        for one in result.problems
    ]
    hidden = result.stopped + result.missing - len(result.problems)
    if hidden:
        lines.append(f"… and {hidden} more")
    lines.append(
        f"Records rebuilt: {result.ready + result.stopped} ({result.ready} READY, {result.stopped} STOPPED). "
        f"Not rebuilt: {result.missing}. Already recorded, or with an operation in progress: {result.skipped}."
    )
    if result.ready + result.stopped:
        lines += [
            "AWS does not show the following facts, so the rebuilt records do not contain them:",
            *(f"  - {one}" for one in UNKNOWN_AFTER_REBUILD),
        ]
    return "\n".join(lines)
