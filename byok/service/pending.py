"""Describes pending steps in the words that both the terminal and the browser show."""

from datetime import UTC, datetime

from byok.service.status import PendingStep


def describe_pending_step(item: PendingStep) -> str:
    """Describe a pending step in one line."""
    if item.activity is None and item.last_failure:
        return f"the worker cannot make progress, attempt {item.attempt}: {item.last_failure}"
    what = item.activity.replace("_", " ") if item.activity else "the workflow"
    if item.unclaimed:
        return f"{what}: no worker has claimed it for {int((datetime.now(UTC) - item.since).total_seconds())} s"
    problem = item.last_problem
    if problem is not None and problem.operation is not None:
        return f"{what}, attempt {item.attempt}: {problem.operation} failed with {problem.code}: {problem.message}"
    # Waiting for a database is not a failure, so the number of polls is left out.
    return f"{what}: {item.last_failure}" if item.last_failure else what
