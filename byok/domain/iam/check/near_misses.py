"""Why a call is denied: which statement nearly allows it, and which of its parts does not fit.

A statement is looked at only where it is meant for the platform: by its Sid, by whom it names, or by its conditions.
The customer's own, for their own people, are not. Of those that are, the one with the fewest misfits is explained, and
every misfit of it is told.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformCall, PlatformPrincipal
from byok.domain.iam.check.statement_matching import (
    explain_unknowable_condition,
    is_condition_unknowable,
    is_resource_unknowable,
)
from byok.domain.iam.conditions import ConditionResult
from byok.domain.iam.evaluator import Policy, PrincipalMatch, StatementEvaluation, evaluate_statements
from byok.domain.iam.statements import via_service_value
from byok.domain.iam.wildcards import as_list
from byok.domain.vendor import VendorProfile


class DenialCause(StrEnum):
    """Why a call is denied, or why that cannot be said. The value is the diagnosis's code; the order is the rank."""

    EXPLICIT_DENY = "policy.ExplicitDeny"
    STATEMENT_MISSING = "policy.StatementMissing"
    OTHER_KEYS_STATEMENT = "policy.StatementOfTheOtherKey"
    PLACEHOLDER = "policy.PlaceholderLeft"
    NOT_PRINCIPAL = "policy.NotPrincipal"
    ORPHANED_PRINCIPAL = "policy.OrphanedPrincipal"
    SESSION_PRINCIPAL = "policy.PrincipalIsASession"
    WILDCARD_PRINCIPAL = "policy.PrincipalWithWildcard"
    SERVICE_PRINCIPAL = "policy.PrincipalIsAService"
    ROLE_OF_ANOTHER_ACCOUNT = "policy.RoleOfAnotherAccount"
    OTHER_ROLE = "policy.OtherRole"
    WRONG_REGION = "policy.WrongRegionInViaService"
    WRONG_SERVICE = "policy.WrongServiceInViaService"
    WRONG_ACCOUNT = "policy.WrongAccount"
    GRANT_CONDITION = "policy.WrongGrantCondition"
    CONDITION = "policy.ConditionNotMet"
    NOT_ACTION = "policy.NotAction"
    STAR_MISSING = "policy.StarMissing"
    ACTION_MISSING = "policy.ActionMissing"
    RESOURCE = "policy.ResourceNotStar"
    DENY_UNKNOWABLE = "policy.DenyCannotBeSaid"
    UNKNOWABLE = "policy.CannotBeSaid"

    @property
    def rank(self) -> int:
        """The lower, the more likely it is what is wrong, and what has to be put right first."""
        return list(DenialCause).index(self)


@dataclass(frozen=True)
class StatementMismatch:
    """One part of a statement that does not fit a call.

    Attributes:
        cause: In which way.
        words: What stands there and what has to.
    """

    cause: DenialCause
    words: str


@dataclass(frozen=True)
class DenialExplanation:
    """Why a call is denied.

    Attributes:
        sid: The statement that nearly allows it, or that denies it; None where there is none.
        misfits: What does not fit, the first one first; never empty.
    """

    sid: str | None
    misfits: tuple[StatementMismatch, ...]


def expected_sids(which: KeyPurpose, vendor: VendorProfile) -> set[str]:
    """The Sids of the statements that belong on a key."""
    if which is KeyPurpose.S3:
        return {vendor.s3_access_sid}
    return {vendor.rds_describe_key_sid, vendor.rds_grants_sid}


def expected_sid(which: KeyPurpose, call: PlatformCall, vendor: VendorProfile) -> str:
    """The Sid of the statement that is to allow a call."""
    if which is KeyPurpose.S3:
        return vendor.s3_access_sid
    return vendor.rds_describe_key_sid if call.action == "kms:DescribeKey" else vendor.rds_grants_sid


def find_near_miss(
    policy: Policy, which: KeyPurpose, call: PlatformCall, platform: PlatformPrincipal, vendor: VendorProfile
) -> DenialExplanation:
    """The statement that nearly allows a call that no statement denies, and what does not fit in it."""
    access = platform.access_request_for(call)
    meant = [
        one
        for one in evaluate_statements(policy, access)
        if one.statement["Effect"] == "Allow" and _is_meant_for_us(one, platform, vendor)
    ]
    wanted = expected_sid(which, call, vendor)
    near = [
        DenialExplanation(one.sid, tuple(sorted(_misfits(one, call, platform), key=lambda misfit: misfit.cause.rank)))
        for one in meant
        if _is_about(one, call, wanted, vendor)
    ]
    if near:
        return min(near, key=lambda miss: (miss.sid != wanted, len(miss.misfits)))
    others = expected_sids(which.other, vendor)
    strange = next((one for one in meant if one.sid in others), None)
    if strange is not None and not any(one.sid in expected_sids(which, vendor) for one in meant):
        words = (
            f"The policy has the statement of the {which.other.display_name}, {strange.sid}, "
            "and not the one of this key."
        )
        return DenialExplanation(strange.sid, (StatementMismatch(DenialCause.OTHER_KEYS_STATEMENT, words),))
    words = f"The statement {wanted} is not there, and no other one lets the platform do what it is for."
    return DenialExplanation(None, (StatementMismatch(DenialCause.STATEMENT_MISSING, words),))


