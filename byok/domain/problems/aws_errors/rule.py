"""The model of a rule in the error table, and functions that build rules."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.problems.remediation import Remedy


class ErrorOutcome(StrEnum):
    """What byok does when AWS returns an error.

    RETRY is for a busy resource; if the resource stays busy for too long, byok stops. HOLD is for a platform fault,
    such as rejected credentials, a wrong clock, throttling or an outage. The customer never causes such a fault, so
    byok retries for hours, with increasingly long pauses (contract 151).
    """

    STOP = "stop"
    STOP_AFTER_GRACE = "stop_after_grace"
    RETRY = "retry"
    HOLD = "hold"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True)
class ErrorRule:
    """One rule of the error table.

    Attributes:
        service: botocore's name for the service.
        code: The error code in AWS's response.
        outcome: What byok does.
        remedy: The remedy that byok shows.
        customer_key: Whether the error concerns a customer's key.
        message: Pattern that AWS's message must match; None if the code alone identifies the error.
    """

    service: str
    code: str
    outcome: ErrorOutcome
    remedy: Remedy = Remedy.PLATFORM_OPERATOR
    customer_key: bool = False
    message: re.Pattern[str] | None = None

    @property
    def key(self) -> KeyPurpose | None:
        """The customer's key that the error concerns; None if it concerns no such key, or can concern either key."""
        return KeyPurpose(self.service) if self.customer_key and self.service in set(KeyPurpose) else None


def error_rules(service: str, outcome: ErrorOutcome, remedy: Remedy, *codes: str) -> tuple[ErrorRule, ...]:
    """Build a rule for each of several error codes that have the same outcome and do not concern a customer's key."""
    return tuple(ErrorRule(service, code, outcome, remedy) for code in codes)


def key_error_rule(
    service: str, code: str, outcome: ErrorOutcome, remedy: Remedy, message: str | None = None, *, customer: bool = True
) -> ErrorRule:
    """Build a rule for an error code that concerns a key.

    Args:
        service: botocore's name for the service.
        code: The error code in AWS's response.
        outcome: What byok does.
        remedy: The remedy that byok shows.
        message: Regular expression that AWS's message must match; None if the code alone identifies the error.
        customer: Whether the key belongs to a customer.
    """
    return ErrorRule(service, code, outcome, remedy, customer, re.compile(message) if message else None)


STOP: Final = ErrorOutcome.STOP
STOP_AFTER_GRACE: Final = ErrorOutcome.STOP_AFTER_GRACE
RETRY: Final = ErrorOutcome.RETRY
HOLD: Final = ErrorOutcome.HOLD
