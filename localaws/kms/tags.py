"""Tags of keys. Tagging operations work only in the key's own account, regardless of policies.

Source: botocore's KMS model, "Cross-account use".
"""

from typing import Any, Final

from localaws.call import AwsError, Call, Operation, models
from localaws.kms.pages import paginate
from localaws.kms.permissions import require_key_state_not_in, require_own_key

_MOST: Final = 50


def merge_tags(present: dict[str, str], added: list[dict[str, str]]) -> dict[str, str]:
    """Add or change tags of a key.

    Raises:
        AwsError: `TagException`, with the text recorded from AWS. Source of the limit: KMS developer guide, "Tags in
            AWS KMS".
    """
    names = [tag["TagKey"] for tag in added]
    if len(names) != len(set(names)):
        raise AwsError("TagException", "Duplicate tag keys")
    if any(name.lower().startswith("aws:") for name in names):
        raise AwsError("TagException", "Tags beginning with aws: are reserved")
    tags = present | {tag["TagKey"]: tag.get("TagValue", "") for tag in added}
    if len(tags) > _MOST:
        raise AwsError("TagException", "Too many tags")
    return tags


@models("KeyId", "Tags")
def tag_resource(call: Call) -> dict[str, Any]:
    """TagResource."""
    key = require_own_key(call)
    require_key_state_not_in(key, "PendingDeletion")
    key.tags = merge_tags(key.tags, call.params["Tags"])
    return {}


@models("KeyId", "TagKeys")
def untag_resource(call: Call) -> dict[str, Any]:
    """UntagResource."""
    key = require_own_key(call)
    require_key_state_not_in(key, "PendingDeletion")
    key.tags = {name: value for name, value in key.tags.items() if name not in call.params["TagKeys"]}
    return {}


@models("KeyId", "Limit", "Marker")
def list_resource_tags(call: Call) -> dict[str, Any]:
    """ListResourceTags."""
    tags = [{"TagKey": name, "TagValue": value} for name, value in require_own_key(call).tags.items()]
    return paginate(call, "Tags", tags)


HANDLERS: Final[dict[str, Operation]] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListResourceTags": list_resource_tags,
}
