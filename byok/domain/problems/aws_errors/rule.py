"""A row of the table, and the few forms in which rows are written."""

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
    """One line of the table.

    Attributes:
        service: botocore's name of the service.
        code: The wire code.
        outcome: What to do.
        remedy: Which advice a person gets.
        customer_key: Whether it is a customer's key that AWS refused.
        message: What the message has to contain, where the code alone is too broad.
    """

    service: str
    code: str
    outcome: ErrorOutcome
    remedy: Remedy = Remedy.PLATFORM_OPERATOR
    customer_key: bool = False
    message: re.Pattern[str] | None = None


def error_rules(service: str, outcome: ErrorOutcome, remedy: Remedy, *codes: str) -> tuple[ErrorRule, ...]:
    """Codes that mean the same, and are no fault of a customer's key."""
    return tuple(ErrorRule(service, code, outcome, remedy) for code in codes)


def key_error_rule(
    service: str, code: str, outcome: ErrorOutcome, remedy: Remedy, message: str | None = None, *, customer: bool = True
) -> ErrorRule:
    """A code that is about a key: the customer's, unless it is said otherwise.

    Args:
        service: botocore's name of the service.
        code: The wire code.
        outcome: What to do.
        remedy: Which advice a person gets.
        message: What the message has to contain, as a regular expression.
        customer: Whether it is a customer's key that AWS refused.
    """
    return ErrorRule(service, code, outcome, remedy, customer, re.compile(message) if message else None)


STOP: Final = ErrorOutcome.STOP
STOP_AFTER_GRACE: Final = ErrorOutcome.STOP_AFTER_GRACE
RETRY: Final = ErrorOutcome.RETRY
