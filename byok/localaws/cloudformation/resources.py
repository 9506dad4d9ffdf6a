"""AWS::KMS::Key and AWS::KMS::Alias: what CloudFormation does with KMS, as the caller, by the doors of any caller.

Properties, their defaults and what an update of each of them means: CloudFormation template reference, pages
"AWS::KMS::Key" and "AWS::KMS::Alias".
"""

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, Final

from byok.localaws.call import AwsError, Call, Handler
from byok.localaws.kms import aliases, tags
from byok.localaws.kms import operations as kms
from byok.localaws.world import WORLD

KEY: Final = "AWS::KMS::Key"
ALIAS: Final = "AWS::KMS::Alias"

_KMS: Final[dict[str, Handler]] = {**kms.HANDLERS, **aliases.HANDLERS, **tags.HANDLERS}
_DEFAULT_WINDOW: Final = 30

# Property to the type its value has to have; CloudFormation takes numbers and booleans as text, too.
_PROPERTIES: Final[dict[str, dict[str, type]]] = {
    KEY: {
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
        "Tags": list,
    },
    ALIAS: {"AliasName": str, "TargetKeyId": str},
}
_REQUIRED: Final = {KEY: (), ALIAS: ("AliasName", "TargetKeyId")}
# "If you change the value of … on an existing KMS key, the update request fails".
_FIXED: Final = {KEY: ("KeySpec", "KeyUsage", "MultiRegion", "Origin"), ALIAS: ()}
_REPLACING: Final = {KEY: (), ALIAS: ("AliasName",)}


@dataclass
class Resource:
    """A resource of a stack, as it was last made.

    Attributes:
        logical_id: Its name in the template.
        kind: `AWS::KMS::Key` or `AWS::KMS::Alias`.
        properties: Evaluated and typed.
        physical_id: Key id or alias name.
        arn: Its ARN.
        on_delete: DeletionPolicy.
        on_replace: UpdateReplacePolicy.
        depends_on: Logical ids of what it refers to.
    """

    logical_id: str
    kind: str
    properties: dict[str, Any]
    physical_id: str = ""
    arn: str = ""
    on_delete: str = "Delete"
    on_replace: str = "Delete"
    depends_on: tuple[str, ...] = ()

    @property
    def attributes(self) -> dict[str, str]:
        """What Ref and Fn::GetAtt give."""
        if self.kind == KEY:
            return {"Ref": self.physical_id, "KeyId": self.physical_id, "Arn": self.arn}
        return {"Ref": self.physical_id}


