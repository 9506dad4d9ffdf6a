"""The names of organisations, and the scopes of API callers."""

from enum import StrEnum
from typing import Final

ORGANISATION_PATTERN: Final = r"^[a-z][a-z0-9]{0,15}$"
"""An organisation's name must not contain a hyphen, because the first hyphen in the id of an organisation's environment
marks the end of the organisation's name. Two organisations can therefore never request the same id."""

EVERY_ORGANISATION: Final = "*"
"""The wildcard for the vendor's staff, who can access all environments."""


class Scope(StrEnum):
    """A permission that an API caller can have."""

    READ = "environments:read"
    WRITE = "environments:write"
    DELETE = "environments:delete"
    ACCOUNTS = "accounts:write"


def environment_id_prefix(organisation: str | None) -> str:
    """Return the prefix for the ids of an organisation's new environments; empty if there is no organisation.

    The prefix only prevents two organisations from using the same id. The owner of an environment is the organisation
    in the request, regardless of the prefix.
    """
    return "" if organisation is None else f"{organisation}-"
