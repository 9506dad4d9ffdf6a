"""Evaluates IAM and key policies as AWS does, and raises an error rather than guessing.

Both the local AWS emulator and the offline policy check use this evaluator. Sources: IAM user guide, "Policy evaluation
logic", "AWS JSON policy elements"; KMS developer guide, "Key policies".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from byok.domain.iam.conditions import ConditionResult, all_conditions_hold, evaluate_conditions
from byok.domain.iam.wildcards import Fill, as_list, compile_wildcard_pattern, make_variable_filler

Policy = Mapping[str, Any]


class Effect(StrEnum):
    """The outcome of a policy evaluation."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit-deny"
    IMPLICIT_DENY = "implicit-deny"


@dataclass(frozen=True)
class CallingPrincipal:
    """The principal that makes a call.

    Attributes:
        arn: The principal's ARN, which is `arn:aws:sts::…:assumed-role/Role/session` for a role session.
        account: The principal's 12-digit account id.
        role_arn: The ARN of a session's role, or None for a user.
        tags: The tags of the principal's session and of its role.
    """

    arn: str
    account: str
    role_arn: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def root_arn(self) -> str:
        """The ARN of the principal that represents the caller's whole account."""
        return f"arn:{self.arn.split(':')[1]}:iam::{self.account}:root"


@dataclass(frozen=True)
class AccessRequest:
    """One call to evaluate.

    Attributes:
        caller: The principal that makes the call.
        action: The action, for example `kms:CreateGrant`.
        resource: The ARN of the resource.
        context: The request's condition keys and their values. The mapping contains only the condition keys that AWS
            adds to the request.
    """

    caller: CallingPrincipal
    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """The outcome of evaluating a call, and the statement that decided it.

    Attributes:
        by_account: Whether the statement's principal is the caller's whole account. If so, the account's IAM policies
            decide which of the account's principals have access.
    """

    effect: Effect
    sid: str | None = None
    by_account: bool = False

    @property
    def allowed(self) -> bool:
        """Whether the policy allows the call."""
        return self.effect is Effect.ALLOW


IMPLICIT_DENY_DECISION: Final = Decision(Effect.IMPLICIT_DENY)


class PrincipalMatch(StrEnum):
    """How a statement's principal element matches the caller: not at all, directly, or through the caller's account."""

    NO = "no"
    CALLER = "caller"
    ACCOUNT = "account"


@dataclass(frozen=True)
class StatementEvaluation:
    """The result of matching the parts of one statement against one call. The statement applies if all parts match.

    Attributes:
        sid: The statement's Sid, or `statement <number>` if it has no Sid.
        statement: The statement itself.
        addressed: How the statement's principal element matches the caller.
        action: Whether the statement's action element matches.
        resource: Whether the statement's resource element matches.
        conditions: The results of the statement's conditions.
    """

    sid: str
    statement: Mapping[str, Any]
    addressed: PrincipalMatch
    action: bool
    resource: bool
    conditions: tuple[ConditionResult, ...]

    @property
    def applies(self) -> bool:
        """Whether all parts of the statement match the call.

        Raises:
            UnknownConditionError: The result depends on a condition that byok cannot evaluate.
        """
        return (
            self.addressed is not PrincipalMatch.NO
            and self.action
            and self.resource
            and all_conditions_hold(self.conditions)
        )


def extract_statements(policy: Policy) -> list[Any]:
    """Return a policy's statements as a list, even if the policy contains a single statement instead of an array."""
    return as_list(policy.get("Statement", []))


def evaluate_statements(
    policy: Policy, access: AccessRequest, *, with_principals: bool = True
) -> list[StatementEvaluation]:
    """Match every statement of a policy against one call.

    Args:
        policy: The policy document.
        access: The call.
        with_principals: True for a resource policy, whose statements specify principals; False for an identity policy.
    """
    version = policy.get("Version")
    fill = make_variable_filler(access.context, version)
    return [
        StatementEvaluation(
            sid=statement.get("Sid") or f"statement {number}",
            statement=statement,
            addressed=_match_principal(statement, access.caller) if with_principals else PrincipalMatch.CALLER,
            action=_matches(statement, "Action", access.action, ignore_case=True),
            resource=_is_about_resource(statement, access, fill),
            conditions=evaluate_conditions(statement.get("Condition", {}), access.context, version),
        )
        for number, statement in enumerate(extract_statements(policy), start=1)
    ]


