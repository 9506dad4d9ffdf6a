"""`byok up`: runs the whole stack on this machine, until Ctrl-C."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from byok.cli.output import EXIT_FAILED, EXIT_OK, exit_on_error, exit_with_error, make_console, print_message

if TYPE_CHECKING:
    from byok.local.stack import DevStack


def up(
    data: Annotated[Path, typer.Option(help="Folder for state and logs; kept across restarts.")] = Path(".byok"),
    temporal_port: Annotated[int, typer.Option(min=1, max=65535, help="Temporal's port.")] = 7233,
    ui_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of Temporal's UI.")] = 8233,
    aws_port: Annotated[int, typer.Option(min=1, max=65535, help="The local AWS emulator's port.")] = 4566,
    web_port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the wizard and the HTTP API.")] = 8000,
    env_file: Annotated[
        Path | None,
        typer.Option(help="File to which byok writes shell exports once everything is ready. [default: DATA/env]"),
    ] = None,
    worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Whether to run a worker.")] = True,
    database_seconds: Annotated[
        float,
        typer.Option(min=0, max=3600, help="How long the local AWS emulator takes to create a cluster or an instance."),
    ] = 3.0,
) -> None:
    """Run everything on this machine, until Ctrl-C.

    Starts Temporal, a local AWS emulator, a worker, the wizard and the HTTP API.

    Everything listens on 127.0.0.1 only. A second Ctrl-C kills every process immediately.

    Examples:
        byok up
        byok up --data /tmp/byok --web-port 8080 --no-worker

    Exit codes: 0 stopped on request; 1 a process could not start or has exited.
    """
    import asyncio

    with exit_on_error():
        exit_without_local_extra()
        from byok.local.ports import Ports
        from byok.local.processes import DevStackError
        from byok.local.stack import DevStack
        from byok.settings import Settings

        env_file = env_file or data / "env"
        vendor = Settings().vendor
        try:
            ports = Ports(temporal_port, ui_port, aws_port, web_port)
            code = asyncio.run(
                _up(
                    lambda: DevStack(
                        data,
                        ports,
                        worker=worker,
                        web=True,
                        database_seconds=database_seconds,
                        vendor=vendor,
                        exports=env_file,
                        say=print_message,
                    ),
                    env_file,
                )
            )
        except (DevStackError, OSError) as error:
            exit_with_error(str(error), "byok.DevStack", EXIT_FAILED, as_json=False)
    raise typer.Exit(code)


def exit_without_local_extra() -> None:
    """Exit with a message that contains the install command, if byok is installed without the extra `local`."""
    from byok.local.extras import find_missing_extra

    missing = find_missing_extra()
    if missing is not None:
        exit_with_error(missing, "byok.DevStack", EXIT_FAILED, as_json=False)


async def _up(make_stack: "Callable[[], DevStack]", env_file: Path) -> int:
    from byok.local.runner import run_on_stack

    await run_on_stack(make_stack(), lambda stack: _stay(stack, env_file))
    print_message("Stopped. The data is kept.")
    return EXIT_OK


async def _stay(stack: "DevStack", env_file: Path) -> None:
    import asyncio

    out, facts = make_console(), stack.environment
    out.print(f"Temporal    {facts['TEMPORAL_ADDRESS']}, with its UI at {stack.ui_url}")
    out.print(f"Local AWS   {stack.aws_url}, with the profiles platform and byok (the customer)")
    out.print(f"Worker      {'running' if 'worker' in stack.children else 'not running: start it with byok worker'}")
    web = stack.web_url
    out.print(f"Wizard      {web}, with the HTTP API at {web}/v1 and the documentation at {web}/docs")
    out.print(f"S3 key      {facts['S3_KEY_ARN']}")
    out.print(f"Aurora key  {facts['RDS_KEY_ARN']}")
    out.print(f"Logs        {stack.data / 'logs'}")
    out.print("\nIn another terminal:")
    out.print(f"  . {env_file}")
    out.print(
        f"  {_program()} create --name acme --region {facts['AWS_REGION']} "
        '--s3-key-arn "$S3_KEY_ARN" --rds-key-arn "$RDS_KEY_ARN" --wait'
    )
    out.print("\nCtrl-C stops everything; the data is kept.")
    out.file.flush()
    await asyncio.Event().wait()


def _program() -> str:
    """Return the command that runs this program from the user's shell."""
    return "byok" if shutil.which("byok") else str(Path(sys.argv[0]))
