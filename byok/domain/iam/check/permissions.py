"""Determines for each permission which statement allows or denies the call, or why the decision is uncertain."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformCall, PlatformPrincipal
from byok.domain.iam.check.denial_causes import DenialCause, StatementMismatch
from byok.domain.iam.check.near_misses import expected_sid, find_near_miss
from byok.domain.iam.check.statement_matching import StatementMatch, match_statements
from byok.domain.iam.check.tightening import ends_in_time, explain_added_condition, find_added_conditions
from byok.domain.iam.evaluator import AccessRequest, Policy, PrincipalMatch
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements
from byok.domain.vendor import VendorProfile


class Verdict(StrEnum):
    """The policy's decision on a call."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class PermissionResult:
    """The policy's decision on one of the platform's calls.

    Attributes:
        call: The call.
        verdict: The policy's decision on the call.
        sid: The Sid of the deciding statement, or of the statement that comes closest to allowing the call.
        misfits: The reasons why the call is not allowed; empty if it is allowed.
        tightened: The conditions that the customer added to the deciding statement, if the call satisfies them. Each
            item is the description of a condition, with a flag that is True if the condition will expire.
    """

    call: PlatformCall
    verdict: Verdict
    sid: str | None
    misfits: tuple[StatementMismatch, ...] = ()
    tightened: tuple[tuple[str, bool], ...] = ()


def statements_by_sid(which: KeyPurpose, platform: PlatformPrincipal, vendor: VendorProfile) -> dict[str, Statement]:
    """Return byok's statements for a key, each under its Sid."""
    grantee = StatementParameters.for_platform_role(platform.role_arn, platform.region, platform.organisation)
    return {one["Sid"]: one for one in build_key_statements(which, grantee, vendor)}


def decide_permission(
    policy: Policy, which: KeyPurpose, call: PlatformCall, platform: PlatformPrincipal, vendor: VendorProfile
) -> PermissionResult:
    """Decide one permission.

    The permission is granted only if the policy allows the call with every encryption context that S3 sends.
    """
    ours = statements_by_sid(which, platform, vendor)[expected_sid(which, call, vendor)]
    results = [
        _decide(policy, which, call, access, platform, vendor, ours)
        for access in platform.access_requests_for(call, vendor)
    ]
    return min(results, key=lambda result: _WORST_FIRST.index(result.verdict))


_WORST_FIRST: Final = (Verdict.DENIED, Verdict.UNKNOWN, Verdict.ALLOWED)


def _decide(
    policy: Policy,
    which: KeyPurpose,
    call: PlatformCall,
    access: AccessRequest,
    platform: PlatformPrincipal,
    vendor: VendorProfile,
    ours: Statement,
) -> PermissionResult:
    found = match_statements(policy, access, platform)
    denying, in_doubt = first_match(found, "Deny", True), first_match(found, "Deny", None)
    if denying is not None:
        words = f"The statement {denying.one.sid} has Effect Deny and applies to the platform role."
        return PermissionResult(
            call, Verdict.DENIED, denying.one.sid, (StatementMismatch(DenialCause.EXPLICIT_DENY, words),)
        )
    allowing, perhaps = first_match(found, "Allow", True), first_match(found, "Allow", None)
    if in_doubt is not None and (allowing or perhaps):
        return _doubtful(call, in_doubt, DenialCause.DENY_UNKNOWABLE)
    if allowing is not None:
        return PermissionResult(call, Verdict.ALLOWED, allowing.one.sid, tightened=_additions(found, call, ours))
    if perhaps is not None:
        if find_added_conditions(perhaps.one.statement, ours):
            miss = find_near_miss(policy, which, call, access, platform, vendor, ours)
            return PermissionResult(call, Verdict.UNKNOWN, miss.sid, miss.misfits)
        return _doubtful(call, perhaps, DenialCause.UNKNOWABLE)
    miss = find_near_miss(policy, which, call, access, platform, vendor, ours)
    return PermissionResult(call, Verdict.DENIED, miss.sid, miss.misfits)


def first_match(found: list[StatementMatch], effect: str, applies: bool | None) -> StatementMatch | None:
    """Return the first statement that has the given effect and applies to the call, or None.

    If `applies` is None, return the first statement that might apply. A statement for the caller itself takes
    precedence over a statement for the caller's whole account.
    """
    fitting = [match for match in found if match.one.statement["Effect"] == effect and match.applies is applies]
    return min(fitting, key=lambda match: match.one.addressed is PrincipalMatch.ACCOUNT, default=None)


def _additions(found: list[StatementMatch], call: PlatformCall, ours: Statement) -> tuple[tuple[str, bool], ...]:
    """Return the conditions that a call must satisfy in addition to the conditions of byok's own statement."""
    allowing = [match.one for match in found if match.one.statement["Effect"] == "Allow" and match.applies]
    added = [find_added_conditions(one.statement, ours) for one in allowing]
    if not all(added):
        return ()
    return tuple(
        (explain_added_condition(test, call), ends_in_time(test))
        for test in allowing[0].conditions
        if (test.operator, test.key.lower()) in added[0]
    )


def _doubtful(call: PlatformCall, match: StatementMatch, cause: DenialCause) -> PermissionResult:
    return PermissionResult(
        call, Verdict.UNKNOWN, match.one.sid, tuple(StatementMismatch(cause, words) for words in match.doubts)
    )
