"""Puts the platform's statements into a customer's key policy, and leaves every other byte as it was (contract 56-59).

The document is edited as text: a customer compares what comes out with what went in, and has to see our statements and
nothing else. A statement with one of our Sids that means something else than ours is outdated, and is replaced where it
stands; unless something of the customer's would be lost with it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.iam.check.document import MAX_POLICY_BYTES, extract_document, parse_document
from byok.domain.iam.check.policy_lockout import has_policy_administrator
from byok.domain.iam.evaluator import extract_statements
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements
from byok.domain.iam.wildcards import as_list
from byok.domain.vendor import VendorProfile

_SPACE: Final = " \t\r\n"
_JSON: Final = json.JSONDecoder()
_Span = tuple[int, int]


class PolicyMergeError(ValueError):
    """A policy into which nothing was put; `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class MergeResult:
    """A policy with our statements in it.

    Attributes:
        text: The document.
        added: Sids of the statements that were appended.
        replaced: Sids of those that were there and were outdated.
    """

    text: str
    added: tuple[str, ...]
    replaced: tuple[str, ...]

    @property
    def changed(self) -> bool:
        """Whether anything had to be done."""
        return bool(self.added or self.replaced)


def merge_policy(
    text: str,
    which: KeyPurpose,
    platform_role_arn: str,
    region: str,
    vendor: VendorProfile,
    *,
    key_arn: str | None = None,
) -> MergeResult:
    """The policy with our statements, or as it is where it has them.

    Args:
        text: The document, or the whole answer of `aws kms get-key-policy`.
        which: What the key is for.
        platform_role_arn: The role that the statements name.
        region: The environment's Region.
        vendor: The vendor's names.
        key_arn: The key, where it is known: then it is its own account that has to keep control.

    Raises:
        PolicyDocumentError: It is no key policy.
        PolicyMergeError: A Sid of ours is there twice, or on something that is not ours; or the result would lock the
            key's owner out, or be too large.
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    document = extract_document(text)
    # A key may bear a statement that KMS would not save today; what comes out has to be fit to be saved.
    policy = parse_document(document, on_a_key=True)
    ours = build_key_statements(which, StatementParameters.for_platform_role(platform_role_arn, region), vendor)
    edits, added, replaced = _edits(document, policy, ours)
    for (start, end), new in sorted(edits, reverse=True):
        document = document[:start] + new + document[end:]
    if len(document.encode()) > MAX_POLICY_BYTES:
        raise PolicyMergeError(
            "policy.TooLarge",
            f"With our statements the policy has {len(document.encode())} bytes, and KMS takes {MAX_POLICY_BYTES}: "
            "shorten the other statements first.",
        )
    _require_owner_control(parse_document(document), account_id_of_role(platform_role_arn), key_arn)
    return MergeResult(document, tuple(added), tuple(replaced))


def _edits(
    text: str, policy: dict[str, Any], ours: list[Statement]
) -> tuple[list[tuple[_Span, str]], list[str], list[str]]:
    whole, spans = _statement_spans(text)
    present = extract_statements(policy)
    style = _Style.of(text, whole, spans)
    edits: list[tuple[_Span, str]] = []
    added, replaced = [], []
    appended = ""
    for statement in ours:
        places = [place for place, one in enumerate(present) if one.get("Sid") == statement["Sid"]]
        if len(places) > 1:
            raise PolicyMergeError(
                "policy.SidTwice", f"{len(places)} statements have the Sid {statement['Sid']}: leave one of them."
            )
        if not places:
            added.append(statement["Sid"])
            appended += style.before_another + style.serialize(statement)
        elif _canonical(present[places[0]]) != _canonical(statement):
            _require_own(present[places[0]], statement)
            replaced.append(statement["Sid"])
            edits.append((spans[places[0]], style.serialize(statement)))
    if appended:
        end = spans[-1][1]
        edits.append(((end, end), appended))
        if not isinstance(policy["Statement"], list):
            # KMS takes one statement without an array around it; a second one needs the array.
            edits += [((whole[0], whole[0]), "["), ((whole[1], whole[1]), "]")]
    return edits, added, replaced


@dataclass(frozen=True)
class _Style:
    """How the document is laid out: ours are written alike.

    Attributes:
        newline: What ends a line; empty where all stands on one.
        indent: White space before a statement.
        unit: One more level of it.
    """

    newline: str
    indent: str
    unit: str

    @classmethod
    def of(cls, text: str, whole: _Span, spans: list[_Span]) -> "_Style":
        first = spans[0][0]
        line = text[text.rfind("\n", 0, first) + 1 : first]
        if "\n" not in text or line.strip(_SPACE):
            return cls("", "", "") if "\n" not in text else cls("\n", "    ", "  ")
        outer = text[text.rfind("\n", 0, whole[0]) + 1 :]
        outer = outer[: len(outer) - len(outer.lstrip(_SPACE))]
        unit = line.removeprefix(outer) if line.startswith(outer) and line != outer else "  "
        return cls("\r\n" if "\r\n" in text else "\n", line, unit)

    @property
    def before_another(self) -> str:
        return f",{self.newline}{self.indent}" if self.newline else ","

    def serialize(self, statement: Statement) -> str:
        if not self.newline:
            return json.dumps(statement, separators=(",", ":"))
        return json.dumps(statement, indent=self.unit).replace("\n", self.newline + self.indent)


def _statement_spans(text: str) -> tuple[_Span, list[_Span]]:
    """Where the value of `Statement` is, and where each statement in it is; the text is known to be a policy."""
    at = _after_space(text, 0) + 1
    while True:
        name, end = _JSON.raw_decode(text, _after_space(text, at))
        start = _after_space(text, _after_space(text, end) + 1)
        _, end = _JSON.raw_decode(text, start)
        if name == "Statement":
            return (start, end), list(_elements(text, start, end))
        at = _after_space(text, end) + 1


def _elements(text: str, start: int, end: int) -> Iterator[_Span]:
    if text[start] != "[":
        yield start, end
        return
    at = start
    while text[at] != "]":
        first = _after_space(text, at + 1)
        _, last = _JSON.raw_decode(text, first)
        yield first, last
        at = _after_space(text, last)


def _after_space(text: str, at: int) -> int:
    while text[at] in _SPACE:
        at += 1
    return at


def _canonical(statement: Statement) -> dict[str, Any]:
    """A statement without what can be written in several ways: order, arrays of one, capitals, JSON's own booleans."""
    principal, condition = statement.get("Principal"), statement.get("Condition", {})
    return {
        **statement,
        "Principal": {kind: frozenset(as_list(names)) for kind, names in principal.items()}
        if isinstance(principal, dict)
        else principal,
        "Action": frozenset(action.lower() for action in as_list(statement.get("Action", []))),
        "Resource": frozenset(as_list(statement.get("Resource", []))),
        "Condition": {
            (operator, key.lower()): frozenset(json.dumps(value).strip('"') for value in as_list(values))
            for operator, tests in condition.items()
            for key, values in tests.items()
        },
    }


def _require_own(there: Statement, ours: Statement) -> None:
    """See that nothing of the customer's is lost when a statement is replaced.

    Raises:
        PolicyMergeError: It denies, or lets somebody else in as well.
    """
    sid, role = ours["Sid"], ours["Principal"]["AWS"]
    keep = f"Give it another Sid, so that it is kept, and {sid} is free for the platform's."
    if there["Effect"] == "Deny":
        raise PolicyMergeError("policy.SidTaken", f"The statement {sid} has Effect Deny, and ours allows. {keep}")
    principal = there.get("Principal")
    named = [name for names in principal.values() for name in as_list(names)] if isinstance(principal, dict) else []
    others = [name for name in named if name != role]
    if others and len(named) > 1:
        raise PolicyMergeError("policy.SidTaken", f"The statement {sid} is also for {', '.join(others)}. {keep}")


def _require_owner_control(policy: dict[str, Any], platform_account: str, key_arn: str | None) -> None:
    """Somebody of the key's own account has to be able to change the policy again.

    Raises:
        PolicyMergeError: Nobody could.
    """
    account = key_arn.split(":")[4] if key_arn else None
    if not has_policy_administrator(policy, account=account, platform_account=platform_account, key_arn=key_arn):
        raise PolicyMergeError(
            "policy.LockedOut",
            "With this policy nobody in the key's own account could change it again, and only AWS Support could help. "
            "AWS's own statement has to stay in it: Effect Allow, kms:*, for arn:aws:iam::<your account>:root.",
        )
