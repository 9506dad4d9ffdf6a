"""The AWS principals that KMS accepts in a key policy, and the reasons why KMS rejects any other principal.

KMS accepts accounts, users, roles, role sessions and federated user sessions (IAM user guide, "AWS JSON policy
elements: Principal"). KMS accepts neither groups nor names with wildcards. KMS rejects any other principal with
MalformedPolicyDocumentException, "Policy contains a statement with one or more invalid principals" (AWS knowledge
center, "How can I resolve the AWS KMS key policy error …"). Only AWS knows whether a well-formed principal exists.
"""

import re
from typing import Final

from byok.domain.iam.wildcards import has_placeholder

_ACCOUNT: Final = "[0-9]{12}"
_PRINCIPAL: Final = re.compile(
    rf"\*|{_ACCOUNT}"
    rf"|arn:aws(-[a-z]+)*:iam::{_ACCOUNT}:(root|(user|role)/[!-~]+)"
    rf"|arn:aws(-[a-z]+)*:sts::{_ACCOUNT}:(assumed-role/[^/\s]+/[!-~]+|federated-user/[!-~]+)"
)
_DELETED: Final = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")
_ARN_PARTS: Final = 6


def is_deleted_principal(entry: str) -> bool:
    """Return whether an entry is the unique id that AWS shows in place of a deleted user or role.

    Such an id appears in a key policy when the principal is deleted, but KMS rejects a new policy that contains such an
    id (AWS knowledge center, see above).
    """
    return _DELETED.fullmatch(entry) is not None


def explain_invalid_principal(entry: str) -> str | None:
    """Return the reason why KMS rejects an entry of `Principal.AWS`, or None if the entry is well-formed."""
    if (_PRINCIPAL.fullmatch(entry) and not any(char in entry[1:] for char in "*?")) or is_deleted_principal(entry):
        return None
    if has_placeholder(entry):
        return "it has a placeholder that was not replaced."
    if "*" in entry or "?" in entry:
        return "a wildcard cannot stand for part of a principal; only * alone is accepted."
    if re.fullmatch(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?", entry):
        return (
            "it is a service. When a service uses the key for the platform, the principal is the platform role. "
            "Principal must be the role, and kms:ViaService must be the service."
        )
    if not entry.startswith("arn:"):
        digits = entry.replace("-", "")
        return _explain_account(entry) if digits.isdigit() else "it is neither an ARN nor an account id."
    return _explain_arn(entry)


def _explain_arn(entry: str) -> str:
    _, partition, service, place, account, resource = [*entry.split(":", _ARN_PARTS - 1), *[""] * _ARN_PARTS][
        :_ARN_PARTS
    ]
    known = next((part for part in (account, place) if re.fullmatch(_ACCOUNT, part)), "<account>")
    whole = f"The ARN of a whole account is arn:{partition}:iam::{known}:root."
    if service not in {"iam", "sts"}:
        return f"its service is {service or 'missing'}, but the service of a principal is iam or sts. {whole}"
    if place:
        return f"iam and the account id must be separated by two colons. {whole}"
    if re.fullmatch(r"[0-9-]+", account) and not re.fullmatch(_ACCOUNT, account):
        return _explain_account(account)
    if known == "<account>":
        return f"its account is {account or 'missing'}, but account ids have 12 digits. {whole}"
    if not resource:
        return f"the ARN ends too early. {whole}"
    if resource.startswith("group/"):
        return "an IAM group is not a principal. Use the group's users or a role as the principal."
    kind = resource.split("/")[0]
    return (
        f"{kind} is not a type of principal, or the principal's name is missing. The ARN of a role is "
        f"arn:{partition}:iam::{known}:role/…."
    )


def _explain_account(account: str) -> str:
    if "-" in account:
        return f"the account id {account} must be written without hyphens."
    return f"the account id {account} has {len(account)} digits, but account ids have 12."
