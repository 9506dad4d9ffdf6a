"""`byok tenant`: puts a tenant's name on the two keys of an environment, or says how their owner does it."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from byok.cli.output import (
    EXIT_CUSTOMER_KEY,
    EXIT_FAILED,
    EXIT_OK,
    UsageError,
    exit_on_error,
    make_console,
    print_json,
    print_message,
)

if TYPE_CHECKING:
    from byok.domain.models import TenantRole
    from byok.service.status import PendingStep

RoleArn = Annotated[
    str | None,
    typer.Option("--tenant-role-arn", help="The role in the customer's account that may name the keys."),
]
ExternalId = Annotated[str | None, typer.Option("--external-id", help="What that role's trust policy asks for.")]


def tenant(
    environment: Annotated[str, typer.Argument(help="The environment's id.")],
    name: Annotated[str, typer.Argument(help="The tenant's name.")],
    role_arn: RoleArn = None,
    external_id: ExternalId = None,
    repoint: Annotated[
        bool,
        typer.Option("--repoint", help="Point an alias that is on the other of the two keys at the right one."),
    ] = False,
    commands_only: Annotated[
        bool, typer.Option("--commands-only", help="Print the commands for the owner, although there is a role.")
    ] = False,
    key_grace_seconds: Annotated[
        int | None,
        typer.Option(min=0, max=300, help="How long a refusal may turn out to be a change on its way. [default: 30]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what became of it as JSON.")] = False,
) -> None:
    """Put the tenant's name on both keys, as an alias and tags.

    Only what differs is written, through a role in the customer's account; `byok template tenant-role` makes it.
    Without --tenant-role-arn it is the role that the keys were last named through, or that the environment was created
    with. Without any nothing is changed, and the commands for the owner of the keys are printed.

    Exit codes: 0 done, or the commands are printed; 1 failed; 2 wrong usage; 3 an alias points at another key, or a
    key cannot be named.
    """
    import asyncio

    with exit_on_error(as_json=as_json):
        options: dict[str, Any] = {
            "role": tenant_role_from_options(role_arn, external_id),
            "repoint": repoint,
            "commands_only": commands_only,
            "key_grace_seconds": key_grace_seconds,
        }
        if commands_only and (repoint or options["role"]):
            raise UsageError("--commands-only changes nothing: leave out --repoint, --tenant-role-arn, --external-id.")
        code = asyncio.run(_tenant(environment, name, options, as_json=as_json))
    raise typer.Exit(code)


def tenant_role_from_options(role_arn: str | None, external_id: str | None) -> "TenantRole | None":
    """The role that two options name; None where they name none.

    Raises:
        UsageError: One of them is missing, or does not fit.
    """
    from pydantic import ValidationError

    from byok.domain.models import TenantRole
    from byok.domain.tenant import EXTERNAL_ID_IN_WORDS

    if role_arn is None and external_id is None:
        return None
    if role_arn is None or external_id is None:
        raise UsageError("--tenant-role-arn and --external-id belong together: give both.")
    try:
        return TenantRole(role_arn=role_arn, external_id=external_id)
    except ValidationError as error:
        shapes = {
            "role_arn": "--tenant-role-arn has to be the full ARN of an IAM role, as the role's stack prints it",
            "external_id": f"--external-id has to be {EXTERNAL_ID_IN_WORDS}",
        }
        raise UsageError(f"{shapes[str(error.errors()[0]['loc'][0])]}.") from error


async def _tenant(environment: str, name: str, options: dict[str, Any], *, as_json: bool) -> int:
    import shlex

    from byok.cli import views
    from byok.cli.requests import as_json_dict
    from byok.domain.tenant import InvalidTenantNameError, require_valid_tenant_name
    from byok.service.connection import connect_service
    from byok.service.errors import NamingStoppedError
    from byok.settings import Settings

    try:
        require_valid_tenant_name(name, Settings().vendor)
    except InvalidTenantNameError as error:
        raise UsageError(str(error)) from error
    service = await connect_service()
    request = await service.build_reconcile_tenant_request(environment, name, **options)
    if not await service.list_workers():
        print_message("No worker is there at the moment; waiting for one.")
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
            make_console().print("The keys could not be named.", style="bold red")
            make_console().print(views.render_problems(error.problems))
            make_console().print(f"\n  Next\n    byok tenant {environment} {shlex.quote(name)}")
        return EXIT_CUSTOMER_KEY if any(problem.key for problem in error.problems) else EXIT_FAILED
    if as_json:
        print_json(as_json_dict(outcome))
    else:
        make_console().print(views.render_tenant_outcome(outcome))
    return EXIT_CUSTOMER_KEY if outcome.conflicting_keys else EXIT_OK


def _report_once() -> "Callable[[PendingStep], None]":
    """Tells what is being waited for: what AWS said, once, and not the count of every try."""
    from byok.service.pending import describe_pending_step

    told: set[str] = set()

    def report(item: "PendingStep") -> None:
        what = f"{item.activity}{item.last_failure}{item.unclaimed}"
        if (item.last_failure or item.unclaimed) and what not in told:
            told.add(what)
            print_message(f"Waiting for {describe_pending_step(item)}")

    return report
