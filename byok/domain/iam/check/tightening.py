"""Recognises tightened copies of byok's statements, which are copies to which the customer added conditions."""

from typing import Any, Final

from byok.domain.iam.check.calls import PlatformCall
from byok.domain.iam.conditions import ConditionResult, normalize_conditions
from byok.domain.iam.statements import Statement
from byok.domain.iam.wildcards import as_list

_OUR_KEYS: Final = frozenset(
    {"aws:principalaccount", "kms:calleraccount", "kms:grantisforawsresource", "kms:viaservice"}
)
_TIME_KEYS: Final = frozenset({"aws:currenttime", "aws:epochtime"})


def find_added_conditions(statement: Any, ours: Statement) -> frozenset[tuple[str, str]]:
    """Return the conditions that a copy of one of byok's statements adds, as pairs of operator and lower-case key.

    Args:
        statement: A statement of the policy.
        ours: The statement that byok needs.

    Returns:
        The added conditions. The set is also empty if the statement is not a copy, that is, if it does not allow the
        platform role or lacks one of byok's conditions.
    """
    principal = statement.get("Principal")
    named = as_list(principal.get("AWS", [])) if isinstance(principal, dict) else []
    theirs, needed = normalize_conditions(statement.get("Condition", {})), normalize_conditions(ours["Condition"])
    if statement.get("Effect") != "Allow" or ours["Principal"]["AWS"] not in named:
        return frozenset()
    if any(theirs.get(test) != values for test, values in needed.items()):
        return frozenset()
    return frozenset(test for test in theirs if test[1] not in _OUR_KEYS and test not in needed)


def explain_added_condition(test: ConditionResult, call: PlatformCall) -> str:
    """Explain what an added condition requires, and whether a call satisfies it."""
    said = f"The statement is tightened: the added {test.operator} on {test.key} requires {' or '.join(test.wanted)}"
    if test.holds is None:
        return f"{said}; byok cannot determine whether the call satisfies it: {test.unknown}."
    if test.holds:
        end = f"; {test.actual} satisfies it" if test.actual is not None else "; the call satisfies it"
        return f"{said}{end}."
    return f"{said}; the call does not satisfy it: {_explain_failure(test, call)}."


def ends_in_time(test: ConditionResult) -> bool:
    """Return whether a condition that is satisfied today will expire."""
    return test.key.lower() in _TIME_KEYS and ("LessThan" in test.operator or test.operator == "DateEquals")


def _explain_failure(test: ConditionResult, call: PlatformCall) -> str:
    service, key = call.service.upper(), test.key.lower()
    if key in _TIME_KEYS:
        return f"it is {test.actual} now" if test.actual is not None else "the time is unknown"
    if key == "aws:sourceip":
        return f"{service} makes the call for the platform role, and not from that address"
    if key.startswith("kms:encryptioncontext") and test.actual is None:
        return f"{call.action} has no encryption context"
    if key == "kms:encryptioncontext:aws:s3:arn":
        return (
            f"here S3 sends {test.actual}. It sends the bucket's ARN for a bucket with a Bucket Key, which every "
            "bucket of an environment has, and the object's ARN for the platform's probe: the condition must allow both"
        )
    return f"in the call it is {test.actual}" if test.actual is not None else "the call lacks this condition key"
