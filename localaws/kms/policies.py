"""Accepts a key policy only if KMS would: it is well-formed, its principals exist, and it does not lock the owner out.

This module and the offline check both use `byok.domain.iam.check.document` to check that a policy is well-formed.
"""

import re
from typing import Any, Final

from byok.domain.arns import partition_of_region
from byok.domain.iam.check.document import PolicyDocumentError, parse_document, require_no_deleted_principal
from byok.domain.iam.conditions import UnknownConditionError, require_known_operator
from byok.domain.iam.evaluator import AccessRequest, CallingPrincipal, evaluate_policy, extract_statements
from byok.domain.iam.wildcards import as_list
from localaws.call import AwsError
from localaws.state import STATE

DEFAULT_POLICY_NAME: Final = "default"
_INVALID_PRINCIPALS: Final = "Policy contains a statement with one or more invalid principals."
_OF_PRINCIPALS: Final = frozenset({"policy.DeletedPrincipal", "policy.InvalidPrincipal"})
_OURS: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")


def build_default_policy(account: str, region: str) -> dict[str, Any]:
    """Return the policy of a key that is created without a policy (KMS developer guide, "Default key policy")."""
    return {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:{partition_of_region(region)}:iam::{account}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }


def parse_key_policy(text: str, key_arn: str, params: dict[str, Any]) -> dict[str, Any]:
    """Parse a key policy, and reject a policy that KMS would reject.

    Args:
        text: The policy document.
        key_arn: The key that gets the policy.
        params: The other parameters of the call.

    Raises:
        AwsError: `MalformedPolicyDocumentException`.
    """
    try:
        policy = parse_document(text)
        require_no_deleted_principal(policy)
        for statement in extract_statements(policy):
            for operator in statement.get("Condition", {}):
                require_known_operator(operator)
            _check_principals(statement)
        # KMS developer guide, "Changing a key policy": the key's owner must still be able to change the policy.
        if not params.get("BypassPolicyLockoutSafetyCheck") and not _owner_may_change(policy, key_arn):
            raise _malformed_error("The new key policy will not allow you to update the key policy in the future.")
    except PolicyDocumentError as error:
        raise _malformed_error(_INVALID_PRINCIPALS if error.code in _OF_PRINCIPALS else str(error)) from error
    except UnknownConditionError as error:
        raise _malformed_error(str(error)) from error
    return policy


def _owner_may_change(policy: dict[str, Any], key_arn: str) -> bool:
    _, partition, _, _, account, _ = key_arn.split(":")
    owner = CallingPrincipal(f"arn:{partition}:iam::{account}:root", account)
    keys = {"aws:PrincipalAccount": account, "kms:CallerAccount": account}
    return evaluate_policy(policy, AccessRequest(owner, "kms:PutKeyPolicy", key_arn, keys)).allowed


def _check_principals(statement: dict[str, Any]) -> None:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    names = principal.get("AWS", []) if isinstance(principal, dict) else []
    for name in as_list(names):
        match = _OURS.fullmatch(name)
        # Reject a principal that does not exist. Principals of accounts that are not modelled cannot be checked.
        known = {role.account for role in STATE.roles.values()}
        if match and match[1] in known and name not in STATE.roles:
            raise _malformed_error(_INVALID_PRINCIPALS)


def _malformed_error(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocumentException", message)
