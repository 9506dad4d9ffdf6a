"""Key policies as KMS takes them: well-formed, naming principals that can exist, and not locking their owner out.

What is well-formed is said in one place, `byok.domain.policy_check.document`, for this and for the offline check.
"""

import re
from typing import Any, Final

from byok.domain.arns import partition_of
from byok.domain.conditions import UnknownConditionError
from byok.domain.evaluation import Access, Caller, evaluate
from byok.domain.policy_check.document import PolicyDocumentError, read_document
from byok.localaws.call import AwsError
from byok.localaws.world import WORLD

DEFAULT_POLICY_NAME: Final = "default"
_OURS: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")


def default_policy(account: str, region: str) -> dict[str, Any]:
    """The policy AWS gives a key that is made without one (KMS developer guide, "Default key policy")."""
    return {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition_of(region)}:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }


def check_policy(text: str, account: str, params: dict[str, Any]) -> dict[str, Any]:
    """A policy, if KMS takes it.

    Raises:
        AwsError: `MalformedPolicyDocumentException`.
    """
    try:
        policy = read_document(text)
    except PolicyDocumentError as error:
        raise _malformed(str(error)) from error
    statements = policy["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        _check_principals(statement)
    # KMS developer guide, "Changing a key policy": the owner has to be able to change it again.
    if not params.get("BypassPolicyLockoutSafetyCheck"):
        owner = Caller(f"arn:aws:iam::{account}:root", account)
        try:
            decision = evaluate(policy, Access(owner, "kms:PutKeyPolicy", "*", {"aws:PrincipalAccount": account}))
        except UnknownConditionError as error:
            raise _malformed(str(error)) from error
        if not decision.allowed:
            raise _malformed("The new key policy will not allow you to update the key policy in the future.")
    return policy


def _check_principals(statement: dict[str, Any]) -> None:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    names = principal.get("AWS", []) if isinstance(principal, dict) else []
    for name in names if isinstance(names, list) else [names]:
        match = _OURS.fullmatch(name)
        # A principal that does not exist is refused; of accounts that are not modelled nothing is known.
        known = {role.account for role in WORLD.roles.values()}
        if match and match[1] in known and name not in WORLD.roles:
            raise _malformed("Policy contains a statement with one or more invalid principals.")


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocumentException", message)