def _is_meant_for_us(one: StatementEvaluation, platform: PlatformPrincipal, vendor: VendorProfile) -> bool:
    if one.sid in expected_sids(KeyPurpose.S3, vendor) | expected_sids(KeyPurpose.RDS, vendor):
        return True
    entries = list(_principals(one.statement))
    if any(_account_in(entry) == platform.account for entry in entries):
        return True
    tests = {test.key.lower(): test for test in one.conditions}
    if "kms:viaservice" not in tests:
        return False
    accounts = [test.holds for key, test in tests.items() if key in _ACCOUNT_KEYS]
    if accounts:
        return False not in accounts
    return any(entry == "*" or _account_in(entry) is None for entry in entries)


_ACCOUNT_KEYS: Final = frozenset({"aws:principalaccount", "kms:calleraccount"})


def _account_in(principal: str) -> str | None:
    """The account that a principal is of, None where it does not say."""
    parts = principal.split(":")
    account = parts[4] if len(parts) > 4 else principal  # noqa: PLR2004 - the account of an ARN
    return account if re.fullmatch(r"[0-9]{12}", account) else None


def _is_about(one: StatementEvaluation, call: PlatformCall, wanted: str, vendor: VendorProfile) -> bool:
    """Whether a statement is the one that should have allowed the call, or could be taken for it."""
    if one.sid == wanted:
        return True
    if one.sid in expected_sids(KeyPurpose.S3, vendor) | expected_sids(KeyPurpose.RDS, vendor):
        return False
    through = [value for test in one.conditions if test.key.lower() == "kms:viaservice" for value in test.wanted]
    return one.action and (not through or any(value.startswith(f"{call.service}.") for value in through))


def _misfits(one: StatementEvaluation, call: PlatformCall, platform: PlatformPrincipal) -> Iterator[StatementMismatch]:
    if one.addressed is PrincipalMatch.NO:
        yield _wrong_principal(one.statement, platform)
    if not one.action:
        yield _wrong_action(one.statement, call)
    if not one.resource or is_resource_unknowable(one, platform):
        yield _wrong_resource(one, platform)
    for test in one.conditions:
        if test.holds is not True or is_condition_unknowable(test):
            yield _wrong_condition(test, call, platform)


def _wrong_principal(statement: Any, platform: PlatformPrincipal) -> StatementMismatch:
    if "NotPrincipal" in statement:
        return StatementMismatch(
            DenialCause.NOT_PRINCIPAL,
            "It has NotPrincipal, which with Allow lets in everybody but those it names; Principal has to name the "
            f"platform's role {platform.role_arn}.",
        )
    entries = list(_principals(statement))
    shown = ", ".join(entries) or "nobody in AWS"
    for cause, is_it, words in _PRINCIPAL_FAULTS:
        if any(is_it(entry, platform) for entry in entries):
            return StatementMismatch(cause, f"Principal is {shown}: {words} It has to be {platform.role_arn}.")
    if not entries:
        words = f"Principal names no AWS principal; it has to be the platform's role {platform.role_arn}."
        return StatementMismatch(DenialCause.SERVICE_PRINCIPAL, words)
    return StatementMismatch(
        DenialCause.OTHER_ROLE, f"Principal is {shown}; it has to be the platform's role {platform.role_arn}."
    )


def _principals(statement: Any) -> Iterator[str]:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if isinstance(principal, str):
        yield principal
    elif isinstance(principal, dict):
        yield from as_list(principal.get("AWS", []))


def _has_placeholder(text: str) -> bool:
    """A variable of IAM's own is none. Capitals stand for a value in many a guide, and in no value of AWS's."""
    return re.search(r"\$\{(?!aws:|kms:|\*|\?|\$)[^}]*\}|<[^>]*>|\{\{|REGION|ACCOUNT|YOUR", text) is not None


_PRINCIPAL_FAULTS: Final = (
    (
        DenialCause.PLACEHOLDER,
        lambda entry, _: _has_placeholder(entry),
        "a placeholder that was not replaced by its value.",
    ),
    (
        DenialCause.ORPHANED_PRINCIPAL,
        lambda entry, _: re.fullmatch(r"A[A-Z]{3}[A-Z0-9]{12,}", entry) is not None,
        "an id that AWS puts there when the role it stood for has been deleted; a role made anew under the same name "
        "is not that role.",
    ),
    (
        DenialCause.SESSION_PRINCIPAL,
        lambda entry, _: ":sts:" in entry,
        "one session of a role, by the session's name, and not the role.",
    ),
    (
        DenialCause.WILDCARD_PRINCIPAL,
        lambda entry, _: "*" in entry and entry != "*",
        "a principal's ARN takes no wildcards.",
    ),
    (
        DenialCause.ROLE_OF_ANOTHER_ACCOUNT,
        lambda entry, platform: _account_in(entry) != platform.account,
        "not of the platform's account.",
    ),
)


