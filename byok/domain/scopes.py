"""Organisations that own environments, and the scopes of API callers."""

from enum import StrEnum
from typing import Final

ORGANISATION_PATTERN: Final = r"^[a-z][a-z0-9]{0,15}$"
"""No hyphens: the first hyphen in an environment id ends the organisation's name, so two never share an id."""

EVERY_ORGANISATION: Final = "*"
"""Wildcard for the vendor's own staff, who can access all environments."""


class Scope(StrEnum):
    """A permission of an API caller."""

    READ = "environments:read"
    WRITE = "environments:write"
    DELETE = "environments:delete"


def organisation_of_environment(environment_id: str) -> str:
    """Return the organisation that owns an environment; its id starts with the organisation's name."""
    return environment_id.partition("-")[0]
