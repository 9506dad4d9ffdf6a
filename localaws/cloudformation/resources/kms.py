"""AWS::KMS::Key and AWS::KMS::Alias.

Source for the properties, their defaults, and the effect of updating each property: CloudFormation template reference,
pages "AWS::KMS::Key" and "AWS::KMS::Alias".
"""

import dataclasses
import json
from typing import Any, Final

from localaws.call import AwsError, Operation
from localaws.cloudformation.resources.kind import Resource, ResourceType, StackContext, merge_stack_tags
from localaws.kms import aliases, rotation, tags
from localaws.kms import operations as kms
from localaws.state import STATE

_KMS: Final[dict[str, Operation]] = {**kms.HANDLERS, **aliases.HANDLERS, **rotation.HANDLERS, **tags.HANDLERS}
_DEFAULT_WINDOW: Final = 30


def _create_key(work: StackContext, key: Resource) -> None:
    given = key.properties
    alike = ("Description", "KeySpec", "KeyUsage", "MultiRegion", "Origin")
    wanted: dict[str, Any] = {name: given[name] for name in alike if name in given}
    wanted["Tags"] = _tags(merge_stack_tags(given, work.tags))
    wanted["BypassPolicyLockoutSafetyCheck"] = given.get("BypassPolicyLockoutSafetyCheck", False)
    if "KeyPolicy" in given:
        wanted["Policy"] = json.dumps(given["KeyPolicy"])
    made = _kms(work, "CreateKey", **wanted)["KeyMetadata"]
    key.record_created(made["KeyId"], made["Arn"], KeyId=made["KeyId"], Arn=made["Arn"])
    if given.get("EnableKeyRotation"):
        _kms(work, "EnableKeyRotation", KeyId=key.physical_id, **_rotation_period(given))
    if given.get("Enabled") is False:
        _kms(work, "DisableKey", KeyId=key.physical_id)


def _update_key(work: StackContext, old: Resource, new: Resource) -> None:
    key, before, after = {"KeyId": old.physical_id}, old.properties, new.properties
    if before.get("KeyPolicy") != after.get("KeyPolicy") and "KeyPolicy" in after:
        bypass = after.get("BypassPolicyLockoutSafetyCheck", False)
        policy = json.dumps(after["KeyPolicy"])
        _kms(work, "PutKeyPolicy", **key, Policy=policy, BypassPolicyLockoutSafetyCheck=bypass)
    if before.get("Description", "") != after.get("Description", ""):
        STATE.keys[old.arn].description = after.get("Description", "")
    if _rotation(before) != _rotation(after):
        if after.get("EnableKeyRotation"):
            _kms(work, "EnableKeyRotation", **key, **_rotation_period(after))
        else:
            _kms(work, "DisableKeyRotation", **key)
    if before.get("Enabled", True) != after.get("Enabled", True):
        _kms(work, "EnableKey" if after.get("Enabled", True) else "DisableKey", **key)
    had, has = merge_stack_tags(before, work.old_tags), merge_stack_tags(after, work.tags)
    gone = sorted(set(had) - set(has))
    if gone:
        _kms(work, "UntagResource", **key, TagKeys=gone)
    changed = {name: value for name, value in has.items() if had.get(name) != value}
    if changed:
        _kms(work, "TagResource", **key, Tags=_tags(changed))


def _delete_key(work: StackContext, key: Resource) -> None:
    """Schedule the key's deletion, which takes place after the waiting period."""
    try:
        days = key.properties.get("PendingWindowInDays", _DEFAULT_WINDOW)
        _kms(work, "ScheduleKeyDeletion", KeyId=key.physical_id, PendingWindowInDays=days)
    except AwsError as error:
        if error.code not in {"NotFoundException", "KMSInvalidStateException"}:
            raise


def _rotation(properties: dict[str, Any]) -> tuple[bool, dict[str, int]]:
    enabled = bool(properties.get("EnableKeyRotation"))
    return enabled, _rotation_period(properties) if enabled else {}


def _rotation_period(properties: dict[str, Any]) -> dict[str, int]:
    given = properties.get("RotationPeriodInDays")
    return {} if given is None else {"RotationPeriodInDays": given}


def _create_alias(work: StackContext, alias: Resource) -> None:
    _kms(work, "CreateAlias", **alias.properties)
    alias.record_created(alias.properties["AliasName"])


def _update_alias(work: StackContext, old: Resource, new: Resource) -> None:
    if old.properties["TargetKeyId"] != new.properties["TargetKeyId"]:
        _kms(work, "UpdateAlias", **new.properties)


def _delete_alias(work: StackContext, alias: Resource) -> None:
    try:
        _kms(work, "DeleteAlias", AliasName=alias.physical_id)
    except AwsError as error:
        if error.code != "NotFoundException":
            raise


def _tags(named: dict[str, str]) -> list[dict[str, str]]:
    return [{"TagKey": name, "TagValue": value} for name, value in named.items()]


def _kms(work: StackContext, operation: str, **params: Any) -> dict[str, Any]:
    return _KMS[operation](dataclasses.replace(work.call, service="kms", operation=operation, params=params))


KEY_TYPE: Final = ResourceType(
    service="Kms",
    identifier="KeyId",
    properties={
        "BypassPolicyLockoutSafetyCheck": bool,
        "Description": str,
        "EnableKeyRotation": bool,
        "Enabled": bool,
        "KeyPolicy": dict,
        "KeySpec": str,
        "KeyUsage": str,
        "MultiRegion": bool,
        "Origin": str,
        "PendingWindowInDays": int,
        "RotationPeriodInDays": int,
        "Tags": list,
    },
    attributes=("Arn", "KeyId"),
    create=_create_key,
    update=_update_key,
    delete=_delete_key,
    fixed=("KeySpec", "KeyUsage", "MultiRegion", "Origin"),
)
ALIAS_TYPE: Final = ResourceType(
    service="Kms",
    identifier="AliasName",
    properties={"AliasName": str, "TargetKeyId": str},
    attributes=(),
    create=_create_alias,
    update=_update_alias,
    delete=_delete_alias,
    required=("AliasName", "TargetKeyId"),
    replacing=("AliasName",),
)
