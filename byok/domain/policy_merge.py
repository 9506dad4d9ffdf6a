"""Puts the platform's statements into a customer's key policy, and leaves every other byte as it was (contract 56-59).

The document is edited as text: a customer compares what comes out with what went in, and has to see our statements and
nothing else. A statement with one of our Sids that differs from ours is outdated, and is replaced where it stands.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from byok.domain.arns import WhichKey, account_of
from byok.domain.evaluation import Access, Addressed, Caller, Examination, examine
from byok.domain.policies import Grantee, Statement, key_statements
from byok.domain.policy_check.document import policy_text, read_policy
from byok.domain.vendor import VendorProfile

LARGEST: Final = 32 * 1024
"""Bytes of a key policy (AWS KMS developer guide, "Resource quotas", key policy document size)."""

_SPACE: Final = " \t\r\n"
_JSON: Final = json.JSONDecoder()
_Span = tuple[int, int]


class PolicyMergeError(ValueError):
    """A policy into which nothing was put; `code` is for programs, the text for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Merged:
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


def merge_policy(text: str, which: WhichKey, platform_role_arn: str, region: str, vendor: VendorProfile) -> Merged:
    """The policy with our statements, or as it is where it has them.

    Args:
        text: The document, or the whole answer of `aws kms get-key-policy`.
        which: What the key is for.
        platform_role_arn: The role that the statements name.
        region: The environment's Region.
        vendor: The vendor's names.

    Raises:
        PolicyDocumentError: It is no key policy.
        PolicyMergeError: A Sid of ours is there twice; or the result would lock the key's owner out, or be too large.
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    document = policy_text(text)
    # A key may bear a statement that KMS would not save today; what comes out has to be fit to be saved.
    policy = read_policy(document, on_a_key=True)
    ours = key_statements(which, Grantee.of(platform_role_arn, region), vendor)
    edits, added, replaced = _edits(document, policy, ours)
    for (start, end), new in sorted(edits, reverse=True):
        document = document[:start] + new + document[end:]
    merged = Merged(document, tuple(added), tuple(replaced))
    _owner_must_keep_control(read_policy(document), account_of(platform_role_arn))
    if len(document.encode()) > LARGEST:
        raise PolicyMergeError(
            "policy.TooLarge",
            f"With our statements the policy has {len(document.encode())} bytes, and KMS takes {LARGEST}: shorten the "
            "other statements first.",
        )
    return merged


def _edits(
    text: str, policy: dict[str, Any], ours: list[Statement]
) -> tuple[list[tuple[_Span, str]], list[str], list[str]]:
    whole, spans = _statement_spans(text)
    present = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
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
            appended += style.before_another + style.written(statement)
        elif present[places[0]] != statement:
            replaced.append(statement["Sid"])
            edits.append((spans[places[0]], style.written(statement)))
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

    def written(self, statement: Statement) -> str:
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


def _owner_must_keep_control(policy: dict[str, Any], platform_account: str) -> None:
    """Somebody other than the platform has to be able to change the policy again.

    KMS checks the same for whoever calls PutKeyPolicy, unless told not to (AWS KMS developer guide, "Changing a key
    policy"); here the caller is not known.

    Raises:
        PolicyMergeError: Nobody could.
    """
    if not any(_controls(policy, caller) for caller in _named(policy) if caller.account != platform_account):
        raise PolicyMergeError(
            "policy.LockedOut",
            "With this policy nobody in the key's own account could change it again, and only AWS Support could help. "
            "AWS's own statement has to stay in it: Effect Allow, kms:*, for arn:aws:iam::<your account>:root.",
        )


def _named(policy: dict[str, Any]) -> Iterator[Caller]:
    statements = policy["Statement"] if isinstance(policy["Statement"], list) else [policy["Statement"]]
    for statement in statements:
        principal = statement.get("Principal") if statement["Effect"] == "Allow" else None
        if principal == "*":
            principal = {"AWS": "arn:aws:iam::000000000000:root"}
        entries = principal.get("AWS", []) if isinstance(principal, dict) else []
        for entry in entries if isinstance(entries, list) else [entries]:
            parts = entry.split(":")
            account = parts[4] if len(parts) > 4 else entry  # noqa: PLR2004 - the account of an ARN
            yield Caller(entry, account, entry if ":role/" in entry else None)


def _controls(policy: dict[str, Any], caller: Caller) -> bool:
    access = Access(caller, "kms:PutKeyPolicy", "*", {"aws:PrincipalAccount": caller.account})
    about = [one for one in examine(policy, access) if one.addressed is not Addressed.NO and one.action]
    denied = any(one.statement["Effect"] == "Deny" and one.resource and _certain(one) for one in about)
    return not denied and any(one.statement["Effect"] == "Allow" for one in about)


def _certain(one: Examination) -> bool:
    """Whether a statement applies whatever else the call carries."""
    return all(test.holds and test.actual is not None for test in one.conditions)
