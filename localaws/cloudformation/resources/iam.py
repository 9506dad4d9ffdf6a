"""AWS::IAM::Role with its inline policies.

Source for the properties, and for the effect of updating each property: CloudFormation template reference,
"AWS::IAM::Role".
"""

import dataclasses
import json
import secrets
import string
from typing import Any, Final

from localaws.call import AwsError
from localaws.cloudformation.resources.kind import Resource, ResourceType, StackContext, merge_stack_tags
from localaws.iam.roles import HANDLERS

_ALPHABET: Final = string.ascii_letters + string.digits
_LONGEST_NAME: Final = 64
_RANDOM: Final = 12
_DEFAULT_SESSION_SECONDS: Final = 3600


def _create(work: StackContext, role: Resource) -> None:
    given = role.properties
    policies = _policies(given)
    wanted = {name: given[name] for name in ("Description", "MaxSessionDuration", "Path") if name in given}
    made = _iam(
        work,
        "CreateRole",
        RoleName=given.get("RoleName") or _name(work.stack_name, role.logical_id),
        AssumeRolePolicyDocument=json.dumps(given["AssumeRolePolicyDocument"]),
        Tags=_tags(merge_stack_tags(given, work.tags)),
        **wanted,
    )["Role"]
    role.record_created(made["RoleName"], made["Arn"], Arn=made["Arn"], RoleId=made["RoleId"])
    for name, text in policies.items():
        _iam(work, "PutRolePolicy", RoleName=role.physical_id, PolicyName=name, PolicyDocument=text)


def _update(work: StackContext, old: Resource, new: Resource) -> None:
    role, before, after = {"RoleName": old.physical_id}, old.properties, new.properties
    trust = after["AssumeRolePolicyDocument"]
    if before["AssumeRolePolicyDocument"] != trust:
        _iam(work, "UpdateAssumeRolePolicy", **role, PolicyDocument=json.dumps(trust))
    facts = {"Description": "", "MaxSessionDuration": _DEFAULT_SESSION_SECONDS}
    changed = {name: after.get(name, usual) for name, usual in facts.items() if before.get(name) != after.get(name)}
    if changed:
        _iam(work, "UpdateRole", **role, **changed)
    had, has = _policies(before), _policies(after)
    for name in sorted(set(had) - set(has)):
        _iam(work, "DeleteRolePolicy", **role, PolicyName=name)
    for name, text in has.items():
        if had.get(name) != text:
            _iam(work, "PutRolePolicy", **role, PolicyName=name, PolicyDocument=text)
    had, has = merge_stack_tags(before, work.old_tags), merge_stack_tags(after, work.tags)
    gone = sorted(set(had) - set(has))
    if gone:
        _iam(work, "UntagRole", **role, TagKeys=gone)
    added = {name: value for name, value in has.items() if had.get(name) != value}
    if added:
        _iam(work, "TagRole", **role, Tags=_tags(added))


def _delete(work: StackContext, role: Resource) -> None:
    """Delete the role and the policies that the template defines.

    As in AWS, the deletion fails if the role has any other policy.
    """
    for name in _policies(role.properties):
        _unless_gone(work, "DeleteRolePolicy", RoleName=role.physical_id, PolicyName=name)
    _unless_gone(work, "DeleteRole", RoleName=role.physical_id)


def _unless_gone(work: StackContext, operation: str, **params: Any) -> None:
    try:
        _iam(work, operation, **params)
    except AwsError as error:
        if error.code != "NoSuchEntity":
            raise


def _policies(properties: dict[str, Any]) -> dict[str, str]:
    """Return the inline policies by name, as text. In the template, a policy document is an object or a string."""
    policies: dict[str, str] = {}
    for policy in properties.get("Policies", []):
        if not isinstance(policy, dict) or set(policy) != {"PolicyName", "PolicyDocument"}:
            raise AwsError("ValidationError", "Each item in Policies must have only PolicyName and PolicyDocument.")
        document = policy["PolicyDocument"]
        policies[policy["PolicyName"]] = document if isinstance(document, str) else json.dumps(document)
    return policies


def _name(stack_name: str, logical_id: str) -> str:
    """Generate a name as CloudFormation does.

    A recorded example is `eks-workshop-ide-EksWorkshopIdeRole-LqlqA1nQsjV7`. How CloudFormation shortens a name to
    IAM's maximum of 64 characters is not known: we found no recorded example.
    """
    room = _LONGEST_NAME - _RANDOM - 1
    return f"{stack_name}-{logical_id}"[:room] + "-" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


def _tags(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": name, "Value": value} for name, value in named.items()]


def _iam(work: StackContext, operation: str, **params: Any) -> dict[str, Any]:
    return HANDLERS[operation](dataclasses.replace(work.call, service="iam", operation=operation, params=params))


ROLE_TYPE: Final = ResourceType(
    service="Iam",
    identifier="RoleName",
    properties={
        "AssumeRolePolicyDocument": dict,
        "Description": str,
        "MaxSessionDuration": int,
        "Path": str,
        "Policies": list,
        "RoleName": str,
        "Tags": list,
    },
    attributes=("Arn", "RoleId"),
    create=_create,
    update=_update,
    delete=_delete,
    required=("AssumeRolePolicyDocument",),
    replacing=("Path", "RoleName"),
    name="RoleName",
    not_modelled=("ManagedPolicyArns", "PermissionsBoundary"),
)
