"""Explains why a call is denied, by comparing the call with the statement that comes closest to allowing it.

byok considers only the statements whose Sid, principal or conditions show that they are intended for the platform. byok
ignores statements that the customer wrote for other principals. byok explains the statement with the fewest mismatches,
and lists all mismatches of that statement.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformCall, PlatformPrincipal
from byok.domain.iam.check.denial_causes import DenialCause, DenialExplanation, StatementMismatch
from byok.domain.iam.check.request_context import evaluate_for_platform, explain_condition
from byok.domain.iam.check.statement_matching import is_resource_unknowable
from byok.domain.iam.check.tightening import explain_added_condition, find_added_conditions
from byok.domain.iam.conditions import ConditionResult
from byok.domain.iam.evaluator import AccessRequest, Policy, PrincipalMatch, StatementEvaluation
from byok.domain.iam.statements import ORGANISATION_CONDITION_KEY, Statement, via_service_value
from byok.domain.iam.wildcards import as_list, has_placeholder
from byok.domain.vendor import VendorProfile


def expected_sids(which: KeyPurpose, vendor: VendorProfile) -> set[str]:
    """Return the Sids of the statements that belong in a key's policy."""
    if which is KeyPurpose.S3:
        return {vendor.s3_access_sid}
    return {vendor.rds_describe_key_sid, vendor.rds_grants_sid}


def expected_sid(which: KeyPurpose, call: PlatformCall, vendor: VendorProfile) -> str:
    """Return the Sid of the statement that should allow a call."""
    if which is KeyPurpose.S3:
        return vendor.s3_access_sid
    return vendor.rds_describe_key_sid if call.action == "kms:DescribeKey" else vendor.rds_grants_sid


def find_near_miss(
    policy: Policy,
    which: KeyPurpose,
    call: PlatformCall,
    access: AccessRequest,
    platform: PlatformPrincipal,
    vendor: VendorProfile,
    ours: Statement,
) -> DenialExplanation:
    """Find the statement that comes closest to allowing a call, and list its mismatches.

    Do not call this function if a statement explicitly denies the call.
    """
    meant = [
        one
        for one in evaluate_for_platform(policy, access)
        if one.statement["Effect"] == "Allow" and _is_meant_for_us(one, platform, vendor)
    ]
    wanted = expected_sid(which, call, vendor)
    near = [
        DenialExplanation(
            one.sid, tuple(sorted(_misfits(one, call, platform, ours), key=lambda misfit: misfit.cause.rank))
        )
        for one in meant
        if _is_about(one, call, wanted, vendor)
    ]
    if near:
        return min(near, key=lambda miss: (miss.sid != wanted, len(miss.misfits)))
    others = expected_sids(which.other, vendor)
    strange = next((one for one in meant if one.sid in others), None)
    if strange is not None and not any(one.sid in expected_sids(which, vendor) for one in meant):
        words = (
            f"The policy contains {strange.sid}, which is a statement for the {which.other.display_name}, and no "
            f"statement for the {which.display_name}."
        )
        return DenialExplanation(strange.sid, (StatementMismatch(DenialCause.OTHER_KEYS_STATEMENT, words),))
    words = f"The statement {wanted} is missing, and no other statement allows the same calls."
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
    # A statement without an AWS principal grants access to a service. If such a statement has a condition on
    # `aws:SourceAccount` or `aws:SourceArn`, the customer added the statement for their own use of the service, not for
    # the platform.
    if not entries:
        return bool(_services(one.statement)) and not {"aws:sourceaccount", "aws:sourcearn"} & set(tests)
    return any(entry == "*" or _account_in(entry) is None for entry in entries)


_ACCOUNT_KEYS: Final = frozenset({"aws:principalaccount", "kms:calleraccount"})


def _account_in(principal: str) -> str | None:
    """Return the account that a principal belongs to, or None if the principal does not contain an account id."""
    parts = principal.split(":")
    account = parts[4] if len(parts) > 4 else principal  # noqa: PLR2004 - the account of an ARN
    return account if re.fullmatch(r"[0-9]{12}", account) else None


def _is_about(one: StatementEvaluation, call: PlatformCall, wanted: str, vendor: VendorProfile) -> bool:
    """Return whether a statement seems intended to allow the call."""
    if one.sid == wanted:
        return True
    if one.sid in expected_sids(KeyPurpose.S3, vendor) | expected_sids(KeyPurpose.RDS, vendor):
        return False
    through = [value for test in one.conditions if test.key.lower() == "kms:viaservice" for value in test.wanted]
    return one.action and (not through or any(value.startswith(f"{call.service}.") for value in through))


