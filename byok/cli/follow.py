"""Follow an environment until it reaches a final phase.

A terminal shows a live view. If the output is not a terminal, each change is printed on its own line.
"""

from rich.console import RenderableType
from rich.live import Live

from byok.cli import views
from byok.cli.health_views import has_lost_customer_key
from byok.cli.output import EXIT_CUSTOMER_KEY, EXIT_FAILED, EXIT_OK, make_console, print_message
from byok.cli.text import format_clock
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.service.pending import describe_pending_step
from byok.service.status import EnvironmentStatus


async def follow(
    service: EnvironmentService, environment_id: str, *, quiet: bool = False, proof: bool = True
) -> EnvironmentStatus:
    """Show every change of an environment's status, and then the outcome.

    Args:
        service: Access to Temporal.
        environment_id: The environment to follow.
        quiet: Whether to suppress all output, except messages about work that is paused or that no worker has picked up
            yet.
        proof: Whether to show the evidence if the environment becomes ready.

    Returns:
        The final status.
    """
    if quiet:
        return await _quietly(service, environment_id)
    out = make_console()
    last = await (_live if out.is_terminal else _line_by_line)(service, environment_id)
    out.print(views.render_outcome(last, proof=proof))
    return last


async def _live(service: EnvironmentService, environment_id: str) -> EnvironmentStatus:
    seen: list[EnvironmentStatus] = []

    def frame() -> RenderableType:
        return views.render_progress(seen[-1]) if seen else ""

    # Redraw on a timer, not only when the status changes, because the elapsed time of the current phase keeps growing.
    with Live(get_renderable=frame, console=make_console(), refresh_per_second=8):
        async for status in service.watch_status(environment_id):
            seen[:] = [status]
    return seen[-1]


async def _line_by_line(service: EnvironmentService, environment_id: str) -> EnvironmentStatus:
    status: EnvironmentStatus | None = None
    shown_phases, shown_waiting = 0, set[str]()
    out = make_console()
    async for status in service.watch_status(environment_id):
        for entry in status.timeline[shown_phases:]:
            out.print(f"{format_clock(entry.entered_at)}  {entry.phase}", markup=False)
        shown_phases = len(status.timeline)
        for item in status.pending:
            # Leave the attempt number out of `key`, so that each AWS message is printed only once.
            key = f"{item.activity}{item.last_failure}{item.unclaimed}{item.paused}"
            if (item.last_failure or item.unclaimed or item.paused) and key not in shown_waiting:
                shown_waiting.add(key)
                out.print(f"              {describe_pending_step(item)}", markup=False)
    return _last(status)


async def _quietly(service: EnvironmentService, environment_id: str) -> EnvironmentStatus:
    status: EnvironmentStatus | None = None
    told = set[str]()
    async for status in service.watch_status(environment_id):
        waits = [f"Waiting: {describe_pending_step(item)}" for item in status.pending if item.paused]
        if status.unclaimed_since:
            waits.append("No worker has picked up the work yet; waiting for one.")
        for words in waits:
            if words not in told:
                told.add(words)
                print_message(words)
    return _last(status)


def exit_code_for_status(status: EnvironmentStatus) -> int:
    """Return the exit code for an environment's status.

    The code is 3 if a customer's key stopped the environment, and 1 if the environment stopped for another reason. As
    in `byok tenant`, the code is also 3 if the environment is ready but a tenant alias points to another key, or a
    customer's key cannot be used. In every other case, the code is 0.
    """
    if status.phase is not Phase.STOPPED:
        conflicts = status.phase is Phase.READY and status.tenant is not None and status.tenant.conflicting_keys
        is_lost = status.health is not None and has_lost_customer_key(status.health)
        return EXIT_CUSTOMER_KEY if conflicts or is_lost else EXIT_OK
    return EXIT_CUSTOMER_KEY if status.problem is not None and status.problem.key is not None else EXIT_FAILED


def _last(status: EnvironmentStatus | None) -> EnvironmentStatus:
    if status is None:  # cannot happen: watch_status() yields at least once
        raise AssertionError("watching an environment yielded no status")
    return status
