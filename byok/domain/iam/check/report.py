"""The report on a key policy: one row per call, and the findings, with the most likely cause first."""

from dataclasses import dataclass
from typing import Any, Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import CALLS_BY_PURPOSE, NeededFor, PlatformPrincipal
from byok.domain.iam.check.denial_causes import DenialCause
from byok.domain.iam.check.document import NOT_A_POLICY_CODES, PolicyDocumentError, decode_text, parse_policy
from byok.domain.iam.check.near_misses import expected_sid, expected_sids
from byok.domain.iam.check.permissions import (
    PermissionResult,
    Verdict,
    decide_permission,
    first_match,
    statements_by_sid,
)
from byok.domain.iam.check.statement_matching import match_statements
from byok.domain.iam.evaluator import Policy
from byok.domain.iam.finding_titles import FINDING_TITLES, TOO_WIDE_CODE
from byok.domain.iam.findings import Finding, Severity, build_finding_remedy
from byok.domain.iam.statements import Statement
from byok.domain.vendor import VendorProfile


@dataclass(frozen=True)
class PolicyReport:
    """The result of checking a key policy for the platform.

    Attributes:
        which: The key that the policy was checked for.
        rows: The decision on each of the platform's calls.
        findings: The errors, with the most likely cause first; empty if the policy is correct.
    """

    which: KeyPurpose
    rows: tuple[PermissionResult, ...]
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool | None:
        """Whether the policy allows every call that provisioning needs, or None if that is unknown."""
        verdicts = {row.verdict for row in self.rows if row.call.need is NeededFor.PROVISIONING}
        if Verdict.DENIED in verdicts or not verdicts:
            return False
        return None if Verdict.UNKNOWN in verdicts else True

    def as_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON-serializable data."""
        return {
            "key": self.which.value,
            "usable": self.is_usable,
            "permissions": [
                {
                    "permission": row.call.permission,
                    "action": row.call.action,
                    "through": row.call.service,
                    "needed_for": row.call.need.value,
                    "purpose": row.call.purpose,
                    "verdict": row.verdict.value,
                    "sid": row.sid,
                    "why": [misfit.words for misfit in row.misfits],
                }
                for row in self.rows
            ],
            "findings": [finding.as_json_dict() for finding in self.findings],
        }


def check_policy(policy: Policy, which: KeyPurpose, platform: PlatformPrincipal, vendor: VendorProfile) -> PolicyReport:
    """Check a key policy against every call that the platform makes with the key.

    Args:
        policy: A structurally valid document from `document.parse_policy`.
        which: The key that the policy is for.
        platform: The platform role, Region and key.
        vendor: The vendor's names.
    """
    ours = statements_by_sid(which, platform, vendor)
    rows = tuple(decide_permission(policy, which, call, platform, vendor) for call in CALLS_BY_PURPOSE[which])
    denials = _denials(rows, which, ours, vendor)
    # If a finding already tells the user to replace or remove a statement, that statement needs no second finding.
    told = {sid for finding in denials for sid in (finding.sid, *(one["Sid"] for one in finding.paste))}
    if any(finding.code == DenialCause.OTHER_KEYS_STATEMENT for finding in denials):
        told |= expected_sids(which.other, vendor)
    wide = [one for one in _too_wide(policy, which, platform, vendor) if one.sid not in told]
    findings = [*denials, *wide, *(one for one in _tightened(rows, which) if one.sid not in told)]
    return PolicyReport(which, rows, tuple(sorted(findings, key=_order)))


def parse_and_check_policy(
    content: bytes, which: KeyPurpose, platform: PlatformPrincipal, vendor: VendorProfile
) -> PolicyReport:
    """Check a key policy given as text. If KMS would reject the policy, the report gives the reason.

    Args:
        content: A key policy, or the output of `aws kms get-key-policy`.
        which: The key that the policy is for.
        platform: The platform role, Region and key.
        vendor: The vendor's names.

    Raises:
        PolicyDocumentError: The text is not a key policy at all.
    """
    try:
        return check_policy(parse_policy(decode_text(content)), which, platform, vendor)
    except PolicyDocumentError as error:
        if error.code in NOT_A_POLICY_CODES:
            raise
        return invalid_document_report(error, which, statements_by_sid(which, platform, vendor).get(error.sid or ""))


def invalid_document_report(
    error: PolicyDocumentError, which: KeyPurpose, right: Statement | None = None
) -> PolicyReport:
    """Build the report on text that KMS would reject as a key policy.

    Args:
        error: Why KMS would reject the text.
        which: The key that the text is for.
        right: The correct statement, if the invalid statement has one of byok's Sids.
    """
    paste = () if right is None else (right,)
    text = (
        "Correct the error, or copy the policy again from the AWS KMS console (the key > Key policy > Switch to policy "
        "view). KMS does not save a malformed policy."
        if right is None
        else f"Replace the statement {right['Sid']} with this one. KMS does not save a malformed policy."
    )
    finding = Finding(
        code=error.code,
        key=which,
        severity=Severity.STOPS,
        message=str(error),
        remediation=build_finding_remedy(FINDING_TITLES[error.code], text, paste),
        sid=error.sid,
        paste=paste,
    )
    return PolicyReport(which, (), (finding,))


def _denials(
    rows: tuple[PermissionResult, ...], which: KeyPurpose, ours: dict[str, Statement], vendor: VendorProfile
) -> list[Finding]:
    """Build one finding per cause and statement, even if the cause affects several permissions."""
    together: dict[tuple[DenialCause, str | None, str], list[PermissionResult]] = {}
    for row in rows:
        if row.verdict is not Verdict.ALLOWED:
            where = row.sid or expected_sid(which, row.call, vendor)
            together.setdefault((row.misfits[0].cause, where, _explain_row(row)), []).append(row)
    return [_denial(cause, same, which, ours, vendor) for (cause, _, _), same in together.items()]


def _explain_row(row: PermissionResult) -> str:
    return " ".join(misfit.words for misfit in row.misfits if misfit.cause not in _PER_ACTION)


# Rows with the same cause and the same text become one finding. For the causes in `_PER_ACTION`, the text differs from
# action to action, so the text is not compared.
_PER_ACTION: Final = {DenialCause.ACTION_MISSING, DenialCause.STAR_MISSING, DenialCause.NOT_ACTION}
_NAMES_ITS_STATEMENT: Final = {DenialCause.EXPLICIT_DENY, DenialCause.OTHER_KEYS_STATEMENT}
_THEIRS: Final = {DenialCause.EXPLICIT_DENY, DenialCause.DENY_UNKNOWABLE}
"""The causes that the customer fixes by changing their own statement, not by pasting byok's statement."""


