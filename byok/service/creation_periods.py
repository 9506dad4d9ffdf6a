"""Positions in the list of environments, and periods of creation time. byok reads the list period by period."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Self

from byok.contracts import CREATED_AT_ATTRIBUTE
from byok.service.status import EnvironmentSummary

CREATED_AT: Final = CREATED_AT_ATTRIBUTE.name
LONGER: Final = 16
"""The factor by which byok lengthens a period that contains too few environments."""

PRECISION: Final = timedelta(milliseconds=1)


class Position(NamedTuple):
    """A position in the list. The list begins with the highest position."""

    created_at: datetime
    environment_id: str

    @classmethod
    def of(cls, one: EnvironmentSummary) -> Self:
        """Return the position of an environment."""
        return cls(one.created_at, one.environment_id)

    @classmethod
    def decode(cls, token: bytes) -> Self:
        """Return the position that a page token contains."""
        created_at, _, environment_id = token.decode().partition(" ")
        return cls(datetime.fromisoformat(created_at), environment_id)

    def encode(self) -> bytes:
        """Return the page token that contains this position."""
        return f"{self.created_at.isoformat()} {self.environment_id}".encode()


@dataclass(frozen=True)
class Period:
    """A period in which environments were created.

    Attributes:
        begin: The first moment of the period; None if the period has no beginning.
        end: The first moment after the period; None if the period has no end.
    """

    begin: datetime | None
    end: datetime | None

    def __contains__(self, moment: datetime) -> bool:
        after_begin = self.begin is None or moment >= self.begin
        return after_begin and (self.end is None or moment < self.end)

    @property
    def condition(self) -> str:
        """A query condition that matches the workflows of all environments that were created in this period."""
        # A server can compare times with less than millisecond precision, so the period is extended by a millisecond on
        # each side.
        begin = None if self.begin is None else f"{CREATED_AT} >= '{(self.begin - PRECISION).isoformat()}'"
        end = None if self.end is None else f"{CREATED_AT} <= '{(self.end + PRECISION).isoformat()}'"
        return " AND ".join(one for one in (begin, end) if one) or f"{CREATED_AT} IS NOT NULL"


def choose_between(shorter: timedelta, longer: timedelta) -> timedelta:
    """Return the length of the next period to try: halfway between two lengths, or less if they differ greatly."""
    if longer > LONGER * shorter:
        return max(longer / LONGER, PRECISION)
    return (shorter + longer) / 2
