"""`byok accounts`: registers, unregisters and lists the AWS accounts in which an organisation may use keys."""

from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.command_line import CommandLine
from byok.cli.output import Output, OutputFormat, exit_on_error, make_console, print_json, print_message
from byok.cli.requesters import Reason, connect_as_requester

if TYPE_CHECKING:
    from byok.domain.models import AccountRegistration, AccountRequest

accounts = CommandLine("accounts", help="Register AWS accounts for organisations.")

Organisation = Annotated[str, typer.Argument(help="The organisation's name.")]
Account = Annotated[str, typer.Argument(help="The 12-digit id of the AWS account.")]


@accounts.command()
def allow(organisation: Organisation, account: Account, reason: Reason = None) -> None:
    """Register an AWS account for an organisation.

    The organisation can then use keys in the account. An account can be registered for only one organisation. If the
    account is already registered for this organisation, nothing changes.

    Examples:
        byok accounts allow globex 444455556666 --reason "contract signed"

    Exit codes: 0 registered; 1 the account is registered for another organisation, or AWS did not respond; 2 incorrect
    usage.
    """
    import asyncio

    with exit_on_error():
        asyncio.run(_allow(_request(organisation, account), reason))
        print_message(f"AWS account {account} is registered for {organisation}.")


@accounts.command()
def remove(organisation: Organisation, account: Account, reason: Reason = None) -> None:
    """Unregister an AWS account. Environments that use keys in the account keep working.

    Examples:
        byok accounts remove globex 444455556666

    Exit codes: 0 unregistered, or the account was not registered; 1 AWS did not respond; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error():
        if asyncio.run(_remove(_request(organisation, account), reason)):
            print_message(f"AWS account {account} is no longer registered for {organisation}.")
        else:
            print_message(f"AWS account {account} was not registered for {organisation}.")


@accounts.command("list")
def list_accounts(
    organisation: Annotated[str | None, typer.Option(help="List only the accounts of this organisation.")] = None,
    output: Output = OutputFormat.TEXT,
) -> None:
    """List the registered AWS accounts.

    Examples:
        byok accounts list --organisation globex

    Exit codes: 0 listed; 1 AWS did not respond; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        from byok.cli.text import format_time

        found = asyncio.run(_list(organisation))
        if output.is_json:
            print_json([one.model_dump(mode="json") for one in found])
        elif found:
            make_console().print(
                "\n".join(f"{one.account}  {one.organisation}  {format_time(one.registered_at)}" for one in found)
            )
        else:
            print_message("No accounts are registered.")


def _request(organisation: str, account: str) -> "AccountRequest":
    from byok.cli.requests import request_from_options
    from byok.domain.models import AccountRequest

    return request_from_options(AccountRequest, {"organisation": organisation, "account": account})


async def _allow(request: "AccountRequest", reason: str | None) -> None:
    await (await connect_as_requester(reason)).register_account(request)


async def _remove(request: "AccountRequest", reason: str | None) -> bool:
    return await (await connect_as_requester(reason)).unregister_account(request)


async def _list(organisation: str | None) -> "list[AccountRegistration]":
    from byok.cli.requests import request_from_options
    from byok.domain.models import ListAccountsRequest
    from byok.service.connection import connect_service

    service = await connect_service()
    found: list[AccountRegistration] = []
    after: str | None = None
    while True:
        options: dict[str, object] = {"organisation": organisation, "after": after, "size": 100}
        page = await service.list_accounts(request_from_options(ListAccountsRequest, options))
        found += page.accounts
        after = page.after
        if after is None:
            return found
