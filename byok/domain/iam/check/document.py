"""Reads a key policy as people have it: the document, or the whole answer of `aws kms get-key-policy`.

What a policy has to look like is in the IAM user guide, "Grammar of the IAM JSON policy language". Whether its
condition operators are known is left to whoever evaluates them.
"""

import json
import re
from typing import Any, Final

from byok.domain.iam.evaluator import extract_statements
from byok.domain.iam.wildcards import as_list

MAX_POLICY_BYTES: Final = 32 * 1024
"""Bytes of a key policy (AWS KMS developer guide, "Resource quotas", key policy document size)."""

NOT_A_POLICY_CODES: Final = frozenset({"policy.NotJson", "policy.NotAPolicy", "policy.NoStatement"})
"""Codes of what is something else than a policy: it was the wrong file, or a part of one."""

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_PARTS: Final = frozenset({"Version", "Id", "Statement"})
_PRINCIPALS: Final = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:.+")
_ELEMENTS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"}
)
_NEEDED: Final = ("Principal", "Action", "Resource")


class PolicyDocumentError(ValueError):
    """A text that KMS would not take as a key policy; `code` says in which way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def decode_text(content: bytes) -> str:
    """The text of a file: what Windows' shells write is UTF-16, and what some editors write begins with a mark.

    Raises:
        PolicyDocumentError: It is no text.
    """
    try:
        return content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise PolicyDocumentError("policy.NotJson", f"The file is not text: {error}.") from error


def parse_policy(text: str, *, on_a_key: bool = False) -> dict[str, Any]:
    """A policy whose shape is right; what it allows is not decided here.

    Args:
        text: The document, or the whole answer of `aws kms get-key-policy`.
        on_a_key: Whether KMS has saved it already. A statement without Action or Resource "has no effect", and
            PutKeyPolicy took it all the same (KMS API reference, PutKeyPolicy) until AWS announced to owners of such
            keys that from 18 August 2025 on it is refused as malformed: older keys may bear one.

    Raises:
        PolicyDocumentError: KMS would refuse it, or it is no key policy.
    """
    return parse_document(extract_document(text), on_a_key=on_a_key)


def parse_document(text: str, *, on_a_key: bool = False) -> dict[str, Any]:
    """The same of the document alone, as KMS is given it.

    Raises:
        PolicyDocumentError: KMS would refuse it.
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


def _instead(content: dict[str, Any]) -> str:
    """What a text without statements seems to be."""
    near = next((name for name in content if name != "Statement" and name.lower().startswith("statement")), None)
    if near:
        return f" The element is called Statement, not {near}."
    if {"Effect", "Principal"} & set(content):
        return " This is one statement by itself: give the whole policy that it is to stand in."
    if {"Resources", "AWSTemplateFormatVersion"} & set(content):
        return " This is a CloudFormation template: give the policy of a key, as `aws kms get-key-policy` prints it."
    if "KeyMetadata" in content:
        return " This is what `aws kms describe-key` prints: the policy comes from `aws kms get-key-policy`."
    if "Policy" in content:
        return " Give what is in Policy."
    return ""


def _check_frame(policy: dict[str, Any], text: str) -> None:
    def refuse(message: str) -> PolicyDocumentError:
        return PolicyDocumentError("policy.Malformed", message)

    unknown = sorted(set(policy) - _PARTS)
    if unknown:
        raise refuse(f"A policy has no element {', '.join(unknown)}; it has {', '.join(sorted(_PARTS))}.")
    if policy.get("Version", _VERSIONS[0]) not in _VERSIONS:
        raise refuse(f"Version has to be {' or '.join(_VERSIONS)}: it is the version of the policy language.")
    if not isinstance(policy.get("Id", ""), str):
        raise refuse("Id has to be a text.")
    size = len(text.encode(errors="surrogatepass"))
    if size > MAX_POLICY_BYTES:
        raise PolicyDocumentError("policy.TooLarge", f"The policy has {size} bytes, and KMS takes {MAX_POLICY_BYTES}.")


