"""Renders the health of an environment, and determines the exit code of `byok verify`."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from rich.text import Text

from byok.cli.output import EXIT_CUSTOMER_KEY, EXIT_DRIFT, EXIT_NOT_PROVED, EXIT_OK
from byok.cli.remedy_views import render_problems
from byok.cli.text import format_time, join_lines, wrap_prose
from byok.contracts import health_schedule_id
from byok.domain.durations import format_duration
from byok.domain.models import EnvironmentHealth, KeyHealth, KeyUse, Problem
from byok.domain.phases import HealthState
from byok.domain.rds_statuses import AVAILABLE

HEALTH_COLOURS: Final = {
    HealthState.HEALTHY: "green",
    HealthState.DEGRADED: "yellow",
    HealthState.KEY_LOST: "red",
    HealthState.RECOVERING: "yellow",
    HealthState.UNKNOWN: "yellow",
}
_KEY_USE_MARKS: Final = {
    KeyUse.PROVED: ("✓", "green"),
    KeyUse.IN_USE: ("✓", "green"),
    KeyUse.PLATFORM_MANAGED: ("✓", "green"),
    KeyUse.REFUSED: ("✗", "red"),
    KeyUse.UNREACHABLE: ("?", "yellow"),
}


def render_health(environment_id: str, health: EnvironmentHealth, region: str | None = None) -> Text:
    """Render an environment's health, with its keys, its recovery deadline, and its problems and remedies.

    Args:
        environment_id: The environment.
        health: The environment's health.
        region: The environment's Region. If no check has completed, the text contains the name of this Region's
            schedule.
    """
    colour, now = HEALTH_COLOURS[health.state], datetime.now(UTC)
    since = f", since {format_time(health.since)}"
    before = f"; {health.last_state} at the last proof" if health.state is HealthState.UNKNOWN else ""
    lines = [
        Text.assemble(f"Health of {environment_id}: ", (health.state, f"bold {colour}"), since, before),
        Text(f"  last verified {format_duration(now - health.proved_at)} ago ({format_time(health.proved_at)})"),
        *_explain_missing_proof(health, region),
        *(_render_key(one) for one in health.keys),
    ]
    if health.cluster_status not in (None, AVAILABLE):
        lines.append(Text(f"  The cluster is {health.cluster_status}."))
    lines += _render_deadline(health, now)
    lines += _render_deletions(health, now)
    if health.problems:
        lines.append(render_problems(health.problems))
    return join_lines(lines)


def exit_code_for_health(health: EnvironmentHealth) -> int:
    """Return the exit code of `byok verify`.

    The code is 3 only if a customer's key is lost. If a platform-managed key is lost, the customer is not at fault, so
    the code is the same as for other problems with the environment.
    """
    if health.unreachable is not None or health.state is HealthState.UNKNOWN:
        return EXIT_NOT_PROVED
    if health.state is HealthState.HEALTHY:
        return EXIT_OK
    return EXIT_CUSTOMER_KEY if has_lost_customer_key(health) else EXIT_DRIFT


def has_lost_customer_key(health: EnvironmentHealth) -> bool:
    """Return whether a customer's key cannot be used."""
    return health.state is HealthState.KEY_LOST and any(one.key is not None for one in health.problems)


def _explain_missing_proof(health: EnvironmentHealth, region: str | None) -> Iterator[Text]:
    """Explain why the latest check could not verify the keys, or why no check has completed."""
    fault = health.unreachable
    if fault is not None:
        yield Text("  AWS did not answer the latest check, so the current state of the keys is unknown:", "yellow")
        yield from _render_fault(fault)
    elif health.state is HealthState.UNKNOWN:
        schedule = f" {health_schedule_id(region)}" if region else ""
        text = (
            f"No check has completed since {format_time(health.proved_at)}. Run byok doctor to find out whether "
            f"a worker is running and whether the schedule{schedule} is paused."
        )
        yield Text(f"  {wrap_prose(text, 2)}", "yellow")


def _render_fault(fault: Problem) -> Iterator[Text]:
    if fault.remediation.steps:
        yield render_problems([fault])
        yield Text()
        return
    yield Text(f"    {fault.code}: {wrap_prose(fault.message, 4)}")


def _render_key(one: KeyHealth) -> Text:
    arn = f" {one.key_arn}" if one.key_arn else ""
    return Text.assemble("  ", _KEY_USE_MARKS[one.use], f" {one.key.display_name}{arn}: {one.use}")


def _render_deadline(health: EnvironmentHealth, now: datetime) -> Iterator[Text]:
    until = health.recoverable_until
    if until is None:
        return
    if until <= now:
        yield Text(f"  The cluster can no longer be recovered: the deadline was {format_time(until)}.", "bold red")
        return
    left = format_duration(until - now)
    yield Text(f"  The cluster can be recovered until {format_time(until)} ({left} left).", "bold red")


def _render_deletions(health: EnvironmentHealth, now: datetime) -> Iterator[Text]:
    """Render the dates on which KMS will delete keys, as reported by CloudTrail. byok cannot verify these dates."""
    for one in health.deletions:
        if one.delete_at is None:
            continue
        left = f"in {format_duration(one.delete_at - now)}" if one.delete_at > now else "which has passed"
        text = (
            f"The {one.key.display_name} is scheduled for deletion on {format_time(one.delete_at)} ({left}), as "
            f"reported by CloudTrail in the customer's account at {format_time(one.reported_at)}."
        )
        yield Text(f"  {wrap_prose(text, 2)}", "bold red")
