"""Whose a resource is: its tags say so, and never its name alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from byok.domain.models import Environment
from byok.domain.phases import Phase


def has_environment_tag(tags: Iterable[Mapping[str, Any]], environment: Environment) -> bool:
    """Whether the environment's tag is among these, which are as S3 and RDS both give them."""
    return {"Key": environment.environment_tag, "Value": environment.environment_id} in tags


def reason_to_keep(tags: Iterable[Mapping[str, Any]], environment: Environment, phase: Phase) -> str | None:
    """Why a resource is not to be removed, None where it is.

    A rollback undoes its own run alone: what an earlier one made may have been handed over since.

    Args:
        tags: Its own.
        environment: Whose it has to be.
        phase: Of a rollback or a deletion.
    """
    tags = list(tags)
    if not has_environment_tag(tags, environment):
        return "it does not bear this environment's tag"
    if phase is Phase.ROLLING_BACK and {"Key": environment.run_tag, "Value": environment.run_id} not in tags:
        return "an earlier run of this environment made it, and it may be in use; `byok delete` removes it"
    return None
