"""A rule of the error table, and functions that build rules."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from byok.domain.problems.remediation import Remedy


class ErrorOutcome(StrEnum):
    """What to do about an error."""

    STOP = "stop"
    STOP_AFTER_GRACE = "stop_after_grace"
    RETRY = "retry"
    EXISTS = "exists"
    ABSENT = "absent"


@dataclass(frozen=True)
class ErrorRule:
    """One rule of the table.

    Attributes:
        service: botocore's name of the service.
        code: The wire code.
        outcome: What to do.
        remedy: The remedy to show.
        customer_key: Whether the error is about a customer's key.
        message: Pattern that the message must match, if the code alone is too broad.
    """

    service: str
    code: str
    outcome: ErrorOutcome
    remedy: Remedy = Remedy.PLATFORM_OPERATOR
    customer_key: bool = False
    message: re.Pattern[str] | None = None


def error_rules(service: str, outcome: ErrorOutcome, remedy: Remedy, *codes: str) -> tuple[ErrorRule, ...]:
    """Build rules for codes with the same outcome that are not about a customer's key."""
    return tuple(ErrorRule(service, code, outcome, remedy) for code in codes)


def key_error_rule(
    service: str, code: str, outcome: ErrorOutcome, remedy: Remedy, message: str | None = None, *, customer: bool = True
) -> ErrorRule:
    """Build a rule for a code that is about a key: the customer's, by default.

    Args:
        service: botocore's name of the service.
        code: The wire code.
        outcome: What to do.
        remedy: The remedy to show.
        message: Regular expression that the message must match.
        customer: Whether the error is about a customer's key.
    """
    return ErrorRule(service, code, outcome, remedy, customer, re.compile(message) if message else None)


STOP: Final = ErrorOutcome.STOP
STOP_AFTER_GRACE: Final = ErrorOutcome.STOP_AFTER_GRACE
RETRY: Final = ErrorOutcome.RETRY