def _wrong_action(statement: Any, call: PlatformCall) -> StatementMismatch:
    if "NotAction" in statement:
        return StatementMismatch(
            DenialCause.NOT_ACTION,
            f"It has NotAction, which leaves {call.action} out; Action has to list what is allowed.",
        )
    if "Action" not in statement:
        words = f"It has no Action, and so no effect; Action has to list {call.permission}."
        return StatementMismatch(DenialCause.ACTION_MISSING, words)
    actions = as_list(statement["Action"])
    stem = call.permission.removesuffix("*")
    if call.permission.endswith("*") and any(action.lower() == stem.lower() for action in actions):
        return StatementMismatch(
            DenialCause.STAR_MISSING,
            f"Action has {stem} without the star at its end, and so {call.action} is not allowed; it has to be "
            f"{call.permission}.",
        )
    if any(_has_placeholder(action) for action in actions):
        return StatementMismatch(
            DenialCause.PLACEHOLDER, f"Action has a placeholder that was not replaced; {call.permission} is missing."
        )
    return StatementMismatch(DenialCause.ACTION_MISSING, f"Action lacks {call.permission}.")


def _wrong_resource(one: StatementEvaluation, platform: PlatformPrincipal) -> StatementMismatch:
    if not {"Resource", "NotResource"} & set(one.statement):
        words = "It has no Resource, and so no effect; it has to be *, which in a key policy means the key itself."
        return StatementMismatch(DenialCause.RESOURCE, words)
    name = "Resource" if "Resource" in one.statement else "NotResource"
    is_it = f"{name} is {', '.join(as_list(one.statement[name]))}"
    if is_resource_unknowable(one, platform):
        words = (
            f"{is_it}, and it is not known here whether that is this key. It should be *, which means the key itself."
        )
        return StatementMismatch(DenialCause.UNKNOWABLE, words)
    return StatementMismatch(
        DenialCause.RESOURCE, f"{is_it}; it has to be *, which in a key policy means the key that has the policy."
    )


def _wrong_condition(test: ConditionResult, call: PlatformCall, platform: PlatformPrincipal) -> StatementMismatch:
    wanted, key = " or ".join(test.wanted), test.key.lower()
    said = f"{test.operator} on {test.key} wants {wanted}"
    if any(_has_placeholder(value) for value in test.wanted):
        return StatementMismatch(DenialCause.PLACEHOLDER, f"{said}: a placeholder that was not replaced by its value.")
    if is_condition_unknowable(test):
        return StatementMismatch(DenialCause.UNKNOWABLE, explain_unknowable_condition(test))
    if key == "kms:viaservice":
        return _wrong_service(test, call, platform)
    if key in _ACCOUNT_KEYS:
        return StatementMismatch(DenialCause.WRONG_ACCOUNT, f"{said}; the platform's account is {platform.account}.")
    if key == "kms:grantisforawsresource":
        if not call.for_aws_resource:
            return StatementMismatch(
                DenialCause.GRANT_CONDITION, f"{said}; {call.action} is about no grant, and never carries that."
            )
        return StatementMismatch(DenialCause.GRANT_CONDITION, f'{said}; it has to be Bool, with the value "true".')
    actual = f"in the call it is {test.actual}" if test.actual is not None else "the call does not carry that"
    return StatementMismatch(DenialCause.CONDITION, f"{said}; {actual}.")


def _wrong_service(test: ConditionResult, call: PlatformCall, platform: PlatformPrincipal) -> StatementMismatch:
    right = via_service_value(call.service, platform.region)
    said = f"{test.operator} on {test.key} wants {' or '.join(test.wanted)}; it has to be StringEquals {right}"
    services = {value.split(".")[0] for value in test.wanted}
    if call.service not in services and "*" not in services:
        return StatementMismatch(
            DenialCause.WRONG_SERVICE, f"{said}: the platform uses this key through {call.service.upper()}."
        )
    if right in test.wanted:
        return StatementMismatch(DenialCause.CONDITION, f"{said}.")
    if any(value.startswith(f"{call.service}.{platform.region}.") for value in test.wanted):
        return StatementMismatch(DenialCause.WRONG_SERVICE, f"{said}, with this ending in every partition of AWS.")
    return StatementMismatch(DenialCause.WRONG_REGION, f"{said}: the environment is in {platform.region}.")
