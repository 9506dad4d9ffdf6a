"""The causes of a denied call, from the most to the least likely, and the classes that explain a denial."""

from dataclasses import dataclass
from enum import StrEnum


class DenialCause(StrEnum):
    """Why a call is denied, or why byok cannot decide whether the call is allowed.

    Each member's value is the code of a finding. The order of the members determines their rank.
    """

    EXPLICIT_DENY = "policy.ExplicitDeny"
    STATEMENT_MISSING = "policy.StatementMissing"
    OTHER_KEYS_STATEMENT = "policy.StatementOfTheOtherKey"
    PLACEHOLDER = "policy.PlaceholderLeft"
    NOT_PRINCIPAL = "policy.NotPrincipal"
    ORPHANED_PRINCIPAL = "policy.OrphanedPrincipal"
    SESSION_PRINCIPAL = "policy.PrincipalIsASession"
    SERVICE_PRINCIPAL = "policy.PrincipalIsAService"
    ROLE_OF_ANOTHER_ACCOUNT = "policy.RoleOfAnotherAccount"
    OTHER_ROLE = "policy.OtherRole"
    ROLE_SPELLING = "policy.RoleSpelledDifferently"
    WRONG_REGION = "policy.WrongRegionInViaService"
    WRONG_SERVICE = "policy.WrongServiceInViaService"
    WRONG_ACCOUNT = "policy.WrongAccount"
    WRONG_ORGANISATION = "policy.WrongOrganisation"
    GRANT_CONDITION = "policy.WrongGrantCondition"
    TIGHTENED = "policy.Tightened"
    CONDITION = "policy.ConditionNotMet"
    NOT_ACTION = "policy.NotAction"
    STAR_MISSING = "policy.StarMissing"
    ACTION_MISSING = "policy.ActionMissing"
    RESOURCE = "policy.ResourceNotStar"
    DENY_UNKNOWABLE = "policy.DenyCannotBeSaid"
    UNKNOWABLE = "policy.CannotBeSaid"

    @property
    def rank(self) -> int:
        """The sort order. A cause with a lower rank is more likely, and must be fixed first."""
        return list(DenialCause).index(self)


@dataclass(frozen=True)
class StatementMismatch:
    """One part of a statement that does not match a call.

    Attributes:
        cause: The kind of mismatch.
        words: A sentence that compares this part of the statement with the part that byok requires.
    """

    cause: DenialCause
    words: str


@dataclass(frozen=True)
class DenialExplanation:
    """Why a call is denied.

    Attributes:
        sid: The Sid of the statement that comes closest to allowing the call, or None if there is no such statement.
        misfits: The mismatches of that statement, the most likely cause first; never empty.
    """

    sid: str | None
    misfits: tuple[StatementMismatch, ...]
