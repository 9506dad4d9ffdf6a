"""The key policies that KMS accepts.

KMS accepts a key policy that is well-formed, specifies only existing principals, and does not lock out the caller.

This module and the offline check both use `byok.domain.iam.check.document` to check that a policy is well-formed.
"""

import re
from typing import Any, Final

from byok.domain.arns import partition_of_region
from byok.domain.iam.check.document import PolicyDocumentError, parse_document, require_no_deleted_principal
from byok.domain.iam.conditions import UnknownConditionError, require_known_operator
from byok.domain.iam.evaluator import AccessRequest, decide_access, extract_statements
from byok.domain.iam.wildcards import as_list
from localaws.accounts import get_identity_policies
from localaws.call import AwsError, Call
from localaws.kms.authorization import KeyUse, build_key_condition_keys
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


def parse_key_policy(call: Call, key_arn: str) -> dict[str, Any]:
    """Return the key policy from a call, if KMS accepts the policy.

    Args:
        call: A call with the parameters `Policy` and `BypassPolicyLockoutSafetyCheck`.
        key_arn: The ARN of the key that the policy is for.

    Raises:
        AwsError: `MalformedPolicyDocumentException`.
    """
    try:
        policy = parse_document(call.params["Policy"])
        require_no_deleted_principal(policy)
        for statement in extract_statements(policy):
            for operator in statement.get("Condition", {}):
                require_known_operator(operator)
            _check_principals(statement)
        if not call.params.get("BypassPolicyLockoutSafetyCheck") and not _caller_may_change(call, policy, key_arn):
            raise _malformed_error("The new key policy will not allow you to update the key policy in the future.")
    except PolicyDocumentError as error:
        raise _malformed_error(_INVALID_PRINCIPALS if error.code in _OF_PRINCIPALS else str(error)) from error
    except UnknownConditionError as error:
        raise _malformed_error(str(error)) from error
    return policy


def _caller_may_change(call: Call, policy: dict[str, Any], key_arn: str) -> bool:
    """Return whether the caller is still allowed to change the policy.

    Permissions granted to other principals do not count.

    The KMS API reference (CreateKey and PutKeyPolicy) says, "The key policy must allow the calling principal to make a
    subsequent PutKeyPolicy request on the KMS key."
    """
    context = KeyUse(call.caller, "kms:PutKeyPolicy", call.region).condition_keys | build_key_condition_keys(key_arn)
    access = AccessRequest(call.caller, "kms:PutKeyPolicy", key_arn, context)
    return decide_access(policy, key_arn.split(":")[4], get_identity_policies(call.caller), access).allowed


def _check_principals(statement: dict[str, Any]) -> None:
    principal = statement.get("Principal", statement.get("NotPrincipal"))
    names = principal.get("AWS", []) if isinstance(principal, dict) else []
    for name in as_list(names):
        match = _OURS.fullmatch(name)
        # Reject a principal that does not exist. Principals in accounts that are not modelled cannot be checked.
        known = {role.account for role in STATE.roles.values()}
        if match and match[1] in known and name not in STATE.roles:
            raise _malformed_error(_INVALID_PRINCIPALS)


def _malformed_error(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocumentException", message)
