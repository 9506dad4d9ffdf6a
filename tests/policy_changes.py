"""The model of a broken key policy, and the functions that break a valid policy."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from byok.domain.arns import KeyPurpose, account_id_of_role
from byok.domain.iam.statements import Statement
from tests.policy_context import PolicyContext, Statements

S3, RDS = KeyPurpose.S3, KeyPurpose.RDS
Change = Callable[[Statements, PolicyContext], Statements]


@dataclass(frozen=True)
class Case:
    """One key policy in the catalogue.

    Attributes:
        name: A short description of the policy's fault.
        which: The purpose of the key.
        change: The function that changes the platform's valid statements into this policy's statements.
        first: The code of the first finding; None if the policy is valid.
        stops: Whether the policy stops provisioning; None if only AWS can determine this.
        saved: Whether KMS still accepts such a policy; older keys may have policies that KMS no longer accepts.
    """

    name: str
    which: KeyPurpose
    change: Change
    first: str | None
    stops: bool | None = True
    saved: bool = True

    def build_policy(self, place: PolicyContext) -> dict[str, Any]:
        """Build the policy document, with the owner's statement first."""
        ours = self.change(copy.deepcopy(place.build_statements(self.which)), place)
        return {"Version": "2012-10-17", "Id": "key-default-1", "Statement": [place.owner_statement, *ours]}


def set_at(index: int, path: str, value: Any) -> Change:
    """Set a value at a path in one statement; `{customer}`, `{platform}` and `{region}` are filled in."""

    def change(ours: Statements, place: PolicyContext) -> Statements:
        part: Any = ours[index]
        *way, last = path.split("/")
        for step in way:
            part = part[step]
        part[last] = fill(value, place)
        return ours

    return change


def fill(value: Any, place: PolicyContext) -> Any:
    """Fill in `{customer}`, `{platform}`, `{region}` and `{role}`."""
    if isinstance(value, str):
        names = {"{customer}": place.customer, "{platform}": account_id_of_role(place.role), "{region}": place.region}
        for name, text in {**names, "{role}": place.role}.items():
            value = value.replace(name, text)
        return value
    if isinstance(value, list):
        return [fill(item, place) for item in value]
    return {key: fill(item, place) for key, item in value.items()} if isinstance(value, dict) else value


def without(index: int, path: str) -> Change:
    """Remove the value at a path in one statement."""

    def change(ours: Statements, _: PolicyContext) -> Statements:
        part: Any = ours[index]
        *way, last = path.split("/")
        for step in way:
            part = part[step]
        del part[last]
        return ours

    return change


def both(*changes: Change) -> Change:
    """Make two or more changes in order."""

    def change(ours: Statements, place: PolicyContext) -> Statements:
        for one in changes:
            ours = one(ours, place)
        return ours

    return change


def only(*indexes: int) -> Change:
    """Keep only these statements."""
    return lambda ours, _: [ours[index] for index in indexes]


def of_region(region: str) -> Change:
    """Write the statements for another Region."""
    return lambda ours, place: place.build_statements(S3 if len(ours) == 1 else RDS, region=region)


def adding(statement: Statement) -> Change:
    """Append a statement."""
    return lambda ours, place: [*ours, fill(statement, place)]


def of_the_other_key(ours: Statements, place: PolicyContext) -> Statements:
    """Replace the statements with the other key's statements."""
    return place.build_statements(RDS if len(ours) == 1 else S3)


def deny(action: Any, **more: Any) -> Statement:
    """Build a statement that denies an action to every principal."""
    return {"Sid": "Guard", "Effect": "Deny", "Principal": "*", "Action": action, "Resource": "*", **more}


def for_any_principal(place: PolicyContext, condition: dict[str, Any]) -> Statement:
    """Build a statement that allows any principal all KMS actions if a condition is met."""
    return {
        "Sid": "OurOwn",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "kms:*",
        "Resource": "*",
        "Condition": fill(condition, place),
    }
