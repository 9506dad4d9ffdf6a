"""Whose environments there are, and what somebody may do with them."""

from enum import StrEnum
from typing import Final

ORGANISATION_PATTERN: Final = r"^[a-z][a-z0-9]{0,15}$"
"""No hyphen: the first one of an environment's id ends the organisation's name, and no two share an id."""

EVERY_ORGANISATION: Final = "*"
"""Stands for the vendor's own people, who see all."""


class Scope(StrEnum):
    """What a caller may do."""

    READ = "environments:read"
    WRITE = "environments:write"
    DELETE = "environments:delete"


def organisation_of_environment(environment_id: str) -> str:
    """Whose an environment is, seen from its id alone."""
    return environment_id.partition("-")[0]
