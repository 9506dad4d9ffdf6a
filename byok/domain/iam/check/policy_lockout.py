"""Checks that a new key policy still lets at least one principal change the policy.

If no principal can change the policy, only AWS Support can help.

By default, KMS performs this check for the caller of PutKeyPolicy (AWS KMS developer guide, "Changing a key policy").
byok does not know the caller or the context of the request, so this check accepts a policy if any principal might be
able to change it.
"""

import re
from collections.abc import Iterator
from typing import Any

from byok.domain.iam.check.calls import KNOWN_CONDITION_KEYS
from byok.domain.iam.conditions import ConditionResult
from byok.domain.iam.evaluator import (
    AccessRequest,
    CallingPrincipal,
    Policy,
    PrincipalMatch,
    evaluate_statements,
    extract_statements,
)
from byok.domain.iam.wildcards import as_list

_NOBODY_IN_PARTICULAR = "000000000000"
_KEY = re.compile(r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


def has_policy_administrator(
    policy: Policy, *, account: str | None, platform_account: str, key_arn: str | None
) -> bool:
    """Return whether the policy lets any principal in the key's account change the policy.

    Args:
        policy: A well-formed policy.
        account: The key's account. If the account is unknown (None), the check assumes that any account except
            `platform_account` could be the key's account.
        platform_account: The platform's account.
        key_arn: The key's ARN, or None if it is unknown.
    """
    callers = [
        caller
        for caller in _allowed_callers(policy, account or _NOBODY_IN_PARTICULAR)
        if caller.account != platform_account
    ]
    return any(
        _can_manage(policy, caller, key_arn or _key_named_in(policy) or _example_key_of(caller))
        for caller in callers
        if account in {None, caller.account}
    )


def _allowed_callers(policy: Policy, everybody_of: str) -> Iterator[CallingPrincipal]:
    """Yield the principals in Allow statements, without the ids of deleted principals."""
    for statement in extract_statements(policy):
        principal = statement.get("Principal") if statement["Effect"] == "Allow" else None
        entries = [principal] if principal == "*" else as_list(principal.get("AWS", [])) if principal else []
        for entry in entries:
            if entry == "*" or re.fullmatch(r"[0-9]{12}", entry):
                account = everybody_of if entry == "*" else entry
                yield CallingPrincipal(f"arn:aws:iam::{account}:root", account)
                continue
            parts = entry.split(":")
            if len(parts) > 4 and re.fullmatch(r"[0-9]{12}", parts[4]):  # noqa: PLR2004 - the account of an ARN
                yield CallingPrincipal(entry, parts[4])


def _can_manage(policy: Policy, caller: CallingPrincipal, key_arn: str) -> bool:
    context: dict[str, Any] = {"aws:PrincipalAccount": caller.account, "kms:CallerAccount": caller.account}
    access = AccessRequest(caller, "kms:PutKeyPolicy", key_arn, context)
    found = [
        one
        for one in evaluate_statements(policy, access)
        if one.addressed is not PrincipalMatch.NO and one.action and one.resource
    ]
    allowed = [one for one in found if one.statement["Effect"] == "Allow"]
    denied = [one for one in found if one.statement["Effect"] == "Deny"]
    if any(all(_is_certain(test) and test.holds for test in one.conditions) for one in denied):
        return False
    return any(not any(_is_certain(test) and test.holds is False for test in one.conditions) for one in allowed)


def _is_certain(test: ConditionResult) -> bool:
    """Return whether byok can determine the result of a condition without knowing the rest of the request context."""
    return test.actual is not None or test.key.lower() in KNOWN_CONDITION_KEYS


def _key_named_in(policy: Policy) -> str | None:
    """Return the key ARN in a policy, or None.

    A key policy applies only to its own key, so this ARN is the ARN of the policy's key.
    """
    elements = (
        value
        for statement in extract_statements(policy)
        for name in ("Resource", "NotResource")
        for value in as_list(statement.get(name, []))
    )
    return next((value for value in elements if _KEY.fullmatch(value)), None)


def _example_key_of(caller: CallingPrincipal) -> str:
    partition = caller.arn.split(":")[1]
    return f"arn:{partition}:kms:us-east-1:{caller.account}:key/00000000-0000-0000-0000-000000000000"
