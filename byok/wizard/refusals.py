"""Explains why a retry, a cancellation or a deletion was not started, if another request has changed the environment.

The other request can come from another tab, from another user or from the command line.
"""

from dataclasses import dataclass

from byok.api.authentication import ANONYMOUS_CALLER
from byok.domain.phases import Phase
from byok.service.status import EnvironmentStatus


@dataclass(frozen=True)
class Refusal:
    """The reason why byok did not carry out the user's request.

    Attributes:
        title: What was not done.
        message: The reason, and what the user can do.
        is_fault: Whether something is wrong. Otherwise, what the user wants is already done or in progress.
    """

    title: str
    message: str
    is_fault: bool = True


def refuse_deletion(status: EnvironmentStatus) -> Refusal:
    """Explain why an environment that cannot be deleted now was not deleted."""
    name = status.environment_id
    if status.phase is Phase.DELETED:
        return Refusal(
            "The environment is already deleted",
            f"{name} was deleted before you confirmed the deletion. Your request changed nothing.",
            is_fault=False,
        )
    if status.phase is Phase.DELETING:
        return Refusal(
            "The deletion is already in progress",
            f"{name} is already being deleted{_by_whom(status)}. {_describe_snapshot(status)} Your request changed "
            "nothing.",
            is_fault=False,
        )
    if status.phase is Phase.ROLLING_BACK:
        return Refusal(
            "Nothing was deleted",
            "The resources that provisioning created are being removed. Wait until they are removed; then delete "
            f"{name}.",
        )
    if status.cancelling:
        return Refusal(
            "Nothing was deleted",
            f"Provisioning of {name} is being cancelled. Wait until provisioning has stopped; then delete {name}.",
        )
    return Refusal(
        "Nothing was deleted",
        f"{name} is being provisioned. Wait until provisioning has ended, or select Cancel; then delete {name}.",
    )


def explain_missed_retry(status: EnvironmentStatus) -> str | None:
    """Explain why an environment cannot be retried now; None if its status is not the reason."""
    name = status.environment_id
    if status.phase is Phase.STOPPED:
        return f"The deletion of {name} has stopped. To resume it, select Delete again." if status.is_deletion else None
    if status.phase is Phase.READY:
        return f"{name} is already ready, so there is nothing to retry."
    if status.phase is Phase.DELETED:
        return f"{name} has been deleted, so there is nothing to retry."
    if status.phase is Phase.DELETING:
        return f"{name} is being deleted{_by_whom(status)}, so it cannot be retried."
    if status.phase is Phase.ROLLING_BACK:
        return f"The resources that provisioning of {name} created are being removed. Retry once they are removed."
    if status.cancelling:
        return f"Provisioning of {name} is being cancelled. Retry once provisioning has stopped."
    return f"Provisioning of {name} has already been resumed{_by_whom(status)}. Your request changed nothing."


def _by_whom(status: EnvironmentStatus) -> str:
    known = status.requested_by and status.requested_by != ANONYMOUS_CALLER.subject
    return f" at the request of {status.requested_by}" if known else ""


def _describe_snapshot(status: EnvironmentStatus) -> str:
    if status.final_snapshot is None:  # no worker has reported the progress of the deletion yet
        return "The first request determines whether a final snapshot of the database is taken."
    return f"This deletion takes {'a' if status.final_snapshot else 'no'} final snapshot of the database."
