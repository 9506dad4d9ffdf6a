"""`byok notifications`: lists the deliveries of notifications, tests an endpoint, and resends a notification."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.command_line import CommandLine
from byok.cli.output import Output, OutputFormat, UsageError, exit_on_error, make_console, print_json, print_message

if TYPE_CHECKING:
    from rich.text import Text

    from byok.domain.models import DeliveryReceipt
    from byok.service.notifications import Delivery

notifications = CommandLine("notifications", help="Follow the deliveries of notifications.")


@notifications.command("list")
def list_notifications(
    environment: Annotated[str | None, typer.Option(help="List only deliveries about this environment.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number of deliveries to list.")] = 100,
    output: Output = OutputFormat.TEXT,
) -> None:
    """List the deliveries of notifications, newest first.

    A delivery has one of three states: delivered, retrying (with the last error) or failed.

    Reads the deliveries from Temporal, so no worker needs to be running. Temporal deletes a completed delivery at the
    end of the retention period.

    Examples:
        byok notifications list --environment acme

    Exit codes: 0 listed; 1 Temporal did not respond; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        found = asyncio.run(_list(environment, limit))
        if output.is_json:
            print_json([one.model_dump(mode="json") for one in found])
        elif found:
            make_console().print(_render(found))
        else:
            print_message("No notifications.")


@notifications.command("test")
def deliver_test(
    endpoint: Annotated[str, typer.Argument(help="The endpoint's name in the settings of the workers.")],
    output: Output = OutputFormat.TEXT,
) -> None:
    """Deliver a test notification to an endpoint now, in one attempt.

    A worker delivers the notification, because only the workers' settings contain the endpoint's URL and secrets.

    Examples:
        byok notifications test pager

    Exit codes: 0 the endpoint accepted the notification; 1 the endpoint rejected the notification, did not respond, or
    is unknown; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        receipt = asyncio.run(_deliver_test(_require_name(endpoint)))
        if output.is_json:
            print_json(receipt.model_dump(mode="json"))
        else:
            print_message(f"Endpoint {endpoint} accepted the test notification (status {receipt.status}).")


@notifications.command()
def resend(
    delivery: Annotated[str, typer.Argument(help="The delivery's id, as `byok notifications list` shows it.")],
) -> None:
    """Deliver a notification again, whether or not it was delivered before.

    The delivery keeps its webhook-id, by which receivers recognise it.

    Examples:
        byok notifications resend "$DELIVERY_ID"

    Exit codes: 0 started; 1 there is no such delivery; 2 incorrect usage.
    """
    import asyncio

    with exit_on_error():
        found = asyncio.run(_resend(delivery))
        print_message(f"Delivery {found} starts over. Follow it with: byok notifications list")


async def _list(environment: str | None, limit: int) -> "list[Delivery]":
    import re

    from byok.domain.naming import ENVIRONMENT_ID_PATTERN
    from byok.service.connection import connect_service
    from byok.service.notifications import list_deliveries

    if environment is not None and not re.fullmatch(ENVIRONMENT_ID_PATTERN, environment):
        raise UsageError("--environment: not a valid environment id.")
    return await list_deliveries(await connect_service(), environment, limit)


async def _deliver_test(endpoint: str) -> "DeliveryReceipt":
    from byok.service.connection import connect_service
    from byok.service.notifications import deliver_test_notification

    return await deliver_test_notification(await connect_service(), endpoint)


async def _resend(delivery: str) -> str:
    from byok.service.connection import connect_service
    from byok.service.notifications import resend_notification

    return await resend_notification(await connect_service(), delivery)


def _require_name(endpoint: str) -> str:
    from byok.domain.notifications import ENDPOINT_NAME_WORDS, is_endpoint_name

    if not is_endpoint_name(endpoint):
        raise UsageError(f"ENDPOINT: must be {ENDPOINT_NAME_WORDS}.")
    return endpoint


def _render(found: "Sequence[Delivery]") -> "Text":
    from rich.text import Text

    from byok.cli.text import format_time
    from byok.service.notifications import DeliveryState

    colours = {DeliveryState.DELIVERED: "green", DeliveryState.PENDING: "yellow", DeliveryState.RETRYING: "yellow"}
    lines: list[Text] = []
    for one in found:
        state = (one.state.value, f"bold {colours.get(one.state, 'red')}")
        about = f"{format_time(one.at)}  {one.environment_id or '-'}  {one.type}  "
        lines += [Text.assemble(about, state), Text(f"  {one.id}")]
        if one.error is not None:
            due = f" Next attempt: {format_time(one.next_attempt_at)}." if one.next_attempt_at else ""
            lines.append(Text(f"  {one.error}{due}"))
    return Text("\n").join(lines)