def evaluate_policy(policy: Policy, access: AccessRequest, *, with_principals: bool = True) -> Decision:
    """Evaluate one policy for one call. An explicit deny overrides every allow.

    Args:
        policy: The policy document.
        access: The call.
        with_principals: True for a resource policy, whose statements specify principals; False for an identity policy.

    Raises:
        UnknownConditionError: A condition uses an operator or value that byok does not support.
    """
    allowed = IMPLICIT_DENY_DECISION
    for one in evaluate_statements(policy, access, with_principals=with_principals):
        if not one.applies:
            continue
        by_account = one.addressed is PrincipalMatch.ACCOUNT
        if one.statement.get("Effect") == "Deny":
            return Decision(Effect.EXPLICIT_DENY, one.sid, by_account)
        if one.statement.get("Effect") == "Allow" and (not allowed.allowed or allowed.by_account):
            allowed = Decision(Effect.ALLOW, one.sid, by_account)
    return allowed


def decide_access(
    resource_policy: Policy, owner: str, identity_policies: Iterable[Policy], access: AccessRequest
) -> Decision:
    """Evaluate a key policy together with the caller's identity policies.

    If the caller is in the key's account, a key policy statement for the caller itself is enough to allow the call. If
    the statement's principal is the caller's whole account, the caller's identity policies must also allow the call. If
    the caller is in another account, both the key policy and the caller's identity policies must allow the call (KMS
    developer guide, "Allowing users in other accounts to use a KMS key").

    Args:
        resource_policy: The key policy.
        owner: The account that the key belongs to.
        identity_policies: The policies of the caller's role or user.
        access: The call.
    """
    by_resource = evaluate_policy(resource_policy, access)
    if by_resource.effect is Effect.EXPLICIT_DENY:
        return by_resource
    by_identity = evaluate_identity_policies(identity_policies, access)
    if by_identity.effect is Effect.EXPLICIT_DENY or not by_resource.allowed:
        return by_identity if by_identity.effect is Effect.EXPLICIT_DENY else by_resource
    if access.caller.account == owner and not by_resource.by_account:
        return by_resource
    return by_resource if by_identity.allowed else by_identity


def evaluate_identity_policies(policies: Iterable[Policy], access: AccessRequest) -> Decision:
    """Evaluate all identity policies of the caller together."""
    decisions = [evaluate_policy(policy, access, with_principals=False) for policy in policies]
    for effect in (Effect.EXPLICIT_DENY, Effect.ALLOW):
        for decision in decisions:
            if decision.effect is effect:
                return decision
    return IMPLICIT_DENY_DECISION


def _match_principal(statement: Mapping[str, Any], caller: CallingPrincipal) -> PrincipalMatch:
    if "NotPrincipal" in statement:
        return (
            PrincipalMatch.CALLER
            if _match_named_principal(statement["NotPrincipal"], caller) is PrincipalMatch.NO
            else PrincipalMatch.NO
        )
    return _match_named_principal(statement.get("Principal", {}), caller)


def _match_named_principal(principal: Any, caller: CallingPrincipal) -> PrincipalMatch:
    entries = ["*"] if principal == "*" else as_list(principal.get("AWS", [])) if isinstance(principal, Mapping) else []
    if {"*", caller.arn, caller.role_arn} & set(entries):
        return PrincipalMatch.CALLER
    return PrincipalMatch.ACCOUNT if {caller.account, caller.root_arn} & set(entries) else PrincipalMatch.NO


def _is_about_resource(statement: Mapping[str, Any], access: AccessRequest, fill: Fill) -> bool:
    if not {"Resource", "NotResource"} & set(statement):
        # A trust policy has no Resource element, because the policy applies only to the role that it is attached to
        # (IAM user guide, "Roles terms and concepts"). A key policy statement without a resource "has no effect" (KMS
        # API reference, PutKeyPolicy).
        return access.action.startswith("sts:")
    return _matches(statement, "Resource", access.resource, fill=fill)


def _matches(
    statement: Mapping[str, Any], element: str, value: str, *, ignore_case: bool = False, fill: Fill | None = None
) -> bool:
    negated = f"Not{element}"
    patterns = as_list(statement.get(negated, statement.get(element, [])))
    known = [one for one in (fill(pattern) if fill else pattern for pattern in patterns) if one is not None]
    hit = any(compile_wildcard_pattern(pattern, ignore_case=ignore_case).fullmatch(value) for pattern in known)
    return not hit if negated in statement else hit
