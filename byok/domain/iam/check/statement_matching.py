"""Matches statements against the platform's calls. The result is true, false or unknown."""

from collections.abc import Iterator
from dataclasses import dataclass

from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.request_context import evaluate_for_platform, explain_condition
from byok.domain.iam.evaluator import AccessRequest, Policy, PrincipalMatch, StatementEvaluation
from byok.domain.iam.wildcards import as_list


@dataclass(frozen=True)
class StatementMatch:
    """Whether one statement applies to one call.

    Attributes:
        one: The evaluated parts of the statement.
        applies: Whether the statement applies, or None if this is unknown.
        doubts: Why it is unknown whether the statement applies.
    """

    one: StatementEvaluation
    applies: bool | None
    doubts: tuple[str, ...] = ()


def match_statements(policy: Policy, access: AccessRequest, platform: PlatformPrincipal) -> list[StatementMatch]:
    """Match every statement of a policy against one call."""
    return [_match_statement(one, platform) for one in evaluate_for_platform(policy, access)]


def is_resource_unknowable(one: StatementEvaluation, platform: PlatformPrincipal) -> bool:
    """Return True if it is unknown whether a statement applies to the key.

    The answer is unknown if the statement is limited to specific keys, and byok does not know which key the policy
    belongs to.
    """
    if platform.key_arn is not None:
        return False
    patterns = as_list(one.statement.get("Resource", one.statement.get("NotResource", [])))
    return "*" not in patterns and any(":key/" in pattern for pattern in patterns)


def _match_statement(one: StatementEvaluation, platform: PlatformPrincipal) -> StatementMatch:
    certain = [one.action]
    if not _may_exempt_the_platform(one, platform):
        certain.append(one.addressed is not PrincipalMatch.NO)
    if not is_resource_unknowable(one, platform):
        certain.append(one.resource)
    certain += [test.holds for test in one.conditions if test.holds is not None]
    if not all(certain):
        return StatementMatch(one, applies=False)
    doubts = tuple(_doubts(one, platform))
    return StatementMatch(one, applies=None if doubts else True, doubts=doubts)


def _doubts(one: StatementEvaluation, platform: PlatformPrincipal) -> Iterator[str]:
    if _may_exempt_the_platform(one, platform):
        yield _explain_exemption(one, platform)
    if is_resource_unknowable(one, platform):
        name = "Resource" if "Resource" in one.statement else "NotResource"
        shown = ", ".join(as_list(one.statement[name]))
        yield (
            f"{name} is {shown}, and byok cannot tell whether this key matches. Use Resource *, which in a key policy "
            "means the key itself."
        )
    yield from (explain_condition(test) for test in one.conditions if test.holds is None)


def _may_exempt_the_platform(one: StatementEvaluation, platform: PlatformPrincipal) -> bool:
    """Return whether a Deny statement lists the platform role in NotPrincipal.

    AWS does not say exactly which principals a Deny statement with NotPrincipal exempts.
    """
    return one.statement.get("Effect") == "Deny" and bool(_exempted_entries(one, platform))


def _exempted_entries(one: StatementEvaluation, platform: PlatformPrincipal) -> list[str]:
    excepted = one.statement.get("NotPrincipal")
    named = as_list(excepted.get("AWS", [])) if isinstance(excepted, dict) else []
    exact = {platform.role_arn, platform.account, platform.caller.root_arn}
    return [entry for entry in named if entry in exact or entry.startswith(_session_prefix(platform))]


def _session_prefix(platform: PlatformPrincipal) -> str:
    return platform.caller.arn.rpartition("/")[0] + "/"


def _explain_exemption(one: StatementEvaluation, platform: PlatformPrincipal) -> str:
    """Explain why it is unknown whether a Deny statement with NotPrincipal exempts the platform.

    AWS "might validate the account first, then the role, and then the assumed-role user" (IAM user guide, "NotPrincipal
    with Deny"); the assumed-role user's ARN contains the session name.
    """
    entries = set(_exempted_entries(one, platform))
    root, role = platform.caller.root_arn, platform.role_arn
    sessions = [entry for entry in entries if entry.startswith(_session_prefix(platform))]
    if not {platform.account, root} & entries:
        return (
            f"NotPrincipal contains {min(entries)} but not its account, {root}, so AWS may deny requests from the "
            "whole account."
        )
    if role not in entries:
        return (
            f"NotPrincipal contains the platform's account but not its role, {role}, so AWS may deny the role's "
            "requests."
        )
    if sessions:
        return (
            f"NotPrincipal exempts only the session {sessions[0]}, and this check does not know the name of the "
            "platform's session."
        )
    return (
        f"NotPrincipal lists {role} and its account, but no session of the role, so AWS may deny the session's "
        "requests. Instead of NotPrincipal, AWS recommends Principal * with ArnNotEquals on aws:PrincipalArn."
    )
