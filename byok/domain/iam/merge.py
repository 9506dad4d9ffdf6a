"""Merges byok's statements into a customer's key policy and leaves every other byte unchanged (contract 56-59).

byok edits the document as text, so that a diff between the input and the output shows only byok's statements. If a
statement has one of byok's Sids but a different meaning, byok considers the statement outdated and replaces it in
place. If the replacement would discard something that the customer added, byok replaces nothing and raises an error.
"""

import codecs
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.iam.check.document import (
    MAX_POLICY_BYTES,
    decode_text,
    extract_document,
    parse_document,
    require_no_deleted_principal,
)
from byok.domain.iam.check.policy_lockout import has_policy_administrator
from byok.domain.iam.conditions import normalize_conditions
from byok.domain.iam.evaluator import extract_statements
from byok.domain.iam.statements import Statement, StatementParameters, build_key_statements
from byok.domain.iam.wildcards import as_list
from byok.domain.vendor import VendorProfile

_SPACE: Final = " \t\r\n"
_JSON: Final = json.JSONDecoder()
_Span = tuple[int, int]


class PolicyMergeError(ValueError):
    """Raised if a policy cannot be merged. Programs use `code`, and users see the message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class MergeResult:
    """A policy that contains byok's statements.

    Attributes:
        text: The document.
        added: Sids of the appended statements.
        replaced: Sids of the outdated statements that were replaced.
        dropped: Condition keys that the replaced statements had and that byok's statements lack.
        byte_order_mark: Whether the input file contained only the document and started with a UTF-8 byte order mark.
    """

    text: str
    added: tuple[str, ...]
    replaced: tuple[str, ...]
    dropped: tuple[str, ...] = ()
    byte_order_mark: bool = False

    @property
    def changed(self) -> bool:
        """Whether the policy was changed."""
        return bool(self.added or self.replaced)

    @property
    def content(self) -> bytes:
        """The document, encoded as UTF-8 for writing to a file."""
        return (codecs.BOM_UTF8 if self.byte_order_mark else b"") + self.text.encode()


def merge_policy_file(
    content: bytes,
    which: KeyPurpose,
    platform_role_arn: str,
    region: str,
    vendor: VendorProfile,
    *,
    key_arn: str | None = None,
    organisation: str | None = None,
) -> MergeResult:
    """Add byok's statements to the policy in a file, as `merge_policy` does.

    A UTF-8 file keeps its byte order mark. A UTF-16 file becomes a UTF-8 file.

    Raises:
        PolicyDocumentError: The file is not a key policy.
        PolicyMergeError: See `merge_policy`.
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    text = decode_text(content)
    merged = merge_policy(text, which, platform_role_arn, region, vendor, key_arn=key_arn, organisation=organisation)
    marked = content.startswith(codecs.BOM_UTF8) and extract_document(text) == text
    return replace(merged, byte_order_mark=marked)


def merge_policy(
    text: str,
    which: KeyPurpose,
    platform_role_arn: str,
    region: str,
    vendor: VendorProfile,
    *,
    key_arn: str | None = None,
    organisation: str | None = None,
) -> MergeResult:
    """Add byok's statements to a policy. A policy that already contains the statements is returned unchanged.

    Args:
        text: The policy document, or the whole output of `aws kms get-key-policy`.
        which: Which of the two keys the policy is for.
        platform_role_arn: The ARN of the platform role, to which the statements grant access.
        region: The environment's Region.
        vendor: The vendor's names.
        key_arn: The key's ARN, or None if it is unknown. If the ARN is known, byok checks that the key's own account
            keeps control of the key.
        organisation: The organisation that owns the environment; None for the vendor.

    Raises:
        PolicyDocumentError: The text is not a key policy, or KMS would reject the result.
        PolicyMergeError: One of byok's Sids occurs twice or belongs to one of the customer's statements, or the merged
            policy would be too large or would lock out the key's owner.
        ValueError: `platform_role_arn` is not the ARN of an IAM role.
    """
    document = extract_document(text)
    # A saved policy may contain a statement that KMS would reject today. The merged policy, which KMS must accept, is
    # therefore parsed again below under the current rules.
    policy = parse_document(document, on_a_key=True)
    grantee = StatementParameters.for_platform_role(platform_role_arn, region, organisation)
    ours = build_key_statements(which, grantee, vendor)
    edits, added, replaced = _edits(document, policy, ours)
    for (start, end), new in sorted(edits, reverse=True):
        document = document[:start] + new + document[end:]
    if len(document.encode()) > MAX_POLICY_BYTES:
        raise PolicyMergeError(
            "policy.TooLarge",
            f"With the platform's statements, the policy is {len(document.encode())} bytes long, but KMS allows at "
            f"most {MAX_POLICY_BYTES}. Shorten the other statements first.",
        )
    result = parse_document(document)
    _require_owner_control(result, account_id_of_role(platform_role_arn), key_arn)
    require_no_deleted_principal(result)
    return MergeResult(document, tuple(added), tuple(replaced), _dropped_conditions(policy, result, replaced))