def extract_document(text: str) -> str:
    """The document itself, where `get-key-policy` was printed whole: then it is a text within the answer's JSON.

    Raises:
        PolicyDocumentError: It is not JSON.
    """
    content = _json(text)
    if isinstance(content, dict) and isinstance(content.get("Policy"), str) and "Statement" not in content:
        return str(content["Policy"])
    return content if isinstance(content, str) else text


def _object(text: str) -> dict[str, Any]:
    content = _json(text)
    if not isinstance(content, dict):
        what = "an array: the policy is the object around it" if isinstance(content, list) else "no JSON object"
        raise PolicyDocumentError("policy.NotAPolicy", f"This is {what}.")
    return content


def _json(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_reject_duplicate_names, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise PolicyDocumentError(
            "policy.NotJson", f"This is not valid JSON: {error.msg}, in line {error.lineno}, column {error.colno}."
        ) from error
    except PolicyDocumentError:
        raise
    except RecursionError as error:
        raise PolicyDocumentError("policy.NotJson", "This is nested deeper than any policy is.") from error
    except ValueError as error:  # a number of thousands of digits
        raise PolicyDocumentError("policy.NotJson", f"This is not valid JSON: {error}.") from error


def _no_constant(name: str) -> None:
    raise PolicyDocumentError("policy.NotJson", f"This is not valid JSON: {name} is no value.")


def _reject_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name is there twice: which of the two counts would be anybody's guess."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise PolicyDocumentError("policy.NameTwice", f"The name {twice} stands twice in one object.")
    return dict(pairs)


def _check_statement(statement: Any, number: int, needed: tuple[str, ...]) -> None:
    def refuse(message: str) -> PolicyDocumentError:
        return PolicyDocumentError("policy.Malformed", f"{name}: {message}")

    name = f"Statement {number}"
    if not isinstance(statement, dict):
        raise refuse("it is no JSON object.")
    if not isinstance(statement.get("Sid", ""), str):
        raise refuse("Sid has to be a text.")
    if statement.get("Sid"):
        name = f"Statement {statement['Sid']}"
    unknown = sorted(set(statement) - _ELEMENTS)
    if unknown:
        raise refuse(f"a statement has no element {', '.join(unknown)}.")
    if statement.get("Effect") not in {"Allow", "Deny"}:
        raise refuse("Effect has to be Allow or Deny, spelt so.")
    for element in _NEEDED:
        present = {element, f"Not{element}"} & set(statement)
        if len(present) > 1 or (not present and element in needed):
            raise refuse(f"it needs {element} or Not{element}, and one of them alone.")
    for element in sorted({"Action", "NotAction", "Resource", "NotResource"} & set(statement)):
        values = as_list(statement[element])
        if not values or not all(isinstance(value, str) for value in values):
            raise refuse(f"{element} has to be a text or an array of texts.")
        strange = next((value for value in values if "Action" in element and not _ACTION.fullmatch(value)), None)
        if strange is not None:
            raise refuse(f"{element} has {strange!r}; an action begins with its service, as kms:Decrypt does.")
    _check_principal(statement.get("Principal", statement.get("NotPrincipal")), refuse)
    _check_condition(statement.get("Condition", {}), refuse)


def _check_principal(principal: Any, refuse: Any) -> None:
    if principal == "*":
        return
    if not isinstance(principal, dict) or not principal:
        raise refuse('Principal has to be an object such as {"AWS": "arn:aws:iam::…:role/…"}.')
    strange = sorted(set(principal) - _PRINCIPALS)
    if strange:
        raise refuse(f"a principal is one of {', '.join(sorted(_PRINCIPALS))}, and not {', '.join(strange)}.")
    for values in principal.values():
        listed = as_list(values)
        if not listed or not all(isinstance(value, str) for value in listed):
            raise refuse("a principal has to be a text or an array of texts.")


def _check_condition(condition: Any, refuse: Any) -> None:
    if not isinstance(condition, dict) or not all(isinstance(tests, dict) for tests in condition.values()):
        raise refuse('Condition has to be an object such as {"StringEquals": {"kms:ViaService": "…"}}.')
    for key, values in (pair for tests in condition.values() for pair in tests.items()):
        if not all(isinstance(value, (str, int, float)) for value in as_list(values)):  # a boolean is an int
            raise refuse(f"{key} has to be compared with a text or an array of texts.")
