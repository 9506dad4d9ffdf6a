"""The model for findings about keys and policies. The policy check and the diagnosis share this model."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import Statement
from byok.domain.remediation import Actor, Remediation, RemedyStep


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
        remediation: What to do about the finding.
        permissions: The permissions that are missing as a result of the error.
        sid: The Sid of the policy statement that the finding is about, if any.
        paste: The correct statements, if pasting them fixes the error.
    """

    code: str
    key: KeyPurpose | None
    severity: Severity
    message: str
    remediation: Remediation
    permissions: tuple[str, ...] = ()
    sid: str | None = None
    paste: tuple[Statement, ...] = ()

    def as_json_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-serializable data. The statements to paste are part of the remedy."""
        return {
            "code": self.code,
            "key": self.key,
            "severity": self.severity,
            "message": self.message,
            "remediation": self.remediation.model_dump(mode="json"),
            "permissions": self.permissions,
            "sid": self.sid,
        }


def build_finding_remedy(title: str, text: str, paste: Sequence[Statement] = ()) -> Remediation:
    """Build a remedy that consists of a single step.

    Args:
        title: What is wrong, in one sentence.
        text: The instruction.
        paste: The statements to paste.
    """
    step = RemedyStep(text=text, actor=Actor.KEY_ADMINISTRATOR, statement=format_statements(paste) or None)
    return Remediation(title=title, steps=(step,))


def format_statements(statements: Sequence[Statement]) -> str:
    """Return statements as JSON text that the user can paste into a Statement array (contract 27)."""
    return ",\n".join(json.dumps(statement, indent=2) for statement in statements)
