"""Which environment owns a resource. Tags decide, never the name alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from byok.domain.models import Environment
from byok.domain.phases import Phase


def has_environment_tag(tags: Iterable[Mapping[str, Any]], environment: Environment) -> bool:
    """Return whether the tags, in the format that S3 and RDS share, include the environment's tag."""
    return {"Key": environment.environment_tag, "Value": environment.environment_id} in tags


def reason_to_keep(tags: Iterable[Mapping[str, Any]], environment: Environment, phase: Phase) -> str | None:
    """Return why a resource must be kept, or None if it may be removed.

    A rollback undoes only its own run: the vendor may already have handed over what an earlier run created.

    Args:
        tags: The resource's tags.
        environment: The environment that must own it.
        phase: The phase of the rollback or the deletion.
    """
    tags = list(tags)
    if not has_environment_tag(tags, environment):
        return "it does not have this environment's tag"
    if phase is Phase.ROLLING_BACK and {"Key": environment.run_tag, "Value": environment.run_id} not in tags:
        return "an earlier run of this environment created it, and it may be in use; `byok delete` removes it"
    return None
