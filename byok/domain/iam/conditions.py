"""Evaluates the condition block of a policy statement (IAM user guide, "Condition operators")."""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from byok.domain.iam.wildcards import (
    VERSION_WITH_VARIABLES,
    Context,
    Fill,
    as_list,
    compile_wildcard_pattern,
    lowercase_keys,
    make_variable_filler,
    unescape_pattern,
)

_COLONS_OF_AN_ARN: Final = 5


class UnknownConditionError(ValueError):
    """Raised if byok cannot evaluate a policy because a condition has an unknown operator or value."""


@dataclass(frozen=True)
class ConditionResult:
    """One test of a condition block, and its result.

    Attributes:
        operator: The operator as written in the statement, for example `StringEquals`.
        key: The condition key as written in the statement.
        wanted: The values in the statement.
        actual: The value in the request, or None if the request does not contain the condition key.
        holds: Whether the test is satisfied, or None if byok cannot tell.
        unknown: Why byok cannot determine whether the test is satisfied.
    """

    operator: str
    key: str
    wanted: tuple[str, ...]
    actual: str | list[str] | None
    holds: bool | None
    unknown: str = ""


def evaluate_conditions(
    block: Mapping[str, Mapping[str, Any]], context: Context, version: str | None
) -> tuple[ConditionResult, ...]:
    """Evaluate every test of a condition block separately.

    Args:
        block: The statement's `Condition`.
        context: The request's condition keys and their values. The names of condition keys are case-insensitive.
        version: The policy's `Version`, which determines whether policy variables are supported.
    """
    present = lowercase_keys(context)
    fill = make_variable_filler(context, version)
    return tuple(
        _test(operator, name, tuple(_text(item) for item in as_list(values)), present.get(name.lower()), fill)
        for operator, tests in block.items()
        for name, values in tests.items()
    )


