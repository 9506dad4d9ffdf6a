"""Role operations: create, describe, change, tag and delete roles, if the caller's policies allow the operation.

Source of the error codes and their HTTP statuses: botocore's IAM model. Managed policies and permissions boundaries are
not modelled.
"""

import re
import secrets
import string
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from byok.domain.arns import partition_of_region
from localaws.accounts import explain_identity_denial, render_policy
from localaws.call import AwsError, Call, Operation, models
from localaws.iam.documents import parse_inline_policy, parse_trust_policy
from localaws.state import STATE, Role

_ALPHABET: Final = string.ascii_uppercase + string.digits
# Allowed names and paths of a role (botocore, CreateRole).
_NAME: Final = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_PATH: Final = re.compile(r"/|/[!-~]{1,510}/")
_SHORTEST: Final = 3600
_LONGEST: Final = 43200
_MOST_TAGS: Final = 50


@models("Path", "RoleName", "AssumeRolePolicyDocument", "Description", "MaxSessionDuration", "Tags")
def create_role(call: Call) -> dict[str, Any]:
    """CreateRole: create a role.

    Role names are unique in an account, regardless of the path. A call with tags also needs iam:TagRole.
    """
    name, path = call.params["RoleName"], call.params.get("Path") or "/"
    _check_pattern("roleName", name, _NAME)
    _check_pattern("path", path, _PATH)
    account = call.caller.account
    arn = f"arn:{partition_of_region(call.region)}:iam::{account}:role{path}{name}"
    _permit(call, arn, arn)
    if call.params.get("Tags"):
        _permit(call, arn, arn, "TagRole")
    if any((role.account, role.name) == (account, name) for role in STATE.roles.values()):
        raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
    STATE.roles[arn] = Role(
        arn=arn,
        account=account,
        name=name,
        trust=parse_trust_policy(call.params["AssumeRolePolicyDocument"]),
        policies={},
        created=datetime.now(UTC),
        role_id="AROA" + "".join(secrets.choice(_ALPHABET) for _ in range(17)),
        path=path,
        description=call.params.get("Description", ""),
        max_session_seconds=_session_seconds(call.params.get("MaxSessionDuration", _SHORTEST)),
        tags=_with_tags({}, call.params.get("Tags") or []),
    )
    return {"Role": _render_role(STATE.roles[arn])}


@models("RoleName")
def get_role(call: Call) -> dict[str, Any]:
    """GetRole."""
    role = _role(call)
    return {"Role": _render_role(role) | {"Tags": _tags(role)}}


@models("PathPrefix")
def list_roles(call: Call) -> dict[str, Any]:
    """ListRoles: return the roles of the caller's account, without tags (botocore, ListRoles)."""
    prefix = call.params.get("PathPrefix") or "/"
    _permit(call, f"arn:{partition_of_region(call.region)}:iam::{call.caller.account}:role{prefix}")
    mine = [role for role in STATE.roles.values() if role.account == call.caller.account]
    return {"Roles": [_render_role(role) for role in mine if role.path.startswith(prefix)], "IsTruncated": False}


@models("RoleName", "Description", "MaxSessionDuration")
def update_role(call: Call) -> dict[str, Any]:
    """UpdateRole: change the description and the maximum session duration. Omitted values stay unchanged."""
    role = _role(call)
    if call.params.get("MaxSessionDuration") is not None:
        role.max_session_seconds = _session_seconds(call.params["MaxSessionDuration"])
    if call.params.get("Description") is not None:
        role.description = call.params["Description"]
    return {}


@models("RoleName", "PolicyDocument")
def update_assume_role_policy(call: Call) -> dict[str, Any]:
    """UpdateAssumeRolePolicy: replace the trust policy."""
    _role(call).trust = parse_trust_policy(call.params["PolicyDocument"])
    return {}


@models("RoleName")
def delete_role(call: Call) -> dict[str, Any]:
    """DeleteRole: delete a role and invalidate its sessions.

    The call is rejected if the role still has inline policies.
    """
    role = _role(call)
    if role.policies:
        raise AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.", 409)
    del STATE.roles[role.arn]
    for access_key in [key for key, session in STATE.sessions.items() if session.role_arn == role.arn]:
        del STATE.sessions[access_key]
    return {}


@models("RoleName", "PolicyName", "PolicyDocument")
def put_role_policy(call: Call) -> dict[str, Any]:
    """PutRolePolicy: add an inline policy, or replace the inline policy with the same name."""
    _role(call).policies[call.params["PolicyName"]] = parse_inline_policy(call.params["PolicyDocument"])
    return {}


@models("RoleName", "PolicyName")
def get_role_policy(call: Call) -> dict[str, Any]:
    """GetRolePolicy."""
    role, name = _role(call), call.params["PolicyName"]
    return {"RoleName": role.name, "PolicyName": name, "PolicyDocument": _url_encode(_policy(role, name))}