def _denial(
    cause: DenialCause,
    rows: list[PermissionResult],
    which: KeyPurpose,
    ours: dict[str, Statement],
    vendor: VendorProfile,
) -> Finding:
    first = rows[0]
    stops = any(row.call.need is NeededFor.PROVISIONING and row.verdict is Verdict.DENIED for row in rows)
    unknown = all(row.verdict is Verdict.UNKNOWN for row in rows)
    severity = Severity.UNKNOWN if unknown else Severity.STOPS if stops else Severity.LATER
    words = dict.fromkeys(misfit.words for row in rows for misfit in row.misfits)
    where = f"{_statement(first.sid)}: " if first.sid and cause not in _NAMES_ITS_STATEMENT else ""
    sids = dict.fromkeys(expected_sid(which, row.call, vendor) for row in rows)
    right = tuple(ours[sid] for sid in sids)
    paste = () if cause in _THEIRS and first.sid not in sids else right
    return Finding(
        code=cause.value,
        key=which,
        severity=severity,
        message=where + " ".join(words),
        remediation=build_finding_remedy(FINDING_TITLES[cause], _remedy(cause, first.sid, right), paste),
        permissions=tuple(dict.fromkeys(row.call.permission for row in rows)),
        sid=first.sid,
        paste=paste,
    )


def _statement(sid: str) -> str:
    """Return the text that identifies a statement in messages: its Sid, or its number if it has no Sid."""
    return sid.capitalize() if sid.startswith("statement ") else f"Statement {sid}"


