"""Matches statements against the platform's calls. The result is yes, no or unknown.

When a call is made, AWS knows context that byok cannot know beforehand: the organisation, the network, and the
condition keys that S3 and RDS add. If a part of a statement depends on this context, the result for the part is
unknown.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from byok.domain.iam.check.calls import KNOWN_CONDITION_KEYS, PlatformPrincipal
from byok.domain.iam.conditions import ConditionResult
from byok.domain.iam.evaluator import AccessRequest, Policy, PrincipalMatch, StatementEvaluation, evaluate_statements
from byok.domain.iam.wildcards import as_list


@dataclass(frozen=True)
class StatementMatch:
    """Whether one statement applies to one call.

    Attributes:
        one: The evaluated parts of the statement.
        applies: Whether the statement applies, or None if this is unknown.
        doubts: The reasons why it is unknown whether the statement applies.
    """

    one: StatementEvaluation
    applies: bool | None
    doubts: tuple[str, ...] = ()


def match_statements(policy: Policy, access: AccessRequest, platform: PlatformPrincipal) -> list[StatementMatch]:
    """Match every statement of a policy against one call."""
    return [_match_statement(one, platform) for one in evaluate_statements(policy, access)]


def is_condition_unknowable(test: ConditionResult) -> bool:
    """Return whether byok cannot know a condition's result, for example because only AWS knows its context."""
    return test.holds is None or (test.actual is None and test.key.lower() not in KNOWN_CONDITION_KEYS)


def is_resource_unknowable(one: StatementEvaluation, platform: PlatformPrincipal) -> bool:
    """Return whether a statement names a key, and it is unknown which key has this policy."""
    if platform.key_arn is not None:
        return False
    patterns = as_list(one.statement.get("Resource", one.statement.get("NotResource", [])))
    return "*" not in patterns and any(":key/" in pattern for pattern in patterns)


def explain_unknowable_condition(test: ConditionResult) -> str:
    """Explain why a condition's result is unknown."""
    why = test.unknown or "only AWS knows that value, at the time of the call, so this check cannot decide"
    return f"{test.operator} on {test.key} requires {' or '.join(test.wanted)}: {why}."


def _match_statement(one: StatementEvaluation, platform: PlatformPrincipal) -> StatementMatch:
    certain = [one.action]
    if not _may_deny_the_whole_account(one, platform):
        certain.append(one.addressed is not PrincipalMatch.NO)
    if not is_resource_unknowable(one, platform):
        certain.append(one.resource)
    certain += [bool(test.holds) for test in one.conditions if not is_condition_unknowable(test)]
    if not all(certain):
        return StatementMatch(one, applies=False)
    doubts = tuple(_doubts(one, platform))
    return StatementMatch(one, applies=None if doubts else True, doubts=doubts)


def _doubts(one: StatementEvaluation, platform: PlatformPrincipal) -> Iterator[str]:
    if _may_deny_the_whole_account(one, platform):
        yield (
            f"NotPrincipal names {platform.role_arn} but not its account, {platform.caller.root_arn}, so AWS may deny "
            "the whole account."
        )
    if is_resource_unknowable(one, platform):
        name = "Resource" if "Resource" in one.statement else "NotResource"
        shown = ", ".join(as_list(one.statement[name]))
        yield (
            f"{name} is {shown}, and it is unknown whether that is this key. It should be *, which in a key policy "
            "means the key itself."
        )
    for test in one.conditions:
        if is_condition_unknowable(test):
            yield explain_unknowable_condition(test)


def _may_deny_the_whole_account(one: StatementEvaluation, platform: PlatformPrincipal) -> bool:
    """Return whether a Deny may apply to the platform's account even if NotPrincipal excepts the platform role.

    Source: IAM user guide, "NotPrincipal with Deny".
    """
    if one.statement.get("Effect") != "Deny" or one.addressed is not PrincipalMatch.NO:
        return False
    excepted = one.statement.get("NotPrincipal")
    named = as_list(excepted.get("AWS", [])) if isinstance(excepted, dict) else []
    return platform.role_arn in named and not {platform.account, platform.caller.root_arn} & set(named)
