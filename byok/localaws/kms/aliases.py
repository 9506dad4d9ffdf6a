"""Aliases and replicas of keys: an alias and its key are always of one account and Region."""

import dataclasses
import re
import time
from datetime import UTC, datetime
from typing import Any, Final

from byok.domain.arns import partition_of
from byok.localaws.call import AwsError, Call, Handler
from byok.localaws.kms.operations import metadata
from byok.localaws.kms.policies import check_policy, default_policy
from byok.localaws.kms.usage import KeyRefused, resolve
from byok.localaws.world import WORLD, Alias, Key, KeyFacts

_NAME: Final = re.compile(r"alias/[a-zA-Z0-9/_-]{1,250}")


def make_alias(account: str, region: str, name: str, target: str) -> Alias:
    """A new alias, as CreateAlias and CloudFormation make one.

    Raises:
        AwsError: The name is not legal or taken, or the target is no key of this account and Region.
    """
    arn = _arn(account, region, name)
    if not name.startswith("alias/"):
        raise AwsError("ValidationException", 'Alias must start with the prefix "alias/"')
    if name.startswith("alias/aws/"):
        raise AwsError("NotAuthorizedException", "Alias names beginning with alias/aws/ are reserved")
    if not _NAME.fullmatch(name):
        raise AwsError("InvalidAliasNameException", f"{name} is not a legal alias name")
    key = _target(account, region, target)
    if arn in WORLD.aliases:
        raise AwsError("AlreadyExistsException", f"An alias with the name {arn} already exists")
    if key.now.state == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    alias = Alias(name, arn, key.arn, datetime.now(UTC))
    WORLD.aliases[arn] = alias
    return alias


def create_alias(call: Call) -> dict[str, Any]:
    """CreateAlias; impossible for a key of another account."""
    make_alias(call.caller.account, call.region, call.params["AliasName"], call.params["TargetKeyId"])
    return {}


def update_alias(call: Call) -> dict[str, Any]:
    """UpdateAlias: to another key of the same kind."""
    alias = _find(call)
    key, current = _target(call.caller.account, call.region, call.params["TargetKeyId"]), WORLD.keys.get(alias.target)
    if current is not None and (key.usage, key.spec == "SYMMETRIC_DEFAULT") != (
        current.usage,
        current.spec == "SYMMETRIC_DEFAULT",
    ):
        raise AwsError("ValidationException", "The current and the new key have to be of the same type and usage")
    if key.now.state == "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is pending deletion.")
    alias.target = key.arn
    return {}


def delete_alias(call: Call) -> dict[str, Any]:
    """DeleteAlias."""
    del WORLD.aliases[_find(call).arn]
    return {}


def list_aliases(call: Call) -> dict[str, Any]:
    """ListAliases of the caller's own account and Region."""
    prefix = _arn(call.caller.account, call.region, "")
    wanted = call.params.get("KeyId")
    target = _target(call.caller.account, call.region, wanted).arn if wanted else None
    aliases = [
        {
            "AliasName": alias.name,
            "AliasArn": alias.arn,
            "TargetKeyId": alias.target.rpartition("/")[2],
            "CreationDate": alias.created,
        }
        for alias in WORLD.aliases.values()
        if alias.arn.startswith(prefix) and target in {None, alias.target}
    ]
    return {"Aliases": aliases, "Truncated": False}


def replicate_key(call: Call) -> dict[str, Any]:
    """ReplicateKey: the replica has a policy, a state, grants and tags of its own."""
    key = _target(call.caller.account, call.region, call.params["KeyId"])
    region = call.params["ReplicaRegion"]
    if not key.multi_region:
        raise AwsError("UnsupportedOperationException", f"{key.arn} is not a multi-Region key.")
    arn = f"arn:{partition_of(region)}:kms:{region}:{key.account}:key/{key.key_id}"
    if arn in WORLD.keys:
        raise AwsError("AlreadyExistsException", f"{arn} already exists")
    text = call.params.get("Policy")
    policy = check_policy(text, key.account, call.params) if text else default_policy(key.account, region)
    replica = dataclasses.replace(
        key, arn=arn, region=region, facts=[KeyFacts(time.time(), "Enabled", policy)], tags={}, grants={}
    )
    WORLD.keys[arn] = replica
    return {"ReplicaKeyMetadata": metadata(replica)}


def _find(call: Call) -> Alias:
    arn = _arn(call.caller.account, call.region, call.params["AliasName"])
    alias = WORLD.aliases.get(arn)
    if alias is None:
        raise AwsError("NotFoundException", f"Alias {arn} is not found.")
    return alias


def _target(account: str, region: str, reference: str) -> Key:
    if reference.startswith("alias/") or ":alias/" in reference:
        raise AwsError("ValidationException", "Aliases must refer to keys. Not aliases")
    try:
        arn = resolve(reference, account, region)
    except KeyRefused as refused:
        raise AwsError(refused.code, refused.message) from refused
    key = WORLD.keys.get(arn)
    if arn.split(":")[4] != account:
        # No record of AWS's own words was found; that it is impossible is certain (botocore, CreateAlias).
        raise AwsError("AccessDeniedException", f"{arn} is a key of another account.")
    if key is None:
        raise AwsError("NotFoundException", f"Key '{arn}' does not exist")
    return key


def _arn(account: str, region: str, name: str) -> str:
    return f"arn:{partition_of(region)}:kms:{region}:{account}:{name}"


HANDLERS: Final[dict[str, Handler]] = {
    "CreateAlias": create_alias,
    "UpdateAlias": update_alias,
    "DeleteAlias": delete_alias,
    "ListAliases": list_aliases,
    "ReplicateKey": replicate_key,
}