def _remedy(cause: DenialCause, sid: str | None, right: tuple[Statement, ...]) -> str:
    these = "this statement" if len(right) == 1 else "these statements"
    of_ours = sid in {statement["Sid"] for statement in right}
    if cause is DenialCause.EXPLICIT_DENY and not of_ours:
        return (
            f"A Deny overrides every Allow. In the statement {sid}, make an exception for "
            f"{right[0]['Principal']['AWS']} with ArnNotEquals on aws:PrincipalArn, or remove the statement."
        )
    if cause is DenialCause.DENY_UNKNOWABLE and not of_ours:
        return "This might not be an error. Run `byok check` to test the key itself."
    if cause is DenialCause.TIGHTENED:
        return (
            f"Remove the added conditions from {sid}, or replace the statement with {these}. If you keep the "
            "conditions, run `byok check` to test the key itself."
        )
    if len(right) == 1 and of_ours:
        return f"Replace the statement {sid} with this one."
    if cause is DenialCause.OTHER_KEYS_STATEMENT:
        return f"Replace {sid}, which belongs in the other key's policy, with {these}."
    if cause is DenialCause.UNKNOWABLE:
        return (
            f"This might not be an error. Run `byok check` to test the key itself. To rule out an error, append "
            f"{these} to the Statement array, and do not change the other statements."
        )
    return f"Append {these} to the Statement array, and do not change the other statements."


def _too_wide(policy: Policy, which: KeyPurpose, platform: PlatformPrincipal, vendor: VendorProfile) -> list[Finding]:
    """Build one finding per statement that allows more than it should."""
    found: dict[str, list[str]] = {}
    for meaning, access in platform.forbidden_access_requests(which, vendor):
        matches = match_statements(policy, access, platform)
        allowing = first_match(matches, "Allow", True)
        if allowing is not None and first_match(matches, "Deny", True) is None:
            found.setdefault(allowing.one.sid, []).append(meaning)
    ours = statements_by_sid(which, platform, vendor)
    return [
        Finding(
            code=TOO_WIDE_CODE,
            key=which,
            severity=Severity.TOO_WIDE,
            message=f"{_statement(sid)} allows more than the platform needs: {meanings[0]}"
            + (f" (and {len(meanings) - 1} more)." if len(meanings) > 1 else "."),
            remediation=build_finding_remedy(
                FINDING_TITLES[TOO_WIDE_CODE], _narrower(sid, which, sid in ours, vendor), _own(sid, ours)
            ),
            sid=sid,
            paste=_own(sid, ours),
        )
        for sid, meanings in found.items()
    ]


def _tightened(rows: tuple[PermissionResult, ...], which: KeyPurpose) -> list[Finding]:
    """Build one finding per statement that allows a call only because the call satisfies added conditions."""
    together: dict[str, list[PermissionResult]] = {}
    for row in rows:
        if row.verdict is Verdict.ALLOWED and row.tightened and row.sid is not None:
            together.setdefault(row.sid, []).append(row)
    return [
        Finding(
            code=DenialCause.TIGHTENED.value,
            key=which,
            severity=Severity.LATER if any(ends for row in same for _, ends in row.tightened) else Severity.NOTE,
            message=" ".join(
                [f"{_statement(sid)}:", *dict.fromkeys(text for row in same for text, _ in row.tightened)]
            ),
            remediation=build_finding_remedy(
                FINDING_TITLES[DenialCause.TIGHTENED],
                "The platform can use the key only while these conditions are satisfied. Remove the conditions unless "
                "this restriction is intended.",
            ),
            sid=sid,
        )
        for sid, same in together.items()
    ]


def _own(sid: str, ours: dict[str, Statement]) -> tuple[Statement, ...]:
    return (ours[sid],) if sid in ours else ()


def _narrower(sid: str, which: KeyPurpose, of_this_key: bool, vendor: VendorProfile) -> str:
    if of_this_key:
        return f"Replace the statement {sid} with this one."
    if sid in expected_sids(which.other, vendor):
        return f"Remove the statement {sid}, which belongs in the {which.other.display_name}'s policy."
    return f"Check whether {sid} is intended to allow this access."


def _order(finding: Finding) -> tuple[int, int]:
    causes = [cause.value for cause in DenialCause]
    return finding.severity.rank, causes.index(finding.code) if finding.code in causes else len(causes)
