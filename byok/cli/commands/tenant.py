"""`byok tenant`: sets the tenant name on both keys, or prints the commands for the key administrator."""

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byok.cli.output import (
    EXIT_CUSTOMER_KEY,
    EXIT_FAILED,
    EXIT_OK,
    Explain,
    Output,
    OutputFormat,
    UsageError,
    exit_on_error,
    make_console,
    print_json,
    print_message,
)
from byok.cli.requesters import Reason, connect_as_requester

if TYPE_CHECKING:
    from byok.service.pending import PendingStep

TenantRoleArn = Annotated[
    str | None,
    typer.Option("--tenant-role-arn", help="The role that byok assumes to set the name on the keys."),
]


def tenant(
    environment: Annotated[str, typer.Argument(help="The environment's id.")],
    name: Annotated[
        str | None, typer.Argument(help="Another tenant name.  [default: the one that the platform assigned]")
    ] = None,
    role_arn: TenantRoleArn = None,
    repoint: Annotated[
        bool,
        typer.Option("--repoint", help="Repoint an alias that points to the environment's other key."),
    ] = False,
    commands_only: Annotated[
        bool,
        typer.Option("--commands-only", help="Only print the commands for the key administrator; do not use a role."),
    ] = False,
    key_grace_seconds: Annotated[
        int | None,
        typer.Option(
            min=0, max=300, help="How long to retry access-denied errors while a change propagates. [default: 30]"
        ),
    ] = None,
    reason: Reason = None,
    _explain: Explain = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Set the tenant name on both keys, as an alias and as tags.

    Through a role in the customer's account, byok writes only the aliases and tags that are missing or different.
    `byok template tenant-role` prints the role's template. Without --tenant-role-arn, byok uses the role that last set
    a name on the keys, or the role that was passed when the environment was created. If there is no such role, byok
    changes nothing and prints the commands for the key administrator.

    Examples:
        byok tenant acme
        byok tenant acme --tenant-role-arn "$TENANT_ROLE_ARN"
        byok tenant acme acme-eu --commands-only

    Exit codes: 0 done, or the commands are printed; 1 failed; 2 incorrect usage; 3 an alias points to another key, or
    the name cannot be set on a key.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        options: dict[str, Any] = {
            "role_arn": require_role_arn(role_arn),
            "repoint": repoint,
            "commands_only": commands_only,
            "key_grace_seconds": key_grace_seconds,
        }
        if commands_only and (repoint or role_arn):
            raise UsageError("--commands-only changes nothing: leave out --repoint and --tenant-role-arn.")
        code = asyncio.run(_tenant(environment, name, options, reason, as_json=output.is_json))
    raise typer.Exit(code)


def require_role_arn(role_arn: str | None) -> str | None:
    """Return the ARN of the tenant role; None if no role is given.

    Raises:
        UsageError: The text is not the ARN of an IAM role.
    """
    from byok.domain.arns import ROLE_ARN_PATTERN

    if role_arn is not None and not re.fullmatch(ROLE_ARN_PATTERN, role_arn):
        raise UsageError("--tenant-role-arn must be the full ARN of an IAM role, as in the output of the role's stack.")
    return role_arn


async def _tenant(
    environment: str, name: str | None, options: dict[str, Any], reason: str | None, *, as_json: bool
) -> int:
    import shlex

    from byok.cli import views
    from byok.cli.remedy_views import render_problems
    from byok.cli.requests import as_json_dict
    from byok.domain.tenant import InvalidTenantNameError, require_valid_tenant_name
    from byok.service.errors import NamingStoppedError
    from byok.settings import Settings

    try:
        if name is not None:
            require_valid_tenant_name(name, Settings().vendor)
    except InvalidTenantNameError as error:
        raise UsageError(str(error)) from error
    service = await connect_as_requester(reason)
    request = await service.build_reconcile_tenant_request(environment, name, **options)
    if not await service.list_workers():
        print_message("No worker is polling the task queue; waiting for one.")
    try:
        outcome = await service.reconcile_tenant(request, _report_once())
    except NamingStoppedError as error:
        if as_json:
            print_json(
                {
                    "error": {"code": error.code, "message": str(error)},
                    "problems": list(map(as_json_dict, error.problems)),
                }
            )
        else:
            make_console().print("Could not set the tenant name on the keys.", style="bold red")
            make_console().print(render_problems(error.problems))
            make_console().print(f"\n  Next\n    byok tenant {environment} {shlex.quote(request.tenant)}")
        return EXIT_CUSTOMER_KEY if any(problem.key for problem in error.problems) else EXIT_FAILED
    if as_json:
        print_json(as_json_dict(outcome))
    else:
        make_console().print(views.render_tenant_outcome(outcome))
    return EXIT_CUSTOMER_KEY if outcome.conflicting_keys else EXIT_OK


def _report_once() -> "Callable[[PendingStep], None]":
    """Return a callback that prints each pending step and its AWS message once, and not again for every attempt."""
    from byok.service.pending import describe_pending_step

    told: set[str] = set()

    def report(item: "PendingStep") -> None:
        what = f"{item.activity}{item.last_failure}{item.unclaimed}{item.paused}"
        if (item.last_failure or item.unclaimed or item.paused) and what not in told:
            told.add(what)
            print_message(f"Waiting: {describe_pending_step(item)}")

    return report