def _misfits(
    one: StatementEvaluation, call: PlatformCall, platform: PlatformPrincipal, ours: Statement
) -> Iterator[StatementMismatch]:
    added = find_added_conditions(one.statement, ours)
    if one.addressed is PrincipalMatch.NO:
        yield _wrong_principal(one.statement, platform)
    if not one.action:
        yield _wrong_action(one.statement, call)
    if not one.resource or is_resource_unknowable(one, platform):
        yield _wrong_resource(one, platform)
    for test in one.conditions:
        if test.holds is not True:
            yield (
                StatementMismatch(DenialCause.TIGHTENED, explain_added_condition(test, call))
                if (test.operator, test.key.lower()) in added
                else _wrong_condition(test, call, platform)
            )


def _wrong_principal(statement: Any, platform: PlatformPrincipal) -> StatementMismatch:
    if "NotPrincipal" in statement:
        return StatementMismatch(
            DenialCause.NOT_PRINCIPAL,
            "NotPrincipal with Allow grants access to everyone except the principals that are listed; use Principal "
            f"with the platform role {platform.role_arn}.",
        )
    entries = list(_principals(statement))
    shown = ", ".join(entries)
    for cause, is_it, words in _PRINCIPAL_FAULTS:
        if any(is_it(entry, platform) for entry in entries):
            return StatementMismatch(cause, f"Principal is {shown}: {words} Principal must be {platform.role_arn}.")
    if not entries:
        return StatementMismatch(DenialCause.SERVICE_PRINCIPAL, _explain_service_principal(statement, platform))
    return StatementMismatch(
        DenialCause.OTHER_ROLE, f"Principal is {shown}; it must be the platform role {platform.role_arn}."
    )


def _principals(statement: Any) -> Iterator[str]:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    if isinstance(principal, str):
        yield principal
    elif isinstance(principal, dict):
        yield from as_list(principal.get("AWS", []))


def _services(statement: Any) -> list[str]:
    principal = statement.get("Principal")
    return as_list(principal.get("Service", [])) if isinstance(principal, dict) else []


def _explain_service_principal(statement: Any, platform: PlatformPrincipal) -> str:
    services = _services(statement)
    if not services:
        return f"Principal contains no AWS principal; Principal must be the platform role {platform.role_arn}."
    return (
        f"Principal is the service {', '.join(services)}, but S3 and RDS use the key as the role that calls them. "
        f"Principal must be the platform role {platform.role_arn}, and the condition on kms:ViaService must specify "
        "the service."
    )


def _is_same_role_spelled_differently(entry: str, role_arn: str) -> bool:
    """Return whether an ARN differs from the platform role's ARN only in path or case.

    An ARN with a different path or case can only refer to the same role, because a role name is unique within its
    account, regardless of path and case.
    """
    start, end = entry.lower().split("/")[0], entry.lower().rpartition("/")[2]
    return (start, end) == (role_arn.lower().split("/")[0], role_arn.lower().rpartition("/")[2])


_PRINCIPAL_FAULTS: Final = (
    (
        DenialCause.ORPHANED_PRINCIPAL,
        lambda entry, _: re.fullmatch(r"A[A-Z]{3}[A-Z0-9]{12,}", entry) is not None,
        "this is the id that AWS substitutes when the role is deleted; a role recreated with the same name is a "
        "different role.",
    ),
    (
        DenialCause.SESSION_PRINCIPAL,
        lambda entry, _: ":sts:" in entry,
        "this is a single session of a role, not the role itself.",
    ),
    (
        DenialCause.ROLE_OF_ANOTHER_ACCOUNT,
        lambda entry, platform: _account_in(entry) != platform.account,
        "this principal is not in the platform's account.",
    ),
    (
        DenialCause.ROLE_SPELLING,
        lambda entry, platform: _is_same_role_spelled_differently(entry, platform.role_arn),
        "this is the platform role with a different path or different letter case; an ARN must match exactly.",
    ),
)


