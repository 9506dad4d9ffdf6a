"""`byok verify`: checks the keys and settings of an environment immediately."""

from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import Explain, Output, OutputFormat, exit_on_error, make_console, print_json
from byok.cli.requesters import Reason, connect_as_requester

if TYPE_CHECKING:
    from byok.domain.models import EnvironmentHealth


def verify(
    name: Annotated[str, typer.Argument(help="The environment's id.")],
    reason: Reason = None,
    _explain: Explain = False,
    output: Output = OutputFormat.TEXT,
) -> None:
    """Verify the keys of a READY environment, and show its health.

    A worker writes and reads an object with the S3 key, reads the cluster's status, and compares the resources, tags,
    settings and claims with what byok created. If the cluster lost its key and the key works again, the worker also
    starts the cluster. Workers also check all environments every few minutes, so you need this command only if you do
    not want to wait.

    While the health is RECOVERING, RDS is still starting the database. Repeat the command until the exit code is 0.

    Examples:
        byok verify acme
        byok verify acme --reason "the customer enabled the key"

    Exit codes: 0 HEALTHY; 1 there is no such environment, it is not READY, or no worker is available; 2 incorrect
    usage; 3 KEY_LOST: AWS does not let byok use a customer's key; 4 AWS did not answer, so nothing is verified; 5
    DEGRADED, RECOVERING, or a platform-managed key is lost.
    """
    import asyncio

    with exit_on_error(as_json=output.is_json):
        found = asyncio.run(_verify(name, reason))
        from byok.cli.health_views import exit_code_for_health, render_health

        if output.is_json:
            print_json(found.model_dump(mode="json"))
        else:
            make_console().print(render_health(name, found))
    raise typer.Exit(exit_code_for_health(found))


async def _verify(name: str, reason: str | None) -> "EnvironmentHealth":
    from byok.service.verification import verify_environment

    return await verify_environment(await connect_as_requester(reason), name)
