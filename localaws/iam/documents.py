"""Checks the policies of roles.

A trust policy specifies who may assume a role, and an inline policy specifies what the role may do.

The error messages are taken from recorded responses of IAM. If a document has two errors, it is unknown which error AWS
reports first.
"""

import json
import re
from typing import Any, Final

from byok.domain.iam.conditions import UnknownConditionError, require_known_operator
from localaws.call import AwsError
from localaws.state import STATE

_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")


def parse_trust_policy(text: str) -> dict[str, Any]:
    """Parse a role's trust policy, and check that it specifies principals but no resources, as IAM requires.

    Raises:
        AwsError: `MalformedPolicyDocument`.
    """
    document = _parse(text, "This policy contains invalid Json")
    for statement in document["Statement"]:
        for prohibited in ("Resource", "NotResource"):
            if prohibited in statement:
                raise _malformed_error(f"Has prohibited field {prohibited}")
        if not {"Principal", "NotPrincipal"} & set(statement):
            raise _malformed_error("Missing required field Principal")
        if not all(action.startswith("sts:") for action in _list(statement.get("Action", []))):
            raise _malformed_error("AssumeRole policy may only specify STS AssumeRole actions.")
        _check_principals(statement)
    return document


def parse_inline_policy(text: str) -> dict[str, Any]:
    """Parse an inline policy, and check that it specifies resources but no principals, as IAM requires.

    Raises:
        AwsError: `MalformedPolicyDocument`.
    """
    document = _parse(text, "The policy is not in the valid JSON format.")
    for statement in document["Statement"]:
        if {"Principal", "NotPrincipal"} & set(statement):
            raise _malformed_error("Policy document should not specify a principal.")
        if not statement.get("Resource", statement.get("NotResource")):
            raise _malformed_error("Policy statement must contain resources.")
    return document


def _parse(text: str, not_json: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise _malformed_error(not_json) from error
    statements = _list(document.get("Statement")) if isinstance(document, dict) else []
    if not statements or not all(_is_statement(one) for one in statements):
        raise _malformed_error("Syntax errors in policy.")
    for statement in statements:
        if not statement.get("Action", statement.get("NotAction")):
            raise _malformed_error("Policy statement must contain actions.")
        try:
            for operator in statement.get("Condition", {}):
                require_known_operator(operator)
        except UnknownConditionError as error:
            raise _malformed_error(str(error)) from error
    return {**document, "Statement": statements}


def _is_statement(one: Any) -> bool:
    return isinstance(one, dict) and set(one) <= _ELEMENTS and one.get("Effect") in {"Allow", "Deny"}


def _check_principals(statement: dict[str, Any]) -> None:
    """Reject a principal that does not exist. Principals in accounts that are not modelled cannot be checked."""
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    known = {role.account for role in STATE.roles.values()}
    for name in _list(principal.get("AWS", [])) if isinstance(principal, dict) else []:
        match = _ROLE.fullmatch(name)
        if match and match[1] in known and name not in STATE.roles:
            raise _malformed_error(f'Invalid principal in policy: "AWS":"{name}"')


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _malformed_error(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", message)
