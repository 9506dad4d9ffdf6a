"""Refuses a request whose kind of encryption differs from that of the existing resources (contract 9, 132)."""

from dataclasses import replace

from activities.failures import ActivityContext
from byok.domain.arns import KeyPurpose
from byok.domain.encryption import ENCRYPTION_CANNOT_CHANGE_CODE, explain_encryption_conflict, find_encryption_of_key
from byok.domain.models import Problem
from byok.domain.problems.remediation import Remedy


def find_encryption_conflict(step: ActivityContext, key: str | None) -> str | None:
    """Return why the environment cannot have the requested encryption; None if the resource's key matches the request.

    The owner of the key determines which kind of encryption the environment has, so this check does not need Temporal's
    records.

    Args:
        step: The activity's context.
        key: The key that AWS reports for one of the environment's resources.
    """
    environment = step.environment
    actual = find_encryption_of_key(key, environment.platform_account)
    if actual is None or actual is environment.encryption:
        return None
    return explain_encryption_conflict(environment.environment_id, actual)


def require_same_encryption(step: ActivityContext, name: str, key: str | None) -> None:
    """Stop if a resource's key shows that the environment does not have the requested kind of encryption.

    Args:
        step: The activity's context.
        name: The name of the resource, for use in the error message.
        key: The key that AWS reports for the resource.

    Raises:
        ApplicationError: `byok.EncryptionCannotChange`, if the resource has the other kind of encryption.
    """
    conflict = find_encryption_conflict(step, key)
    if conflict is not None:
        message = f"{conflict} {name} is encrypted with {key}."
        raise step.non_retryable_error(ENCRYPTION_CANNOT_CHANGE_CODE, message, Remedy.ENCRYPTION_CANNOT_CHANGE)


def build_conflict_problems(step: ActivityContext, conflict: str) -> tuple[Problem, ...]:
    """Build a problem for each of the customer's two keys, because the environment can use neither key."""
    return tuple(
        replace(step, key=which).build_problem(
            ENCRYPTION_CANNOT_CHANGE_CODE, conflict, Remedy.ENCRYPTION_CANNOT_CHANGE, customer_key=True
        )
        for which in KeyPurpose
    )
