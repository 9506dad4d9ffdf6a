"""Organisations that own environments, and the scopes of API callers."""

from enum import StrEnum
from typing import Final

ORGANISATION_PATTERN: Final = r"^[a-z][a-z0-9]{0,15}$"
"""An organisation's name must not contain a hyphen, because the first hyphen in an environment id ends the
organisation's name. Two organisations can therefore never have an environment with the same id."""

EVERY_ORGANISATION: Final = "*"
"""The wildcard for the vendor's staff, who can access all environments."""


class Scope(StrEnum):
    """A permission of an API caller."""

    READ = "environments:read"
    WRITE = "environments:write"
    DELETE = "environments:delete"


def organisation_of_environment(environment_id: str) -> str:
    """Return the organisation that owns an environment. An environment id starts with the organisation's name."""
    return environment_id.partition("-")[0]
