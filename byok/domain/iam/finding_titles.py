"""The titles of the findings about key policies. Each title states in one sentence what is wrong."""

from typing import Final

from byok.domain.iam.check.denial_causes import DenialCause

TOO_WIDE_CODE: Final = "policy.TooWide"

FINDING_TITLES: Final[dict[str, str]] = {
    DenialCause.EXPLICIT_DENY: "A statement of the key policy denies the platform access",
    DenialCause.STATEMENT_MISSING: "The key policy lacks a statement for the platform",
    DenialCause.OTHER_KEYS_STATEMENT: "The key policy has the statement of the other key",
    DenialCause.PLACEHOLDER: "A statement still contains a placeholder",
    DenialCause.NOT_PRINCIPAL: "A statement uses NotPrincipal",
    DenialCause.ORPHANED_PRINCIPAL: "A statement names a principal that no longer exists",
    DenialCause.SESSION_PRINCIPAL: "A statement names a session instead of the platform's role",
    DenialCause.SERVICE_PRINCIPAL: "A statement names a service instead of the platform's role",
    DenialCause.ROLE_OF_ANOTHER_ACCOUNT: "A statement names a role of another account",
    DenialCause.OTHER_ROLE: "A statement names another role",
    DenialCause.ROLE_SPELLING: "A statement spells the platform's role differently",
    DenialCause.WRONG_REGION: "The condition on kms:ViaService names another Region",
    DenialCause.WRONG_SERVICE: "The condition on kms:ViaService names another service",
    DenialCause.WRONG_ACCOUNT: "A condition names another AWS account",
    DenialCause.WRONG_ORGANISATION: "A condition names another organisation",
    DenialCause.GRANT_CONDITION: "The condition on grants is wrong",
    DenialCause.TIGHTENED: "A statement has conditions that the platform does not expect",
    DenialCause.CONDITION: "The platform does not meet a condition",
    DenialCause.NOT_ACTION: "A statement uses NotAction",
    DenialCause.STAR_MISSING: "An action lacks the asterisk at its end",
    DenialCause.ACTION_MISSING: "A statement lacks an action",
    DenialCause.RESOURCE: "The Resource of a statement is not an asterisk",
    DenialCause.DENY_UNKNOWABLE: "A statement may deny the platform access",
    DenialCause.UNKNOWABLE: "Only AWS can tell whether the key policy allows the platform access",
    TOO_WIDE_CODE: "A statement allows more than the platform needs",
    "policy.NotJson": "The key policy is not valid JSON",
    "policy.NotAPolicy": "The text is not a key policy",
    "policy.NoStatement": "The key policy has no statements",
    "policy.Malformed": "The key policy is malformed",
    "policy.NameTwice": "A name occurs twice in the key policy",
    "policy.TooLarge": "The key policy is too large",
    "policy.DeletedPrincipal": "The key policy names a principal that was deleted",
    "policy.InvalidPrincipal": "The key policy names an invalid principal",
}
"""Maps the code of each finding to the finding's title."""
