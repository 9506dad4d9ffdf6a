"""Key policies as KMS takes them: well-formed, naming principals that can exist, and not locking their owner out.

What is well-formed is said in one place, `byok.domain.iam.check.document`, for this and for the offline check.
"""

import re
from typing import Any, Final

from byok.domain.arns import partition_of
from byok.domain.iam.check.document import PolicyDocumentError, read_document
from byok.domain.iam.conditions import UnknownConditionError, check_operator
from byok.domain.iam.evaluator import Access, Caller, evaluate, statements_of
from byok.domain.iam.wildcards import as_list
from localaws.call import AwsError
from localaws.state import WORLD

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


def check_policy(text: str, key_arn: str, params: dict[str, Any]) -> dict[str, Any]:
    """A policy, if KMS takes it.

    Args:
        text: The document.
        key_arn: The key that is to have it.
        params: The rest of the call.

    Raises:
        AwsError: `MalformedPolicyDocumentException`.
    """
    try:
        policy = read_document(text)
        for statement in statements_of(policy):
            for operator in statement.get("Condition", {}):
                check_operator(operator)
            _check_principals(statement)
        # KMS developer guide, "Changing a key policy": the owner has to be able to change it again.
        if not params.get("BypassPolicyLockoutSafetyCheck") and not _owner_may_change(policy, key_arn):
            raise _malformed_error("The new key policy will not allow you to update the key policy in the future.")
    except (PolicyDocumentError, UnknownConditionError) as error:
        raise _malformed_error(str(error)) from error
    return policy


def _owner_may_change(policy: dict[str, Any], key_arn: str) -> bool:
    _, partition, _, _, account, _ = key_arn.split(":")
    owner = Caller(f"arn:{partition}:iam::{account}:root", account)
    keys = {"aws:PrincipalAccount": account, "kms:CallerAccount": account}
    return evaluate(policy, Access(owner, "kms:PutKeyPolicy", key_arn, keys)).allowed


def _check_principals(statement: dict[str, Any]) -> None:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    names = principal.get("AWS", []) if isinstance(principal, dict) else []
    for name in as_list(names):
        match = _OURS.fullmatch(name)
        # A principal that does not exist is refused; of accounts that are not modelled nothing is known.
        known = {role.account for role in WORLD.roles.values()}
        if match and match[1] in known and name not in WORLD.roles:
            raise _malformed_error("Policy contains a statement with one or more invalid principals.")


def _malformed_error(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocumentException", message)
