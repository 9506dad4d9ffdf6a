"""Sort the list of environments."""

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from byok.service.status import EnvironmentSummary


class SortKey(StrEnum):
    """The sort keys of `byok list`."""

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
    """Sort environments. The sort is stable, and environments without a value come last.

    Args:
        found: The environments, most recently created first.
        key: The sort key.
    """
    value = _SORT_VALUES.get(key)
    return list(found) if value is None else sorted(found, key=lambda one: (not value(one), value(one)))