def _dropped_conditions(before: dict[str, Any], after: dict[str, Any], sids: list[str]) -> tuple[str, ...]:
    def keys_of(policy: dict[str, Any]) -> dict[str, str]:
        blocks = [one.get("Condition", {}) for one in extract_statements(policy) if one.get("Sid") in sids]
        return {key.lower(): key for block in blocks for tests in block.values() for key in tests}

    kept = keys_of(after)
    return tuple(sorted(key for name, key in keys_of(before).items() if name not in kept))


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
                "policy.SidTwice",
                f"{len(places)} statements have the Sid {statement['Sid']}. Keep only one statement with this Sid.",
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
            # A policy with a single statement may omit the array, but a policy with two statements must have an array.
            edits += [((whole[0], whole[0]), "["), ((whole[1], whole[1]), "]")]
    return edits, added, replaced


@dataclass(frozen=True)
class _Style:
    """The layout of the customer's document, which byok also uses for the statements that it adds.

    Attributes:
        newline: The line ending; empty if the document is a single line.
        indent: The white space before a statement.
        unit: The white space of one indentation level.
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
    """Locate the value of `Statement`, and each statement in that value. The text must be a valid policy."""
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
    """Normalise a statement so that two statements with the same meaning compare equal.

    Two statements have the same meaning if they differ only in the order of values, in the letter case of actions or
    condition keys, in whether a single item is in an array, or in whether a value is a JSON boolean or a string.
    """
    principal = statement.get("Principal")
    return {
        **statement,
        "Principal": {kind: frozenset(as_list(names)) for kind, names in principal.items()}
        if isinstance(principal, dict)
        else principal,
        "Action": frozenset(action.lower() for action in as_list(statement.get("Action", []))),
        "Resource": frozenset(as_list(statement.get("Resource", []))),
        "Condition": normalize_conditions(statement.get("Condition", {})),
    }


def _require_own(there: Statement, ours: Statement) -> None:
    """Check that replacing a statement does not discard anything that the customer added.

    Raises:
        PolicyMergeError: The statement denies access, or it also allows principals other than the platform role.
    """
    sid, role = ours["Sid"], ours["Principal"]["AWS"]
    keep = f"To keep your statement, give it another Sid: {sid} is reserved for the platform's statement."
    if there["Effect"] == "Deny":
        raise PolicyMergeError(
            "policy.SidTaken", f"The statement {sid} has Effect Deny, but the platform's statement allows. {keep}"
        )
    principal = there.get("Principal")
    named = [name for names in principal.values() for name in as_list(names)] if isinstance(principal, dict) else []
    others = [name for name in named if name != role]
    if others and len(named) > 1:
        raise PolicyMergeError("policy.SidTaken", f"The statement {sid} also allows {', '.join(others)}. {keep}")


def _require_owner_control(policy: dict[str, Any], platform_account: str, key_arn: str | None) -> None:
    """Check that at least one principal in the key's account can still change the policy.

    Raises:
        PolicyMergeError: No principal in the key's account could change the policy.
    """
    account = key_arn.split(":")[4] if key_arn else None
    if not has_policy_administrator(policy, account=account, platform_account=platform_account, key_arn=key_arn):
        raise PolicyMergeError(
            "policy.LockedOut",
            "With this policy, no principal in the key's own account could change the policy again, and only AWS "
            "Support could help. Keep AWS's default statement in the policy: Effect Allow, kms:*, for "
            "arn:aws:iam::<your account>:root.",
        )
