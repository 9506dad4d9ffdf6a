"""Parses a key policy, provided either as the policy document or as the output of `aws kms get-key-policy`.

The output of the AWS CLI can be in any format except `table`.

The IAM user guide, "Grammar of the IAM JSON policy language", defines the structure of a policy. This module does not
check condition operators; the evaluator does.
"""

import json
import re
from typing import Any, Final

from byok.domain.iam.check.cli_output import find_policy_in_cli_output
from byok.domain.iam.check.principals import explain_invalid_principal, is_deleted_principal
from byok.domain.iam.evaluator import extract_statements
from byok.domain.iam.wildcards import as_list

MAX_POLICY_BYTES: Final = 32 * 1024
"""Maximum size of a key policy (AWS KMS developer guide, "Resource quotas", key policy document size)."""

NOT_A_POLICY_CODES: Final = frozenset({"policy.NotJson", "policy.NotAPolicy", "policy.NoStatement"})
"""The error codes for input that is not a policy, such as the wrong file or only a part of a policy."""

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_PARTS: Final = frozenset({"Version", "Id", "Statement"})
_PRINCIPALS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:.+")
_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_NEEDED: Final = ("Principal", "Action", "Resource")


class PolicyDocumentError(ValueError):
    """Raised for text that KMS would reject as a key policy. `code` identifies the error.

    Attributes:
        sid: The Sid of the invalid statement; None if the statement is unknown or has no Sid.
    """

    def __init__(self, code: str, message: str, sid: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.sid = sid


def decode_text(content: bytes) -> str:
    """Decode a file, which may be UTF-16 (from a Windows shell) or start with a byte order mark (from some editors).

    Raises:
        PolicyDocumentError: The file is not text.
    """
    try:
        return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise PolicyDocumentError("policy.NotJson", f"The file is not text: {error}.") from error


def parse_policy(text: str, *, on_a_key: bool = False) -> dict[str, Any]:
    """Parse a policy and validate its structure. This function does not check which calls the policy allows.

    Args:
        text: The policy document, or the whole output of `aws kms get-key-policy`.
        on_a_key: Whether KMS has already saved the policy. In a saved policy, a statement without Action or Resource is
            accepted, because PutKeyPolicy used to accept such a statement although it "has no effect" (KMS API
            reference, PutKeyPolicy). AWS notified the owners of such keys that KMS would reject the statement as
            malformed starting August 18, 2025; older keys may still have such a statement.

    Raises:
        PolicyDocumentError: KMS would reject the policy, or the text is not a key policy.
    """
    return parse_document(extract_document(text), on_a_key=on_a_key)


def parse_document(text: str, *, on_a_key: bool = False) -> dict[str, Any]:
    """Parse a policy document and validate its structure. See `parse_policy`.

    Raises:
        PolicyDocumentError: KMS would reject the document.
    """
    policy = _object(text)
    if policy.get("Statement") is None:
        raise PolicyDocumentError("policy.NoStatement", f"The policy has no Statement array.{_instead(policy)}")
    if not extract_statements(policy):
        raise PolicyDocumentError("policy.NoStatement", "The policy's Statement array is empty.")
    _check_frame(policy, text)
    for number, statement in enumerate(extract_statements(policy), start=1):
        _check_statement(statement, number, needed=("Principal",) if on_a_key else _NEEDED)
    return policy


def require_no_deleted_principal(policy: dict[str, Any]) -> None:
    """Check that a policy does not contain the unique id of a deleted user or role.

    KMS rejects a new policy that contains such an id.

    Raises:
        PolicyDocumentError: The policy contains the id of a deleted user or role.
    """
    for number, statement in enumerate(extract_statements(policy), start=1):
        deleted = next((entry for entry in _aws_principals(statement) if is_deleted_principal(entry)), None)
        if deleted is not None:
            raise PolicyDocumentError(
                "policy.DeletedPrincipal",
                f"Statement {statement.get('Sid') or number}: {deleted} is the id of a deleted user or role. KMS keeps "
                "such an id in an existing policy, but rejects a new policy that contains one. Remove the id first.",
                statement.get("Sid"),
            )


def _instead(content: dict[str, Any]) -> str:
    """Return a hint for JSON without statements: what the JSON seems to be, and which document to provide."""
    near = next((name for name in content if name != "Statement" and name.lower().startswith("statement")), None)
    if near:
        return f" The element's name is Statement, not {near}."
    if {"Effect", "Principal"} & set(content):
        return " This is a single statement. Provide the whole policy that contains this statement."
    if {"Resources", "AWSTemplateFormatVersion"} & set(content):
        return " This is a CloudFormation template. Provide a key's policy, as `aws kms get-key-policy` prints it."
    if "KeyMetadata" in content:
        return " This is the output of `aws kms describe-key`. Provide the output of `aws kms get-key-policy`."
    if "Policy" in content:
        return " Provide the value of Policy."
    return ""


def _check_frame(policy: dict[str, Any], text: str) -> None:
    def refuse(message: str) -> PolicyDocumentError:
        return PolicyDocumentError("policy.Malformed", message)

    unknown = sorted(set(policy) - _PARTS)
    if unknown:
        raise refuse(
            f"Unknown policy element {', '.join(unknown)}; the allowed elements are {', '.join(sorted(_PARTS))}."
        )
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise refuse(f"Version must be {' or '.join(_VERSIONS)}, which are the versions of the policy language.")
    if not isinstance(policy.get("Id", ""), str):
        raise refuse("Id must be a string.")
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_POLICY_BYTES:
        raise PolicyDocumentError(
            "policy.TooLarge", f"The policy is {size} bytes long, but KMS allows at most {MAX_POLICY_BYTES}."
        )


def extract_document(text: str) -> str:
    """Return the policy document, byte for byte, without the rest of the output of `get-key-policy`.

    Raises:
        PolicyDocumentError: The text is neither JSON nor the output of `get-key-policy`.
    """
    try:
        content = _json(text)
    except PolicyDocumentError:
        found = find_policy_in_cli_output(text)
        if found is None:
            raise
        return found
    if isinstance(content, dict) and isinstance(content.get("Policy"), str) and "Statement" not in content:
        return str(content["Policy"])
    return content if isinstance(content, str) else text


def _object(text: str) -> dict[str, Any]:
    content = _json(text)
    if not isinstance(content, dict):
        what = "an array, but a policy is a JSON object" if isinstance(content, list) else "not a JSON object"
        raise PolicyDocumentError("policy.NotAPolicy", f"This is {what}.")
    return content


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_reject_duplicate_names, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise PolicyDocumentError(
            "policy.NotJson", f"This is not valid JSON: {error.msg}, at line {error.lineno}, column {error.colno}."
        ) from error
    except PolicyDocumentError:
        raise
    except RecursionError as error:
        raise PolicyDocumentError("policy.NotJson", "This JSON is nested too deeply for a policy.") from error
    except ValueError as error:  # raised for a number with thousands of digits
        raise PolicyDocumentError("policy.NotJson", f"This is not valid JSON: {error}.") from error


def _no_constant(name: str) -> None:
    raise PolicyDocumentError("policy.NotJson", f"This is not valid JSON: {name} is not a JSON value.")


def _reject_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object from its names and values. Reject duplicate names, because the value would be ambiguous."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PolicyDocumentError("policy.NameTwice", f"The name {twice} occurs twice in one object.")
    return dict(pairs)


def _check_statement(statement: Any, number: int, needed: tuple[str, ...]) -> None:
    def refuse(message: str) -> PolicyDocumentError:
        return PolicyDocumentError("policy.Malformed", f"{name}: {message}")

    name = f"Statement {number}"
    if not isinstance(statement, dict):
        raise refuse("the statement is not a JSON object.")
    if not isinstance(statement.get("Sid", ""), str):
        raise refuse("Sid must be a string.")
    if statement.get("Sid"):
        name = f"Statement {statement['Sid']}"
    unknown = sorted(set(statement) - _ELEMENTS)
    if unknown:
        raise refuse(f"unknown statement element {', '.join(unknown)}.")
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise refuse("Effect must be exactly Allow or Deny; it is case-sensitive.")
    for element in _NEEDED:
        present = {element, f"Not{element}"} & set(statement)
        if len(present) > 1 or (not present and element in needed):
            raise refuse(f"must contain exactly one of {element} and Not{element}.")
    for element in sorted({"Action", "NotAction", "Resource", "NotResource"} & set(statement)):
        values = as_list(statement[element])
        if not values or not all(isinstance(value, str) for value in values):
            raise refuse(f"{element} must be a string or an array of strings.")
        strange = next((value for value in values if "Action" in element and not _ACTION.fullmatch(value)), None)
        if strange is not None:
            raise refuse(
                f"{element} contains {strange!r}; an action must start with the service prefix, for example "
                "kms:Decrypt."
            )
    _check_principal(statement.get("Principal", statement.get("NotPrincipal")), refuse)
    # KMS has already accepted the principals of a saved policy, so they are not checked again.
    for entry in _aws_principals(statement) if needed == _NEEDED else ():
        fault = explain_invalid_principal(entry)
        if fault is not None:
            message = f"{name}: KMS rejects the principal {entry}: {fault}"
            raise PolicyDocumentError("policy.InvalidPrincipal", message, statement.get("Sid"))
    _check_condition(statement.get("Condition", {}), refuse)


def _check_principal(principal: Any, refuse: Any) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise refuse('Principal must be an object such as {"AWS": "arn:aws:iam::…:role/…"}.')
    strange = sorted(set(principal) - _PRINCIPALS)
    if strange:
        raise refuse(
            f"unknown principal type {', '.join(strange)}; it must be one of {', '.join(sorted(_PRINCIPALS))}."
        )
    for values in principal.values():
        listed = as_list(values)
        if not listed or not all(isinstance(value, str) for value in listed):
            raise refuse("a principal must be a string or an array of strings.")


def _aws_principals(statement: dict[str, Any]) -> list[str]:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    return as_list(principal.get("AWS", [])) if isinstance(principal, dict) else []


def _check_condition(condition: Any, refuse: Any) -> None:
    if not isinstance(condition, dict) or not all(isinstance(tests, dict) for tests in condition.values()):
        raise refuse('Condition must be an object such as {"StringEquals": {"kms:ViaService": "…"}}.')
    for key, values in (pair for tests in condition.values() for pair in tests.items()):
        if not all(isinstance(value, (str, int, float)) for value in as_list(values)):  # `bool` is a subclass of `int`
            raise refuse(f"the value of {key} must be a string or an array of strings.")
