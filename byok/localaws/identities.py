"""STS and the little of IAM that is needed: who am I, take on a role, and what a role may do."""

import json
import secrets
import string
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from byok.domain.arns import partition_of
from byok.domain.evaluation import Access, evaluate
from byok.localaws.accounts import identity_allows, policy_text
from byok.localaws.call import AwsError, Call, Handler
from byok.localaws.world import WORLD, Role, Session

_ALPHABET: Final = string.ascii_uppercase + string.digits


def get_caller_identity(call: Call) -> dict[str, Any]:
    """GetCallerIdentity: needs no permission."""
    return {"UserId": f"AIDA{call.caller.account}", "Account": call.caller.account, "Arn": call.caller.arn}


def assume_role(call: Call) -> dict[str, Any]:
    """AssumeRole: the role's trust policy decides; across accounts the caller's own policy has to allow it, too."""
    arn = call.params["RoleArn"]
    role = WORLD.roles.get(arn)
    context: dict[str, str | list[str]] = {"aws:PrincipalAccount": call.caller.account}
    if call.params.get("ExternalId"):
        context["sts:ExternalId"] = call.params["ExternalId"]
    trusted = role and evaluate(role.trust, Access(call.caller, "sts:AssumeRole", "", context), with_principals=True)
    if not (role and trusted and trusted.allowed) or (
        role.account != call.caller.account and not identity_allows(call.caller, "sts:AssumeRole", arn).allowed
    ):
        message = f"User: {call.caller.arn} is not authorized to perform: sts:AssumeRole on resource: {arn}"
        raise AwsError("AccessDenied", message, 403)
    access_key = "ASIA" + "".join(secrets.choice(_ALPHABET) for _ in range(16))
    session = Session(arn, call.params["RoleSessionName"], secrets.token_urlsafe(30))
    WORLD.sessions[access_key] = session
    seconds = call.params.get("DurationSeconds") or 3600
    return {
        "Credentials": {
            "AccessKeyId": access_key,
            "SecretAccessKey": session.secret,
            "SessionToken": secrets.token_urlsafe(60),
            "Expiration": datetime.now(UTC) + timedelta(seconds=seconds),
        },
        "AssumedRoleUser": {
            "AssumedRoleId": f"AROA{access_key[4:]}:{session.name}",
            "Arn": f"arn:{arn.split(':')[1]}:sts::{role.account}:assumed-role/{role.name}/{session.name}",
        },
    }


def create_role(call: Call) -> dict[str, Any]:
    """CreateRole."""
    name, account = call.params["RoleName"], call.caller.account
    arn = f"arn:{partition_of(call.region)}:iam::{account}:role{call.params.get('Path', '/')}{name}"
    if arn in WORLD.roles:
        raise AwsError("EntityAlreadyExists", f"Role with name {name} already exists.", 409)
    trust = _document(call.params["AssumeRolePolicyDocument"])
    WORLD.roles[arn] = Role(arn, account, name, trust, {}, datetime.now(UTC))
    return {"Role": _described(WORLD.roles[arn])}


def get_role(call: Call) -> dict[str, Any]:
    """GetRole."""
    return {"Role": _described(_role(call))}


def put_role_policy(call: Call) -> dict[str, Any]:
    """PutRolePolicy."""
    _role(call).policies[call.params["PolicyName"]] = _document(call.params["PolicyDocument"])
    return {}


def get_role_policy(call: Call) -> dict[str, Any]:
    """GetRolePolicy."""
    role, name = _role(call), call.params["PolicyName"]
    if name not in role.policies:
        raise AwsError("NoSuchEntity", f"The role policy with name {name} cannot be found.", 404)
    return {"RoleName": role.name, "PolicyName": name, "PolicyDocument": policy_text(role.policies[name])}


def delete_role_policy(call: Call) -> dict[str, Any]:
    """DeleteRolePolicy."""
    get_role_policy(call)
    del _role(call).policies[call.params["PolicyName"]]
    return {}


def list_role_policies(call: Call) -> dict[str, Any]:
    """ListRolePolicies."""
    return {"PolicyNames": sorted(_role(call).policies), "IsTruncated": False}


def _role(call: Call) -> Role:
    name = call.params["RoleName"]
    for role in WORLD.roles.values():
        if (role.account, role.name) == (call.caller.account, name):
            return role
    raise AwsError("NoSuchEntity", f"The role with name {name} cannot be found.", 404)


def _described(role: Role) -> dict[str, Any]:
    return {
        "Path": "/",
        "RoleName": role.name,
        "RoleId": f"AROA{role.account}",
        "Arn": role.arn,
        "CreateDate": role.created,
        "AssumeRolePolicyDocument": policy_text(role.trust),
    }


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise AwsError("MalformedPolicyDocument", "The policy is not in the valid JSON format.") from error
    if not isinstance(document, dict) or "Statement" not in document:
        raise AwsError("MalformedPolicyDocument", "Syntax errors in policy.")
    return document


STS_HANDLERS: Final[dict[str, Handler]] = {"GetCallerIdentity": get_caller_identity, "AssumeRole": assume_role}
IAM_HANDLERS: Final[dict[str, Handler]] = {
    "CreateRole": create_role,
    "GetRole": get_role,
    "PutRolePolicy": put_role_policy,
    "GetRolePolicy": get_role_policy,
    "DeleteRolePolicy": delete_role_policy,
    "ListRolePolicies": list_role_policies,
}
