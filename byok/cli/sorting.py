"""Sort the list of environments."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from byok.service.status import EnvironmentSummary


class SortKey(StrEnum):
    """What `byok list` sorts by."""

    CREATED = "created"
    NAME = "name"
    PHASE = "phase"
    HEALTH = "health"
    REGION = "region"
    PROBLEM = "problem"


_SORT_VALUES: Final["dict[SortKey, Callable[[EnvironmentSummary], str]]"] = {
    SortKey.NAME: lambda one: one.environment_id,
    SortKey.PHASE: lambda one: one.phase,
    SortKey.HEALTH: lambda one: one.health or "",
    SortKey.REGION: lambda one: one.region or "",
    SortKey.PROBLEM: lambda one: one.problem_code or "",
}


def sort_environments(found: "Sequence[EnvironmentSummary]", key: SortKey) -> "list[EnvironmentSummary]":
    """Sort environments that are sorted by their creation; equal ones keep this order, and those without a value end.

    Args:
        found: The environments, most recently created first.
        key: What to sort by.
    """
    value = _SORT_VALUES.get(key)
    return list(found) if value is None else sorted(found, key=lambda one: (not value(one), value(one)))