def condition_block_holds(block: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Return whether all tests of a condition block in a policy of version 2012-10-17 are satisfied.

    Raises:
        UnknownConditionError: The result depends on an unknown operator or value.
    """
    return all_conditions_hold(evaluate_conditions(block, context, VERSION_WITH_VARIABLES))


def all_conditions_hold(tests: Iterable[ConditionResult]) -> bool:
    """Return whether all tests are satisfied.

    If one test fails, the result is False, even if the results of other tests are unknown.

    Raises:
        UnknownConditionError: No test fails, but the result of at least one test is unknown.
    """
    results = list(tests)
    if any(test.holds is False for test in results):
        return False
    for test in results:
        if test.holds is None:
            raise UnknownConditionError(test.unknown)
    return True


def normalize_conditions(block: Mapping[str, Mapping[str, Any]]) -> dict[tuple[str, str], frozenset[str]]:
    """Return a mapping of each operator and lower-case key to its values, so that equivalent blocks compare equal."""
    return {
        (operator, key.lower()): frozenset(_text(value) for value in as_list(values))
        for operator, tests in block.items()
        for key, values in tests.items()
    }


def require_known_operator(operator: str) -> None:
    """Check that an operator is an IAM condition operator.

    Raises:
        UnknownConditionError: The operator is unknown.
    """
    quantifier, _, plain = operator.rpartition(":")
    if quantifier not in {"", "ForAnyValue", "ForAllValues"}:
        raise UnknownConditionError(f"the condition operator {operator} is unknown")
    if plain != "Null":
        _comparison(plain.removesuffix("IfExists"))


def _test(
    operator: str, key: str, wanted: tuple[str, ...], actual: str | list[str] | None, fill: Fill
) -> ConditionResult:
    try:
        return ConditionResult(operator, key, wanted, actual, _operator_holds(operator, wanted, actual, fill))
    except UnknownConditionError as error:
        return ConditionResult(operator, key, wanted, actual, None, str(error))


def _text(value: Any) -> str:
    """Convert a value to the text that IAM compares, for example the JSON value `true` to the text `true`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _operator_holds(operator: str, wanted: tuple[str, ...], actual: str | list[str] | None, fill: Fill) -> bool:
    require_known_operator(operator)
    quantifier, _, plain = operator.rpartition(":")
    if plain == "Null":
        return any((actual is None) == (item.lower() == "true") for item in wanted)
    if_exists = plain.endswith("IfExists")
    name = plain.removesuffix("IfExists")
    negated, compare = _comparison(name)
    if actual is None:
        # If the request does not contain the condition key, a plain operator fails, and a negated operator is
        # satisfied. If the operator ends in `IfExists`, it is satisfied in both cases.
        if quantifier == "ForAnyValue":
            return if_exists
        return negated or if_exists or quantifier == "ForAllValues"
    if negated and compare is _arn and not all(value.count(":") >= _COLONS_OF_AN_ARN for value in as_list(actual)):
        raise UnknownConditionError(f"AWS does not document how {operator} treats {actual!r}, which is not an ARN")
    # A pattern with a variable that has no value in the request never matches, so a negated operator is satisfied (IAM
    # user guide, "Policy variables with no value").
    known = [item for item in map(fill, wanted) if item is not None]
    hits = [any(compare(item, value) for item in known) != negated for value in as_list(actual)]
    return all(hits) if quantifier == "ForAllValues" or (negated and quantifier == "") else any(hits)


def _comparison(name: str) -> tuple[bool, Callable[[str, str], bool]]:
    positive = _NEGATED.get(name, name)
    if positive not in _COMPARISONS:
        raise UnknownConditionError(f"the condition operator {name} is unknown")
    return name in _NEGATED, _COMPARISONS[positive]


def _like(wanted: str, actual: str) -> bool:
    return compile_wildcard_pattern(wanted).fullmatch(actual) is not None


def _arn(wanted: str, actual: str) -> bool:
    """Compare the six parts of two ARNs separately, so that a wildcard never matches a colon between two parts.

    Text that is not an ARN never matches.
    """
    parts, values = wanted.split(":", 5), actual.split(":", 5)
    return len(parts) == len(values) == _COLONS_OF_AN_ARN + 1 and all(map(_like, parts, values))


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UnknownConditionError(f"{value!r} is not a number") from None


def _date(value: str) -> float:
    if re.fullmatch(r"[0-9]+", value):
        return float(value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise UnknownConditionError(f"{value!r} is not a date") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _in_network(wanted: str, actual: str) -> bool:
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        raise UnknownConditionError(f"{wanted!r} is not a network") from None


_COMPARISONS: Final[dict[str, Callable[[str, str], bool]]] = {
    "StringEquals": lambda wanted, actual: unescape_pattern(wanted) == actual,
    "StringEqualsIgnoreCase": lambda wanted, actual: unescape_pattern(wanted).lower() == actual.lower(),
    "StringLike": _like,
    "Bool": lambda wanted, actual: wanted.lower() == actual.lower(),
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "BinaryEquals": lambda wanted, actual: wanted == actual,
    "IpAddress": _in_network,
    "NumericEquals": lambda wanted, actual: _number(actual) == _number(wanted),
    "NumericLessThan": lambda wanted, actual: _number(actual) < _number(wanted),
    "NumericLessThanEquals": lambda wanted, actual: _number(actual) <= _number(wanted),
    "NumericGreaterThan": lambda wanted, actual: _number(actual) > _number(wanted),
    "NumericGreaterThanEquals": lambda wanted, actual: _number(actual) >= _number(wanted),
    "DateEquals": lambda wanted, actual: _date(actual) == _date(wanted),
    "DateLessThan": lambda wanted, actual: _date(actual) < _date(wanted),
    "DateLessThanEquals": lambda wanted, actual: _date(actual) <= _date(wanted),
    "DateGreaterThan": lambda wanted, actual: _date(actual) > _date(wanted),
    "DateGreaterThanEquals": lambda wanted, actual: _date(actual) >= _date(wanted),
}

# The negated operators that IAM documents, each with the operator that it negates. Not every operator has a negated
# form.
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
