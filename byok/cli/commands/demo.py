"""`byok demo`: demonstrates byok on this machine, and checks the results."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from byok.cli.commands.up import exit_without_local_extra
from byok.cli.output import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, exit_on_error, exit_with_error, make_console

if TYPE_CHECKING:
    from byok.local.demo import DemoOutcome
    from byok.local.stack import DevStack

_DATABASE_SECONDS: Final = 0.4
"""How long the local AWS emulator takes to create a cluster or an instance.

The demo shows that byok waits, so the wait must be long enough to notice.
"""

_SETTINGS: Final = {"BYOK_DATABASE_POLL_SECONDS": "0.2"}
"""The worker's settings. The worker must poll often, because the local AWS emulator creates a cluster quickly."""


def demo() -> None:
    """Show how provisioning works, stops and resumes.

    One of two environments stops because its S3 key is disabled, and resumes after the customer enables the key. At the
    end, byok sets a tenant name on both keys of the other environment. Everything runs on this machine, on free ports
    and in a temporary folder, and nothing is left behind.

    Examples:
        byok demo

    Exit codes: 0 every check passed; 1 a check failed.
    """
    import asyncio

    with exit_on_error():
        exit_without_local_extra()
        from byok.local.processes import DevStackError

        try:
            with tempfile.TemporaryDirectory(prefix="byok-demo-") as folder:
                code = asyncio.run(_demo(Path(folder)))
        except DevStackError as error:
            exit_with_error(str(error), "byok.DevStack", EXIT_FAILED, as_json=False)
    raise typer.Exit(code)


async def _demo(folder: Path) -> int:
    from byok.cli import views
    from byok.cli.follow import follow
    from byok.local.demo import run_demo
    from byok.local.ports import Ports
    from byok.local.runner import run_on_stack
    from byok.local.stack import DevStack

    out = make_console()
    out.print(
        "Starting Temporal, a local AWS emulator and a worker on this machine; no AWS account is touched.", style="dim"
    )

    def headline(text: str) -> None:
        out.print(f"\n{text}\n", style="bold")

    async def work(stack: "DevStack") -> "DemoOutcome":
        out.print(f"Ready. Until the demo ends, Temporal's UI is at {stack.ui_url}.", style="dim")
        outcome = await run_demo(
            stack,
            lambda service, name: follow(service, name, proof=False),
            lambda named: out.print(views.render_tenant_outcome(named)),
            headline,
        )
        stack.hurry.set()  # the folder is deleted, so no child process needs time to save its state
        return outcome

    stack = DevStack(folder, Ports.pick_free(), database_seconds=_DATABASE_SECONDS, settings=_SETTINGS)
    outcome = await run_on_stack(stack, work)
    if outcome is None:
        return EXIT_INTERRUPTED
    headline("Summary")
    _summarise(outcome)
    return EXIT_FAILED if outcome.missed else EXIT_OK


def _summarise(outcome: "DemoOutcome") -> None:
    from byok.cli import views
    from byok.local.ports import HOST, Ports

    out = make_console()
    for sentence in outcome.shown:
        out.print(f"  [green]✓[/green] {sentence}")
    for sentence in outcome.missed:
        out.print(f"  [red]✗ failed:[/red] {sentence}")
    for status in outcome.environments:
        if status.evidence:
            out.print(f"\nResources of {status.environment_id} grouped by key, as AWS reports them:")
            out.print(views.render_evidence(status.evidence))
    out.print(f"\nDone in {outcome.seconds:.0f} s. Every process has exited.")
    out.print(
        f"To run this stack until Ctrl-C, with the wizard at http://{HOST}:{Ports().web}, run: byok up (or make up)"
    )
