"""What an IAM or key policy means: evaluates statements as AWS does, and never guesses.

One evaluator for everybody: the local AWS decides with it, and a policy can be checked with it offline. Sources: IAM
user guide, "Policy evaluation logic", "AWS JSON policy elements"; KMS developer guide, "Key policies".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from byok.domain.iam.conditions import ConditionResult, all_conditions_hold, evaluate_conditions
from byok.domain.iam.wildcards import Fill, as_list, compile_wildcard_pattern, make_variable_filler

Policy = Mapping[str, Any]


class Effect(StrEnum):
    """How a policy decides."""

    ALLOW = "allow"
    EXPLICIT_DENY = "explicit-deny"
    IMPLICIT_DENY = "implicit-deny"


@dataclass(frozen=True)
class CallingPrincipal:
    """Who asks.

    Attributes:
        arn: The principal, `arn:aws:sts::…:assumed-role/Role/session` for a role's session.
        account: Its 12-digit account.
        role_arn: The role behind a session, None for a user.
    """

    arn: str
    account: str
    role_arn: str | None = None

    @property
    def root_arn(self) -> str:
        """The principal that stands for the whole account."""
        return f"arn:{self.arn.split(':')[1]}:iam::{self.account}:root"


@dataclass(frozen=True)
class AccessRequest:
    """One call to be decided.

    Attributes:
        caller: Who asks.
        action: What for, `kms:CreateGrant`.
        resource: ARN of what it is about.
        context: The condition keys of the request; a key that AWS would not send is left out.
    """

    caller: CallingPrincipal
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


IMPLICIT_DENY_DECISION: Final = Decision(Effect.IMPLICIT_DENY)


class PrincipalMatch(StrEnum):
    """Whether a statement is for the caller."""

    NO = "no"
    CALLER = "caller"
    ACCOUNT = "account"


@dataclass(frozen=True)
class StatementEvaluation:
    """How one statement bears on one call, part by part: it applies when every part does.

    Attributes:
        sid: The statement's Sid, or its number where it has none.
        statement: The statement itself.
        addressed: Whether it is for the caller.
        action: Whether it is about the action.
        resource: Whether it is about the resource.
        conditions: Its conditions, each by itself.
    """

    sid: str
    statement: Mapping[str, Any]
    addressed: PrincipalMatch
    action: bool
    resource: bool
    conditions: tuple[ConditionResult, ...]

    @property
    def applies(self) -> bool:
        """Whether every part does.

        Raises:
            UnknownConditionError: That hangs on a condition that is not known here.
        """
        return (
            self.addressed is not PrincipalMatch.NO
            and self.action
            and self.resource
            and all_conditions_hold(self.conditions)
        )


def extract_statements(policy: Policy) -> list[Any]:
    """A policy's statements; one by itself needs no array around it."""
    return as_list(policy.get("Statement", []))


def evaluate_statements(
    policy: Policy, access: AccessRequest, *, with_principals: bool = True
) -> list[StatementEvaluation]:
    """Every statement of a policy, held against one call.

    Args:
        policy: The document.
        access: The call.
        with_principals: Whether it is a resource's policy, whose statements name principals, or an identity's.
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
    """What one policy says to one call: an explicit deny wins over every allow.

    Args:
        policy: The document.
        access: The call.
        with_principals: Whether it is a resource's policy, whose statements name principals, or an identity's.

    Raises:
        UnknownConditionError: A condition uses an operator that is not known here.
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
    """What the policies of the caller's own identity say together."""
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
        # A role's trust policy names no resource: it is about the role (IAM user guide, "Roles terms and concepts"). A
        # statement of a key policy that names none "has no effect" (KMS API reference, PutKeyPolicy).
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