def _wrong_action(statement: Any, call: PlatformCall) -> StatementMismatch:
    if "NotAction" in statement:
        return StatementMismatch(
            DenialCause.NOT_ACTION,
            f"NotAction excludes {call.action}; use Action with {call.permission}.",
        )
    if "Action" not in statement:
        words = f"Without Action, the statement has no effect; Action must list {call.permission}."
        return StatementMismatch(DenialCause.ACTION_MISSING, words)
    actions = as_list(statement["Action"])
    stem = call.permission.removesuffix("*")
    if call.permission.endswith("*") and any(action.lower() == stem.lower() for action in actions):
        return StatementMismatch(
            DenialCause.STAR_MISSING,
            f"Action contains {stem} without the trailing *, so {call.action} is not allowed; use {call.permission}.",
        )
    if any(has_placeholder(action) for action in actions):
        return StatementMismatch(
            DenialCause.PLACEHOLDER, f"Action has a placeholder that was not replaced; {call.permission} is missing."
        )
    return StatementMismatch(DenialCause.ACTION_MISSING, f"Action lacks {call.permission}.")


def _wrong_resource(one: StatementEvaluation, platform: PlatformPrincipal) -> StatementMismatch:
    if not {"Resource", "NotResource"} & set(one.statement):
        words = (
            "Without Resource, the statement has no effect; Resource must be *, which in a key policy means the key "
            "itself."
        )
        return StatementMismatch(DenialCause.RESOURCE, words)
    name = "Resource" if "Resource" in one.statement else "NotResource"
    is_it = f"{name} is {', '.join(as_list(one.statement[name]))}"
    if is_resource_unknowable(one, platform):
        words = f"{is_it}, and byok cannot tell whether this key matches. Use Resource *, which means the key itself."
        return StatementMismatch(DenialCause.UNKNOWABLE, words)
    return StatementMismatch(
        DenialCause.RESOURCE, f"{is_it}; use Resource *, which in a key policy means the key itself."
    )


def _wrong_condition(test: ConditionResult, call: PlatformCall, platform: PlatformPrincipal) -> StatementMismatch:
    wanted, key = " or ".join(test.wanted), test.key.lower()
    said = f"{test.operator} on {test.key} requires {wanted}"
    if any(has_placeholder(value) for value in test.wanted):
        return StatementMismatch(DenialCause.PLACEHOLDER, f"{said}, which has a placeholder that was not replaced.")
    if test.holds is None:
        return StatementMismatch(DenialCause.UNKNOWABLE, explain_condition(test))
    if key == "kms:viaservice":
        return _wrong_service(test, call, platform)
    if key in _ACCOUNT_KEYS:
        return StatementMismatch(DenialCause.WRONG_ACCOUNT, f"{said}; the platform's account is {platform.account}.")
    if key == ORGANISATION_CONDITION_KEY.lower() and platform.organisation is not None:
        return StatementMismatch(
            DenialCause.WRONG_ORGANISATION, f"{said}; the environment belongs to {platform.organisation}."
        )
    if key == "kms:grantisforawsresource":
        if not call.for_aws_resource:
            return StatementMismatch(
                DenialCause.GRANT_CONDITION,
                f"{said}, but {call.action} does not involve a grant and never has this condition key.",
            )
        return StatementMismatch(DenialCause.GRANT_CONDITION, f'{said}; it must be Bool with the value "true".')
    actual = f"in the call it is {test.actual}" if test.actual is not None else "the call lacks this condition key"
    return StatementMismatch(DenialCause.CONDITION, f"{said}; {actual}.")


def _wrong_service(test: ConditionResult, call: PlatformCall, platform: PlatformPrincipal) -> StatementMismatch:
    right = via_service_value(call.service, platform.region)
    said = f"{test.operator} on {test.key} requires {' or '.join(test.wanted)}; it must be StringEquals {right}"
    services = {value.split(".")[0] for value in test.wanted}
    if call.service not in services and "*" not in services:
        return StatementMismatch(
            DenialCause.WRONG_SERVICE, f"{said}: the platform uses this key through {call.service.upper()}."
        )
    if right in test.wanted:
        return StatementMismatch(DenialCause.CONDITION, f"{said}.")
    if any(value.startswith(f"{call.service}.{platform.region}.") for value in test.wanted):
        words = f"{said}, which ends in .amazonaws.com in every AWS partition."
        return StatementMismatch(DenialCause.WRONG_SERVICE, words)
    return StatementMismatch(DenialCause.WRONG_REGION, f"{said}: the environment is in {platform.region}.")
