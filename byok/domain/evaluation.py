"""What an IAM or key policy means: evaluates statements as AWS does, and never guesses.

One evaluator for everybody: the local AWS decides with it, and a policy can be checked with it offline. Sources: IAM
user guide, "Policy evaluation logic", "AWS JSON policy elements"; KMS developer guide, "Key policies".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from byok.domain.conditions import condition_holds, wildcard

Policy = Mapping[str, Any]


class Effect(StrEnum):
    """How a policy decides."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit-deny"
    IMPLICIT_DENY = "implicit-deny"


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        arn: The principal, `arn:aws:sts::…:assumed-role/Role/session` for a role's session.
        account: Its 12-digit account.
        role_arn: The role behind a session, None for a user.
    """

    arn: str
    account: str
    role_arn: str | None = None


@dataclass(frozen=True)
class Access:
    """One call to be decided.

    Attributes:
        caller: Who asks.
        action: What for, `kms:CreateGrant`.
        resource: ARN of what it is about.
        context: The condition keys of the request; a key that AWS would not send is left out.
    """

    caller: Caller
    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What a policy says to a call, and which statement says it.

    Attributes:
        by_account: The statement names the caller's whole account: inside it, the caller's own IAM policies decide.
    """

    effect: Effect
    sid: str | None = None
    by_account: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the policy allows the call."""
        return self.effect is Effect.ALLOW


NO: Final = Decision(Effect.IMPLICIT_DENY)


def evaluate(policy: Policy, access: Access, *, with_principals: bool = True) -> Decision:
    """What one policy says to one call: an explicit deny wins over every allow.

    Args:
        policy: The document.
        access: The call.
        with_principals: Whether it is a resource's policy, whose statements name principals, or an identity's.

    Raises:
        UnknownConditionError: A condition uses an operator that is not known here.
    """
    allowed = NO
    for number, statement in enumerate(_list(policy.get("Statement", [])), start=1):
        by_account = False
        if with_principals:
            match = _principal_match(statement, access.caller)
            if match is None:
                continue
            by_account = match
        if not _is_about(statement, access) or not condition_holds(statement.get("Condition", {}), access.context):
            continue
        sid = statement.get("Sid") or f"statement {number}"
        if statement.get("Effect") == "Deny":
            return Decision(Effect.EXPLICIT_DENY, sid, by_account)
        if statement.get("Effect") == "Allow" and (not allowed.allowed or allowed.by_account):
            allowed = Decision(Effect.ALLOW, sid, by_account)
    return allowed


def decide(resource_policy: Policy, owner: str, identity_policies: Iterable[Policy], access: Access) -> Decision:
    """What a key's policy and the caller's own policies say together.

    Inside the owner's account the key policy alone can allow a named principal, or leave it to IAM by naming the
    account. From another account both have to allow (KMS developer guide, "Allowing users in other accounts to use a
    KMS key").

    Args:
        resource_policy: The policy of the resource.
        owner: The account that the resource belongs to.
        identity_policies: The policies of the caller's role or user.
        access: The call.
    """
    by_resource = evaluate(resource_policy, access)
    if by_resource.effect is Effect.EXPLICIT_DENY:
        return by_resource
    by_identity = evaluate_identity(identity_policies, access)
    if by_identity.effect is Effect.EXPLICIT_DENY or not by_resource.allowed:
        return by_identity if by_identity.effect is Effect.EXPLICIT_DENY else by_resource
    if access.caller.account == owner and not by_resource.by_account:
        return by_resource
    return by_resource if by_identity.allowed else by_identity


def evaluate_identity(policies: Iterable[Policy], access: Access) -> Decision:
    """What the policies of the caller's own identity say together."""
    decisions = [evaluate(policy, access, with_principals=False) for policy in policies]
    for effect in (Effect.EXPLICIT_DENY, Effect.ALLOW):
        for decision in decisions:
            if decision.effect is effect:
                return decision
    return NO


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _principal_match(statement: Mapping[str, Any], caller: Caller) -> bool | None:
    """Whether a statement is for the caller: None for no, else whether it means the caller's whole account."""
    if "NotPrincipal" in statement:
        return None if _named(statement["NotPrincipal"], caller) is not None else False
    return _named(statement.get("Principal", {}), caller)


def _named(principal: Any, caller: Caller) -> bool | None:
    entries = ["*"] if principal == "*" else _list(principal.get("AWS", [])) if isinstance(principal, Mapping) else []
    by_account = False
    for entry in entries:
        if entry in {"*", caller.arn, caller.role_arn}:
            return False
        by_account = by_account or _is_account(entry, caller.account)
    return True if by_account else None


def _is_account(entry: str, account: str) -> bool:
    return entry == account or re.fullmatch(rf"arn:aws[a-z-]*:iam::{account}:root", entry) is not None


def _is_about(statement: Mapping[str, Any], access: Access) -> bool:
    # A role's trust policy names no resource: it is about the role (IAM user guide, "Roles terms and concepts").
    of_trust = not {"Resource", "NotResource"} & set(statement)
    return _matches(statement, "Action", access.action, ignore_case=True) and (
        of_trust or _matches(statement, "Resource", access.resource, ignore_case=False)
    )


def _matches(statement: Mapping[str, Any], element: str, value: str, *, ignore_case: bool) -> bool:
    negated = f"Not{element}"
    patterns = _list(statement.get(negated, statement.get(element, [])))
    hit = any(wildcard(pattern, ignore_case=ignore_case).fullmatch(value) for pattern in patterns)
    return not hit if negated in statement else hit
