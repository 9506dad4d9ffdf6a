"""Evaluates statements with only the known part of a call's context.

The result of a condition is true, false or unknown.

AWS evaluates a call with context that byok cannot know in advance, such as the AWS organization, the network, and the
names of the buckets. If a condition depends on such context, the result of the condition is unknown.

Sources: IAM user guide, "Global condition context keys" and "Forward access sessions"; AWS KMS developer guide,
"Condition keys for AWS KMS".
"""

import re
from dataclasses import replace
from typing import Final

from byok.domain.iam.check.calls import ENCRYPTION_CONTEXT_ACTIONS, KNOWN_CONDITION_KEYS, UNKNOWN_PART
from byok.domain.iam.conditions import ConditionResult, evaluate_conditions
from byok.domain.iam.evaluator import AccessRequest, Policy, StatementEvaluation, evaluate_statements

_ONLY_AWS_KNOWS: Final = "only AWS knows that value, at the time of the call"


def evaluate_for_platform(policy: Policy, access: AccessRequest) -> list[StatementEvaluation]:
    """Match every statement against one of the platform's calls.

    A condition's `holds` is None if byok cannot determine the result.
    """
    version = policy.get("Version")
    return [
        replace(one, conditions=tuple(_judge(test, access, version) for test in one.conditions))
        for one in evaluate_statements(policy, access)
    ]


def explain_condition(test: ConditionResult) -> str:
    """Explain why a condition's result is unknown."""
    return f"{test.operator} on {test.key} requires {' or '.join(test.wanted)}: {test.unknown}."


def _judge(test: ConditionResult, access: AccessRequest, version: str | None) -> ConditionResult:
    key = test.key.lower()
    if test.holds is None:
        return test
    if isinstance(test.actual, str) and UNKNOWN_PART in test.actual:
        return _judge_partly_known(test, test.actual, access, version)
    if key == "aws:sourceip" and "kms:ViaService" in access.context:
        return _judge_source_ip(test)
    if test.actual is not None or _is_surely_absent(key, access):
        return test
    return replace(test, holds=None, unknown=_ONLY_AWS_KNOWS)


def _is_surely_absent(key: str, access: AccessRequest) -> bool:
    """Return whether a call is certain to lack a condition key.

    Only cryptographic operations and grants have an encryption context; DescribeKey, for example, does not (KMS API
    reference, GrantConstraints).
    """
    if key.startswith("kms:encryptioncontext"):
        return access.action not in ENCRYPTION_CONTEXT_ACTIONS
    return key in KNOWN_CONDITION_KEYS


def _judge_source_ip(test: ConditionResult) -> ConditionResult:
    """Evaluate a condition on the caller's IP address.

    A service that makes the call on the role's behalf has a different IP address than the caller. `aws:SourceIp`
    "denies access if an AWS service makes calls on the principal's behalf" (IAM user guide, "Global condition context
    keys"). AWS does not say whether the condition key is absent or contains the service's own address, so the result is
    certain only if it is the same in both cases.
    """
    name = test.operator.rpartition(":")[2].removesuffix("IfExists")
    every_address = any(network.endswith("/0") for network in test.wanted)
    holds_for_another_address = name == "NotIpAddress"
    # `test` was evaluated without an address, so `test.holds` is the result for an absent condition key.
    if name in {"IpAddress", "NotIpAddress"} and not every_address and test.holds is holds_for_another_address:
        return test
    return replace(test, holds=None, unknown=_ONLY_AWS_KNOWS)


def _judge_partly_known(
    test: ConditionResult, actual: str, access: AccessRequest, version: str | None
) -> ConditionResult:
    """Evaluate a condition on a partly unknown value.

    The result of the condition is certain only if the unknown parts of the value do not affect the result.
    """
    if test.operator.endswith("Null"):
        return test
    negated = "Not" in test.operator
    matches = []
    # Try two values for the unknown part. Only a wildcard matches \0, and only the wildcard * matches both values.
    for unknown in ("\0", "\0\0\0"):
        context = {**access.context, test.key: actual.replace(UNKNOWN_PART, unknown)}
        (sample,) = evaluate_conditions({test.operator: {test.key: list(test.wanted)}}, context, version)
        matches.append(sample.holds is not negated)
    if all(matches):
        return replace(test, holds=not negated)
    if not any(_may_match(pattern, actual) for pattern in test.wanted):
        return replace(test, holds=negated)
    return replace(test, holds=None, unknown=f"in the call it is {actual}, and this check does not know the rest")


def _may_match(pattern: str, actual: str) -> bool:
    """Return whether a pattern could match a partly known S3 ARN. A bucket name never contains a slash."""
    if "${" in pattern:
        return True
    beginning, known = re.split(r"[*?]", pattern)[0], actual.split(UNKNOWN_PART, maxsplit=1)[0]
    if not (beginning.startswith(known) or known.startswith(beginning)):
        return False
    if "/" not in actual:
        return "/" not in pattern
    return any(char in pattern for char in "/*?")