@models("RoleName", "PolicyName")
def delete_role_policy(call: Call) -> dict[str, Any]:
    """DeleteRolePolicy."""
    role, name = _role(call), call.params["PolicyName"]
    _policy(role, name)
    del role.policies[name]
    return {}


@models("RoleName")
def list_role_policies(call: Call) -> dict[str, Any]:
    """ListRolePolicies."""
    return {"PolicyNames": sorted(_role(call).policies), "IsTruncated": False}


@models("RoleName")
def list_attached_role_policies(call: Call) -> dict[str, Any]:
    """ListAttachedRolePolicies: return an empty list, because managed policies are not modelled."""
    _role(call)
    return {"AttachedPolicies": [], "IsTruncated": False}


@models("RoleName", "Tags")
def tag_role(call: Call) -> dict[str, Any]:
    """TagRole."""
    role = _role(call)
    role.tags = _with_tags(role.tags, call.params["Tags"])
    return {}


@models("RoleName", "TagKeys")
def untag_role(call: Call) -> dict[str, Any]:
    """UntagRole."""
    role = _role(call)
    role.tags = {name: value for name, value in role.tags.items() if name not in call.params["TagKeys"]}
    return {}


@models("RoleName")
def list_role_tags(call: Call) -> dict[str, Any]:
    """ListRoleTags."""
    return {"Tags": _tags(_role(call)), "IsTruncated": False}


def _role(call: Call) -> Role:
    """Check the caller's permission, and return the role in the caller's account that the call specifies."""
    name, account = call.params["RoleName"], call.caller.account
    found = [role for role in STATE.roles.values() if (role.account, role.name) == (account, name)]
    arn = found[0].arn if found else f"arn:{partition_of_region(call.region)}:iam::{account}:role/{name}"
    _permit(call, arn, f"role {name}")
    if not found:
        raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)
    return found[0]


def _permit(call: Call, arn: str, named: str = "", action: str | None = None) -> None:
    message = explain_identity_denial(call.caller, f"iam:{action or call.operation}", arn, named)
    if message:
        raise AwsError("AccessDenied", message, 403)


def _policy(role: Role, name: str) -> dict[str, Any]:
    if name not in role.policies:
        raise AwsError("NoSuchEntity", f"The role policy with name {name} cannot be found.", 404)
    return role.policies[name]


def _with_tags(present: dict[str, str], added: list[dict[str, str]]) -> dict[str, str]:
    """Add or change tags of a role. We found no recording of AWS's error message for too many tags."""
    names = [tag["Key"].lower() for tag in added]
    if len(names) != len(set(names)):
        message = "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        raise AwsError("InvalidInput", message)
    tags = present | {tag["Key"]: tag["Value"] for tag in added}
    if len(tags) > _MOST_TAGS:
        raise AwsError("LimitExceeded", f"A role can have {_MOST_TAGS} tags.", 409)
    return tags


def _session_seconds(seconds: int) -> int:
    if not _SHORTEST <= seconds <= _LONGEST:
        bound = f"greater than or equal to {_SHORTEST}" if seconds < _SHORTEST else f"less than or equal to {_LONGEST}"
        raise _invalid("maxSessionDuration", str(seconds), f"Member must have value {bound}")
    return seconds


def _check_pattern(name: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(value):
        raise _invalid(name, value, f"Member must satisfy regular expression pattern: {pattern.pattern}")


def _invalid(name: str, value: str, constraint: str) -> AwsError:
    message = f"1 validation error detected: Value '{value}' at '{name}' failed to satisfy constraint: {constraint}"
    return AwsError("ValidationError", message)


def _render_role(role: Role) -> dict[str, Any]:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": _url_encode(role.trust),
        "Description": role.description,
        "MaxSessionDuration": role.max_session_seconds,
    }


def _tags(role: Role) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in role.tags.items()]


def _url_encode(document: dict[str, Any]) -> str:
    """Encode a policy. IAM returns policies "URL-encoded compliant with RFC 3986" (botocore, GetRole)."""
    return quote(render_policy(document))


HANDLERS: Final[dict[str, Operation]] = {
    "CreateRole": create_role,
    "GetRole": get_role,
    "ListRoles": list_roles,
    "UpdateRole": update_role,
    "UpdateAssumeRolePolicy": update_assume_role_policy,
    "DeleteRole": delete_role,
    "PutRolePolicy": put_role_policy,
    "GetRolePolicy": get_role_policy,
    "DeleteRolePolicy": delete_role_policy,
    "ListRolePolicies": list_role_policies,
    "ListAttachedRolePolicies": list_attached_role_policies,
    "TagRole": tag_role,
    "UntagRole": untag_role,
    "ListRoleTags": list_role_tags,
}
