"""Findings about keys and policies, shared by the policy check and the diagnosis."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement


class Severity(StrEnum):
    """The consequence of a finding, the worst first."""

    STOPS = "stops provisioning"
    LATER = "breaks a later operation"
    UNKNOWN = "cannot be determined from here"
    TOO_WIDE = "allows more than it should"
    NOTE = "good to know"

    @property
    def rank(self) -> int:
        """Sort order; lower is worse."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One error, and its remedy.

    Attributes:
        code: `policy.…`, `key.…` or `arn.…`.
        key: Which of the two keys, or None if the finding is about both or neither.
        severity: The consequence.
        message: What was found and what is expected.
        remedy: What to do.
        permissions: The permissions that are missing as a result.
        sid: The policy statement that the finding is about.
        paste: The correct statements, if pasting them fixes the error.
    """

    code: str
    key: KeyPurpose | None
    severity: Severity
    message: str
    remedy: str
    permissions: tuple[str, ...] = ()
    sid: str | None = None
    paste: tuple[Statement, ...] = ()

    def as_json_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-serializable data."""
        return asdict(self)
