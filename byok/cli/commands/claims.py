"""`byok claims`: lists which environment has claimed which key."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import Output, OutputFormat, exit_on_error, make_console, print_json, print_message

if TYPE_CHECKING:
    from rich.text import Text

    from byok.service.claims import ExplainedClaim


def claims(
    account: Annotated[str | None, typer.Option(help="List only claims on the keys of this AWS account.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of claims to list.")] = 100,
    output: Output = OutputFormat.TEXT,
) -> None:
    """List which environment has claimed which key.

    A key can belong to only one environment. A worker checks in AWS whether the environment exists and uses the key. If
    the environment does not exist or does not use the key, the list says what to do.

    Examples:
        byok claims
        byok claims --account 444455556666

    Exit codes: 0 listed; 1 the claims cannot be listed; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        found = asyncio.run(_list(account, limit))
        if output.is_json:
            print_json([claim.model_dump(mode="json") for claim in found])
        elif found:
            make_console().print(_render(found))
        else:
            print_message("No environment has claimed a key.")


async def _list(account: str | None, limit: int) -> "list[ExplainedClaim]":
    from byok.cli.requests import request_from_options
    from byok.domain.models import ListClaimsRequest
    from byok.service.connection import connect_service

    service = await connect_service()
    found: list[ExplainedClaim] = []
    after: str | None = None
    while len(found) < limit:
        size = min(limit - len(found), 100)
        request = request_from_options(ListClaimsRequest, {"account": account, "after": after, "size": size})
        page = await service.list_claims(request)
        found += page.claims
        after = page.after
        if after is None:
            break
    return found


def _render(found: "Sequence[ExplainedClaim]") -> "Text":
    from rich.text import Text

    from byok.service.claims import ClaimState

    colours = {ClaimState.IN_USE: "green", ClaimState.PENDING: "yellow"}
    lines: list[Text] = []
    for claim in found:
        state = (claim.state.value, f"bold {colours.get(claim.state, 'red')}")
        lines += [Text.assemble(claim.key_arn, "  ", state), Text(f"  {claim.advice}")]
    return Text("\n").join(lines)
