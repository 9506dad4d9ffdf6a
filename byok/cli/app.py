"""The `byok` program: registers its commands and sets the exit code."""

import io
import os
import sys
from typing import Annotated, Final

import typer

from byok import __version__
from byok.cli.command_line import CommandLine
from byok.cli.commands.accounts import accounts
from byok.cli.commands.check import check
from byok.cli.commands.claims import claims
from byok.cli.commands.create import create
from byok.cli.commands.demo import demo
from byok.cli.commands.doctor import diagnose, doctor
from byok.cli.commands.history import history
from byok.cli.commands.inventory import inventory
from byok.cli.commands.lifecycle import cancel, delete, replay
from byok.cli.commands.notifications import notifications
from byok.cli.commands.onboarding import onboarding, template
from byok.cli.commands.policy import policy
from byok.cli.commands.servers import token, web, worker
from byok.cli.commands.status import list_environments, status
from byok.cli.commands.support import support_bundle
from byok.cli.commands.tenant import tenant
from byok.cli.commands.up import up
from byok.cli.commands.verify import verify
from byok.cli.output import print_text

HELP: Final = """
Provision environments whose Aurora cluster and S3 buckets are encrypted with keys that the customer owns.

Run `byok COMMAND --help` for the options, examples and exit codes of a command.

Examples:
    byok demo
    byok up
    byok check --region eu-central-1 --s3-key-arn "$S3_KEY_ARN" --rds-key-arn "$RDS_KEY_ARN"
    byok create --name acme --region eu-central-1 --s3-key-arn "$S3_KEY_ARN" --rds-key-arn "$RDS_KEY_ARN" --wait
    byok status acme

Exit codes: 0 success; 1 failure; 2 incorrect usage or settings, and nothing was started; 3 a customer's key is the
cause; 4 not verified; 5 the environment is not healthy; 130 interrupted.
"""
ENVIRONMENTS: Final = "Environments"
KEYS: Final = "Keys and policies"
OPERATIONS: Final = "Operations"
LOCAL: Final = "On this machine"

app = CommandLine("byok", help=HELP)


def _print_version(wanted: bool) -> None:
    if wanted:
        print_text(f"byok {__version__}\n")
        raise typer.Exit


@app.callback()
def accept_global_options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Accept the options that come before a command, such as `--version`."""


for _panel, _commands in {
    ENVIRONMENTS: (create, status, list_environments, history, verify, replay, cancel, delete, tenant),
    KEYS: (check, onboarding, template, diagnose, claims),
    OPERATIONS: (web, worker, token, doctor, support_bundle),
    LOCAL: (up, demo),
}.items():
    for _command in _commands:
        app.command(_command.__name__.removesuffix("_environments").replace("_", "-"), rich_help_panel=_panel)(_command)
app.add_typer(policy, name="policy", rich_help_panel=KEYS)
app.add_typer(accounts, name="accounts", rich_help_panel=KEYS)
app.add_typer(inventory, name="inventory", rich_help_panel=OPERATIONS)
app.add_typer(notifications, name="notifications", rich_help_panel=OPERATIONS)


def run() -> int:
    """Run the command line.

    Returns:
        The exit code.
    """
    try:
        app(prog_name="byok")  # with `python -m byok`, the default name is the path of a module
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BrokenPipeError:  # `byok list | head`
        return 0
    return 0


def main() -> None:
    """Run the command line and exit the process."""
    code = 1
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # print ? for characters that the terminal cannot encode
            stream.reconfigure(errors="replace")
    try:
        code = run()
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = 0
    except Exception as error:
        sys.stderr.write(f"error: Internal error: {type(error).__name__}: {error}\n")
        if os.environ.get("BYOK_LOG_LEVEL") != "DEBUG":
            sys.stderr.write("Please report this error, with the traceback that BYOK_LOG_LEVEL=DEBUG prints.\n")
        else:
            import traceback

            traceback.print_exc()
    finally:
        # Use os._exit() instead of sys.exit(), because threads of Temporal's native core may still be running. A thread
        # of the native core sometimes calls into Python while Python is shutting down, which aborts the process with
        # code 134 (temporalio/sdk-python issue 300). All output is already flushed, and nothing is left to clean up.
        os._exit(code)
