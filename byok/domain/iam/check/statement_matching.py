"""Whether a statement bears on a call of the platform's: yes, no, or not to be said from here.

AWS knows more of a call than anybody does beforehand: the organisation, the network, what S3 and RDS put into it. A
part of a statement that hangs on such a thing may go either way, whatever it would come to without it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from byok.domain.iam.check.calls import KNOWN_CONDITION_KEYS, PlatformPrincipal
from byok.domain.iam.conditions import ConditionResult
from byok.domain.iam.evaluator import AccessRequest, Policy, PrincipalMatch, StatementEvaluation, evaluate_statements
from byok.domain.iam.wildcards import as_list


@dataclass(frozen=True)
class StatementMatch:
    """How one statement bears on one call.

    Attributes:
        one: The statement, part by part.
        applies: Whether it does; None where that cannot be said, for the reasons in `doubts`.
        doubts: Why it cannot be said.
    """

    one: StatementEvaluation
    applies: bool | None
    doubts: tuple[str, ...] = ()


def match_statements(policy: Policy, access: AccessRequest, platform: PlatformPrincipal) -> list[StatementMatch]:
    """Every statement of a policy, held against one call."""
    return [_match_statement(one, platform) for one in evaluate_statements(policy, access)]


def is_condition_unknowable(test: ConditionResult) -> bool:
    """Whether a condition hangs on something that only AWS sees when the call is made, or that is not known here."""
    return test.holds is None or (test.actual is None and test.key.lower() not in KNOWN_CONDITION_KEYS)


def is_resource_unknowable(one: StatementEvaluation, platform: PlatformPrincipal) -> bool:
    """Whether a statement names a key, and which key has the policy is not known."""
    if platform.key_arn is not None:
        return False
    patterns = as_list(one.statement.get("Resource", one.statement.get("NotResource", [])))
    return "*" not in patterns and any(":key/" in pattern for pattern in patterns)


def explain_unknowable_condition(test: ConditionResult) -> str:
    """Why it cannot be said whether a condition holds."""
    why = test.unknown or "only AWS sees that when the call is made, so it cannot be said from here"
    return f"{test.operator} on {test.key} wants {' or '.join(test.wanted)}: {why}."


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
            f"NotPrincipal names {platform.role_arn} and not its account, {platform.caller.root_arn}, and AWS may then "
            "deny the whole account."
        )
    if is_resource_unknowable(one, platform):
        name = "Resource" if "Resource" in one.statement else "NotResource"
        shown = ", ".join(as_list(one.statement[name]))
        yield (
            f"{name} is {shown}, and it is not known here whether that is this key. It should be *, which in a key "
            "policy means the key itself."
        )
    for test in one.conditions:
        if is_condition_unknowable(test):
            yield explain_unknowable_condition(test)


def _may_deny_the_whole_account(one: StatementEvaluation, platform: PlatformPrincipal) -> bool:
    """IAM user guide, "NotPrincipal with Deny": who excepts a role has to except its account, too."""
    if one.statement.get("Effect") != "Deny" or one.addressed is not PrincipalMatch.NO:
        return False
    excepted = one.statement.get("NotPrincipal")
    named = as_list(excepted.get("AWS", [])) if isinstance(excepted, dict) else []
    return platform.role_arn in named and not {platform.account, platform.caller.root_arn} & set(named)
