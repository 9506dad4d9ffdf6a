"""The model of findings about keys and policies, which the policy check and the diagnosis share."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement


class Severity(StrEnum):
    """The consequence of a finding. The enum lists the worst consequence first."""

    STOPS = "stops provisioning"
    LATER = "breaks a later operation"
    UNKNOWN = "cannot be determined from here"
    TOO_WIDE = "allows more than it should"
    NOTE = "good to know"

    @property
    def rank(self) -> int:
        """The sort order. A lower rank means a more severe finding."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """An error or a note about a key or a key policy, with its remedy.

    Attributes:
        code: The code of the finding: `policy.…`, `key.…`, `arn.…` or `caller.…`.
        key: Which of the two keys the finding is about, or None if it is about both keys or neither.
        severity: The consequence of the finding.
        message: What byok found, and what byok expected.
        remedy: What to do about the finding.
        permissions: The permissions that are missing as a result of the error.
        sid: The Sid of the policy statement that the finding is about, if any.
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
