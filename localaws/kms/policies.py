"""Key policies that KMS accepts: well-formed, with existing principals, and without locking their owner out.

`byok.domain.iam.check.document` alone defines what is well-formed, for this module and for the offline check.
"""

import re
from typing import Any, Final

from byok.domain.arns import partition_of_region
from byok.domain.iam.check.document import PolicyDocumentError, parse_document
from byok.domain.iam.conditions import UnknownConditionError, require_known_operator
from byok.domain.iam.evaluator import AccessRequest, CallingPrincipal, evaluate_policy, extract_statements
from byok.domain.iam.wildcards import as_list
from localaws.call import AwsError
from localaws.state import STATE

DEFAULT_POLICY_NAME: Final = "default"
_OURS: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")


def build_default_policy(account: str, region: str) -> dict[str, Any]:
    """Return the policy that AWS gives a key created without one (KMS developer guide, "Default key policy")."""
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
    """Return a policy if KMS accepts it.

    Args:
        text: The document.
        key_arn: The key that gets the policy.
        params: The other parameters of the call.

    Raises:
        AwsError: `MalformedPolicyDocumentException`.
    """
    try:
        policy = parse_document(text)
        for statement in extract_statements(policy):
            for operator in statement.get("Condition", {}):
                require_known_operator(operator)
            _check_principals(statement)
        # KMS developer guide, "Changing a key policy": the owner must be able to change it again.
        if not params.get("BypassPolicyLockoutSafetyCheck") and not _owner_may_change(policy, key_arn):
            raise _malformed_error("The new key policy will not allow you to update the key policy in the future.")
    except (PolicyDocumentError, UnknownConditionError) as error:
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
            raise _malformed_error("Policy contains a statement with one or more invalid principals.")


def _malformed_error(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocumentException", message)
