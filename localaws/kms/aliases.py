"""Aliases of keys. An alias and its key always belong to the same account and Region.

Changing an alias requires permission on the alias and on every key involved. The caller's own policies grant permission
on the alias. The key policy grants permission on a key, or delegates the decision to the caller's own policies (KMS
developer guide, "Controlling access to aliases").
"""

import re
from datetime import UTC, datetime
from typing import Any, Final

from byok.domain.arns import partition_of_region
from localaws.call import AwsError, Call, Operation, models
from localaws.kms.authorization import KmsError, resolve_key_arn
from localaws.kms.pages import paginate
from localaws.kms.permissions import check_identity_policies, require_key_state_not_in, require_own_key
from localaws.state import STATE, Alias, Key

_NAME: Final = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


@models("AliasName", "TargetKeyId")
def create_alias(call: Call) -> dict[str, Any]:
    """CreateAlias: create an alias for a key in the caller's account.

    CreateAlias requires permission on the alias and on the key.
    """
    name, arn = call.params["AliasName"], _arn(call)
    if not name.startswith("alias/"):
        raise AwsError("ValidationException", 'Alias must start with the prefix "alias/"')
    if name.startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "Alias names beginning with alias/aws/ are reserved")
    if not _NAME.fullmatch(name):
        raise AwsError("InvalidAliasNameException", f"{name} is not a legal alias name")
    check_identity_policies(call, arn)
    key = require_own_key(call, _target(call))
    if arn in STATE.aliases:
        raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    require_key_state_not_in(key, "PendingDeletion")
    STATE.aliases[arn] = Alias(name, arn, key.arn, datetime.now(UTC))
    return {}


@models("AliasName", "TargetKeyId")
def update_alias(call: Call) -> dict[str, Any]:
    """UpdateAlias: point an alias at another key of the same kind.

    UpdateAlias requires permission on the alias, the old key and the new key. Therefore, a role without permission on
    the old key cannot move the alias. We found no recording that shows the order in which AWS checks the permissions.
    """
    check_identity_policies(call, _arn(call))
    alias = _find(call)
    current, key = require_own_key(call, alias.target), require_own_key(call, _target(call))
    if _kind(key) != _kind(current):
        raise AwsError("ValidationException", "The current and the new key must be of the same type and usage")
    require_key_state_not_in(key, "PendingDeletion")
    alias.target = key.arn
    return {}


@models("AliasName")
def delete_alias(call: Call) -> dict[str, Any]:
    """DeleteAlias: delete an alias. The call requires permission on the alias and on the alias's key."""
    check_identity_policies(call, _arn(call))
    alias = _find(call)
    require_own_key(call, alias.target)
    del STATE.aliases[alias.arn]
    return {}


@models("KeyId", "Limit", "Marker")
def list_aliases(call: Call) -> dict[str, Any]:
    """ListAliases: return the aliases in the caller's account and Region.

    Only the caller's own policies are checked.
    """
    check_identity_policies(call)
    wanted = _own_arn(call, call.params["KeyId"]) if call.params.get("KeyId") else None
    prefix = _arn(call, "alias/")
    aliases = [
        {
            "AliasName": alias.name,
            "AliasArn": alias.arn,
            "TargetKeyId": alias.target.rpartition("/")[2],
            "CreationDate": alias.created,
        }
        for alias in STATE.aliases.values()
        if alias.arn.startswith(prefix) and wanted in {None, alias.target}
    ]
    return paginate(call, "Aliases", aliases)


def _find(call: Call) -> Alias:
    alias = STATE.aliases.get(_arn(call))
    if alias is None:
        raise AwsError("NotFoundException", f"Alias {_arn(call)} is not found.")
    return alias


def _target(call: Call) -> str:
    """Return the reference to the alias's new target, which must be a key, not another alias."""
    reference: str = call.params["TargetKeyId"]
    if reference.startswith("alias/") or ":alias/" in reference:
        raise AwsError("ValidationException", "Aliases must refer to keys. Not aliases")
    return reference


def _own_arn(call: Call, reference: str) -> str:
    """Return the ARN of a key in the caller's account.

    The function checks no permission, because it does not access the key.
    """
    try:
        arn = resolve_key_arn(reference, call.caller.account, call.region)
    except KmsError as refused:
        raise AwsError(refused.code, refused.message) from refused
    if arn.split(":")[4] != call.caller.account:
        # According to botocore (ListAliases), AWS rejects a call for a key in another account, but we found no
        # recording of the error message.
        raise AwsError("AccessDeniedException", f"{arn} belongs to another account.")
    if arn not in STATE.keys:
        raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
    return arn


def _kind(key: Key) -> tuple[str, bool]:
    return key.usage, key.spec == "SYMMETRIC_DEFAULT"


def _arn(call: Call, name: str | None = None) -> str:
    alias = call.params["AliasName"] if name is None else name
    return f"arn:{partition_of_region(call.region)}:kms:{call.region}:{call.caller.account}:{alias}"


HANDLERS: Final[dict[str, Operation]] = {
    "CreateAlias": create_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
}
