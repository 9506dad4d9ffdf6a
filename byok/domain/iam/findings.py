"""What an examination of keys and policies finds wrong: the same shape for a policy check and for a diagnosis."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement


class Severity(StrEnum):
    """What follows from a finding; the worst first."""

    STOPS = "stops provisioning"
    LATER = "stops something later"
    UNKNOWN = "cannot be said from here"
    TOO_WIDE = "allows more than it should"
    NOTE = "good to know"

    @property
    def rank(self) -> int:
        """The lower, the worse."""
        return list(Severity).index(self)


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong, and what to do about it.

    Attributes:
        code: `policy.…`, `key.…` or `arn.…`.
        key: Which of the two keys, None where it is about both or about neither.
        severity: What follows from it.
        message: What is there and what has to be.
        remedy: What to do.
        permissions: The permissions that are missing for it.
        sid: The policy statement that it is about.
        paste: The statements as they have to be, where that puts it right.
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
        """The same for programs."""
        return asdict(self)
