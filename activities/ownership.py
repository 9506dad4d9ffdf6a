"""Decides which environment owns a resource, based on the resource's tags and never on its name alone."""

from collections.abc import Iterable, Mapping
from typing import Any

from byok.domain.models import Environment
from byok.domain.phases import Phase


def has_environment_tag(tags: Iterable[Mapping[str, Any]], environment: Environment) -> bool:
    """Return whether the tags include the environment's owner tags. S3 and RDS return tags in the same format."""
    return has_tags(tags, environment.owner_tags)


def has_tags(tags: Iterable[Mapping[str, Any]], wanted: Mapping[str, str]) -> bool:
    """Return whether the tags include all wanted tags."""
    found = list(tags)
    return all({"Key": key, "Value": value} in found for key, value in wanted.items())


def reason_to_keep(tags: Iterable[Mapping[str, Any]], environment: Environment, phase: Phase) -> str | None:
    """Return why a resource must be kept, or None if it may be removed.

    A rollback removes only the resources that its own run created, because the vendor may already have handed over the
    resources of an earlier run to the customer.

    Args:
        tags: The resource's tags.
        environment: The environment that must own the resource.
        phase: `Phase.ROLLING_BACK` or `Phase.DELETING`.
    """
    tags = list(tags)
    if not has_environment_tag(tags, environment):
        return "it does not have this environment's tag"
    if phase is Phase.ROLLING_BACK and {"Key": environment.run_tag, "Value": environment.run_id} not in tags:
        return "an earlier run of this environment created it, and it may be in use; `byok delete` removes it"
    return None
