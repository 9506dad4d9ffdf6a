"""Prepares the health of a READY environment for its page and for the list of environments (contract 139-142)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from byok.domain.durations import format_duration
from byok.domain.models import EnvironmentHealth, HealthState, KeyHealth, KeyUse, Problem

_STATE_NAMES: Final[Mapping[HealthState, str]] = {
    HealthState.KEY_LOST: "Key lost",
    HealthState.DEGRADED: "Degraded",
    HealthState.RECOVERING: "Recovering",
    HealthState.UNKNOWN: "Unknown",
    HealthState.HEALTHY: "Healthy",
}
"""The names of the health statuses, in the order in which the list's filter shows them."""

_TONES: Final[Mapping[HealthState, str]] = {
    HealthState.KEY_LOST: "danger",
    HealthState.DEGRADED: "warning",
    HealthState.RECOVERING: "info",
    HealthState.HEALTHY: "success",
}

_EXPLANATIONS: Final[Mapping[HealthState, str]] = {
    HealthState.HEALTHY: "Both keys work, and the settings of all resources are correct.",
    HealthState.DEGRADED: "Both keys work, but a resource is missing, or a setting of a resource was changed.",
    HealthState.KEY_LOST: "AWS rejects requests that use one of this environment's keys.",
    HealthState.RECOVERING: "The key works again, and RDS is starting the cluster. You do not need to do anything.",
    HealthState.UNKNOWN: "The keys have not been verified for more than 10 minutes. This does not mean that "
    "anything is wrong with your keys.",
}

_PROBLEMS: Final[Mapping[HealthState, str]] = {
    HealthState.KEY_LOST: "A key cannot be used",
    HealthState.DEGRADED: "A resource was changed or deleted",
}

_USES: Final[Mapping[KeyUse, tuple[str, str]]] = {
    KeyUse.PROVED: ("verified", "S3 used the key during the last check."),
    KeyUse.IN_USE: (
        "in use",
        "The running cluster uses the key. This does not prove that RDS could use the key for a new cluster, because a "
        "change to the key policy does not affect a running cluster.",
    ),
    KeyUse.REFUSED: (
        "cannot be used",
        "AWS rejected a request that uses the key, or the cluster has lost access to the key.",
    ),
    KeyUse.UNREACHABLE: ("not checked", "AWS did not return a result for the key. Your key is not the cause."),
    KeyUse.PLATFORM_MANAGED: ("platform-managed", "You do not need to do anything."),
}


@dataclass(frozen=True)
class StateLabel:
    """The name of a health status, and the tone of its badge.

    The name alone conveys the status; the colour of the badge adds no information.
    """

    state: HealthState
    name: str

    @property
    def problem(self) -> str:
        """What is wrong, for the list of environments; empty if nothing is known to be wrong."""
        return _PROBLEMS.get(self.state, "")

    @property
    def tone(self) -> str:
        """The tone of the badge (`badge--…` in `static/components.css`); empty for the neutral tone."""
        return _TONES.get(self.state, "")


STATE_LABELS: Final[Mapping[HealthState, StateLabel]] = {
    state: StateLabel(state, name) for state, name in _STATE_NAMES.items()
}


@dataclass(frozen=True)
class KeyLine:
    """The result of the last check for one key.

    Attributes:
        use: The result in one or two words.
        explanation: A sentence that explains the result.
    """

    key: KeyHealth
    use: str
    explanation: str


@dataclass(frozen=True)
class Deadline:
    """The deadline by which the key must work again so that Aurora can recover the cluster (contract 142).

    Attributes:
        left: The remaining time as text; None if the deadline has passed.
    """

    at: datetime
    left: str | None


@dataclass(frozen=True)
class DeletionLine:
    """A key that is scheduled for deletion, as reported by the customer's account.

    Attributes:
        key: The name of the key.
        left: The remaining time as text; None if the date has passed.
    """

    key: str
    at: datetime
    reported_at: datetime
    left: str | None


@dataclass(frozen=True)
class HealthView:
    """The health of an environment, prepared for the page.

    Attributes:
        last: The label of the health status at the last verification.
        verified_ago: How long ago the keys were last verified, as text.
        asked: Whether the user has just requested a check. If so, `unreachable` refers to that check.
    """

    health: EnvironmentHealth
    label: StateLabel
    last: StateLabel
    explanation: str
    verified_ago: str
    keys: tuple[KeyLine, ...]
    deadline: Deadline | None
    deletions: tuple[DeletionLine, ...] = ()
    asked: bool = False

    @classmethod
    def from_health(cls, health: EnvironmentHealth, now: datetime, *, asked: bool = False) -> "HealthView":
        """Build the view of an environment's health.

        Args:
            health: The health.
            now: The current time.
            asked: Whether the user has just requested a check.
        """
        until = health.recoverable_until
        return cls(
            health,
            STATE_LABELS[health.state],
            STATE_LABELS[health.last_state],
            _EXPLANATIONS[health.state],
            format_age(now - health.proved_at),
            tuple(KeyLine(one, *_USES[one.use]) for one in health.keys),
            None if until is None else Deadline(until, format_time_left(until - now)),
            tuple(
                DeletionLine(
                    one.key.display_name, one.delete_at, one.reported_at, format_time_left(one.delete_at - now)
                )
                for one in health.deletions
                if one.delete_at is not None
            ),
            asked,
        )

    @property
    def is_unknown(self) -> bool:
        """Whether the keys have not been verified recently."""
        return self.health.state is HealthState.UNKNOWN

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems that the last check found."""
        return self.health.problems


def format_age(age: timedelta) -> str:
    """Return an age as text in its largest unit, such as `2 minutes ago`."""
    return f"{format_duration(age, units=1)} ago"


def format_time_left(left: timedelta) -> str | None:
    """Return a remaining time in its two largest units, such as `6 days 3 hours`; None if no time is left."""
    return format_duration(left) if left > timedelta() else None