def typed(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    """The properties, each of its type.

    Raises:
        AwsError: `ValidationError`, as a resource fails whose properties do not fit its schema.
    """
    schema = _PROPERTIES[kind]
    for name in properties:
        if name not in schema:
            raise AwsError("ValidationError", f"Encountered unsupported property {name}")
    for name in _REQUIRED[kind]:
        if name not in properties:
            raise AwsError("ValidationError", f"Property {name} cannot be empty.")
    return {name: _typed(name, value, schema[name]) for name, value in properties.items()}


def _typed(name: str, value: Any, wanted: type) -> Any:
    if wanted is bool and str(value).lower() in {"true", "false"}:
        return str(value).lower() == "true"
    if wanted is int and str(value).isdigit():
        return int(value)
    if wanted is str and isinstance(value, int | float):
        return str(value)
    if wanted is dict and isinstance(value, str):
        value = _from_json(name, value)
    if not isinstance(value, wanted):
        raise AwsError("ValidationError", f"Value of property {name} must be of type {wanted.__name__}")
    return value


def _from_json(name: str, value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError as error:
        raise AwsError("ValidationError", f"Value of property {name} must be an object") from error


def must_be_replaced(old: Resource, properties: dict[str, Any]) -> bool:
    """Whether an update to `properties` makes a new resource.

    Raises:
        AwsError: `ValidationError` for a property of a key that cannot be changed at all.
    """
    for name in _FIXED[old.kind]:
        if old.properties.get(name) != properties.get(name):
            raise AwsError("ValidationError", f"You cannot change the {name} of an existing KMS key")
    return any(old.properties.get(name) != properties.get(name) for name in _REPLACING[old.kind])


def create(call: Call, resource: Resource, stack_tags: dict[str, str]) -> None:
    """Make the resource and fill in its ids.

    Raises:
        AwsError: KMS refuses.
    """
    given = resource.properties
    if resource.kind == ALIAS:
        _kms(call, "CreateAlias", AliasName=given["AliasName"], TargetKeyId=given["TargetKeyId"])
        resource.physical_id = given["AliasName"]
        return
    wanted: dict[str, Any] = {name: given[name] for name in ("Description", "MultiRegion", "Origin") if name in given}
    wanted |= {name: given[name] for name in ("KeySpec", "KeyUsage") if name in given}
    wanted["Tags"] = _tags(given, stack_tags)
    wanted["BypassPolicyLockoutSafetyCheck"] = given.get("BypassPolicyLockoutSafetyCheck", False)
    if "KeyPolicy" in given:
        wanted["Policy"] = json.dumps(given["KeyPolicy"])
    made = _kms(call, "CreateKey", **wanted)["KeyMetadata"]
    resource.physical_id, resource.arn = made["KeyId"], made["Arn"]
    if given.get("EnableKeyRotation"):
        _kms(call, "EnableKeyRotation", KeyId=resource.physical_id)
    if given.get("Enabled") is False:
        _kms(call, "DisableKey", KeyId=resource.physical_id)


def update(call: Call, old: Resource, new: Resource, stack_tags: dict[str, str], old_tags: dict[str, str]) -> None:
    """Bring an existing resource to its new properties, in place.

    Raises:
        AwsError: KMS refuses, or the resource is not there any more.
    """
    new.physical_id, new.arn = old.physical_id, old.arn
    if old.kind == ALIAS:
        if old.properties["TargetKeyId"] != new.properties["TargetKeyId"]:
            _kms(call, "UpdateAlias", AliasName=new.physical_id, TargetKeyId=new.properties["TargetKeyId"])
        return
    key, before, after = {"KeyId": old.physical_id}, old.properties, new.properties
    if before.get("KeyPolicy") != after.get("KeyPolicy") and "KeyPolicy" in after:
        bypass = after.get("BypassPolicyLockoutSafetyCheck", False)
        policy = json.dumps(after["KeyPolicy"])
        _kms(call, "PutKeyPolicy", **key, Policy=policy, BypassPolicyLockoutSafetyCheck=bypass)
    if before.get("Description", "") != after.get("Description", ""):
        WORLD.keys[old.arn].description = after.get("Description", "")
    if before.get("EnableKeyRotation", False) != after.get("EnableKeyRotation", False):
        _kms(call, "EnableKeyRotation" if after.get("EnableKeyRotation") else "DisableKeyRotation", **key)
    if before.get("Enabled", True) != after.get("Enabled", True):
        _kms(call, "EnableKey" if after.get("Enabled", True) else "DisableKey", **key)
    _update_tags(call, key, _tags(before, old_tags), _tags(after, stack_tags))


def _update_tags(call: Call, key: dict[str, str], old: list[dict[str, str]], new: list[dict[str, str]]) -> None:
    gone = {tag["TagKey"] for tag in old} - {tag["TagKey"] for tag in new}
    if gone:
        _kms(call, "UntagResource", **key, TagKeys=sorted(gone))
    changed = [tag for tag in new if tag not in old]
    if changed:
        _kms(call, "TagResource", **key, Tags=changed)


def delete(call: Call, resource: Resource) -> None:
    """Remove the resource: an alias at once, a key after its waiting period. What is gone already is fine.

    Raises:
        AwsError: KMS refuses.
    """
    try:
        if resource.kind == ALIAS:
            _kms(call, "DeleteAlias", AliasName=resource.physical_id)
        else:
            days = resource.properties.get("PendingWindowInDays", _DEFAULT_WINDOW)
            _kms(call, "ScheduleKeyDeletion", KeyId=resource.physical_id, PendingWindowInDays=days)
    except AwsError as error:
        if error.code not in {"NotFoundException", "KMSInvalidStateException"}:
            raise


def _tags(properties: dict[str, Any], stack_tags: dict[str, str]) -> list[dict[str, str]]:
    """The tags of a key: those of the stack, and its own, which win."""
    own = {tag["Key"]: str(tag["Value"]) for tag in properties.get("Tags", [])}
    return [{"TagKey": name, "TagValue": value} for name, value in (stack_tags | own).items()]


def _kms(call: Call, operation: str, **params: Any) -> dict[str, Any]:
    return _KMS[operation](dataclasses.replace(call, service="kms", operation=operation, params=params))
