"""Key operations within an account and across accounts: create, describe, and change the state and policy of keys.

Across accounts, only cryptographic operations, DescribeKey, GetKeyRotationStatus and grants work. No policy can allow
any other operation (KMS developer guide, "Allowing users in other accounts to use a KMS key").
"""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.fernet import Fernet

from byok.domain.arns import partition_of_region
from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.kms.pages import paginate
from localaws.kms.permissions import (
    authorize_key_call,
    check_identity_policies,
    require_key_state_not_in,
    require_own_key,
)
from localaws.kms.policies import DEFAULT_POLICY_NAME, build_default_policy, parse_key_policy
from localaws.kms.tags import merge_tags
from localaws.state import STATE, Key, KeyRevision

SYMMETRIC_SPEC: Final = "SYMMETRIC_DEFAULT"
"""The key spec of keys that can encrypt data in S3 and RDS."""

_MAX_WINDOW: Final = 30
_MIN_WINDOW: Final = 7
_MODELLED_ORIGINS: Final = ("AWS_KMS", "EXTERNAL")


@models(
    *("Policy", "Description", "KeyUsage", "CustomerMasterKeySpec", "KeySpec", "Origin", "Tags", "MultiRegion"),
    "BypassPolicyLockoutSafetyCheck",
)
def create_key(call: Call) -> dict[str, Any]:
    """CreateKey: create a key. A call with tags also needs kms:TagResource (botocore, CreateKey).

    `CustomerMasterKeySpec` is the former name of `KeySpec` (botocore, CreateKey).

    Raises:
        AwsError: The caller lacks a permission, the policy is malformed or would lock the caller out, or the tags or
            the kind of key are invalid.
    """
    given = call.params
    check_identity_policies(call)
    if given.get("Tags"):
        check_identity_policies(call, action="TagResource")
    spec = given.get("KeySpec") or given.get("CustomerMasterKeySpec") or SYMMETRIC_SPEC
    usage, origin = given.get("KeyUsage", "ENCRYPT_DECRYPT"), given.get("Origin", "AWS_KMS")
    if origin not in _MODELLED_ORIGINS:
        raise not_modelled_error(f"Origin {origin} of kms:CreateKey")
    if (spec.startswith("HMAC") and usage != "GENERATE_VERIFY_MAC") or (
        spec == SYMMETRIC_SPEC and usage != "ENCRYPT_DECRYPT"
    ):
        raise AwsError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    account, region, multi_region = call.caller.account, call.region, bool(given.get("MultiRegion"))
    key_id = f"mrk-{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4())
    arn = f"arn:{partition_of_region(region)}:kms:{region}:{account}:key/{key_id}"
    document = build_default_policy(account, region) if given.get("Policy") is None else parse_key_policy(call, arn)
    now = datetime.now(UTC)
    key = Key(
        arn=arn,
        account=account,
        region=region,
        key_id=key_id,
        spec=spec,
        usage=usage,
        origin=origin,
        description=given.get("Description", ""),
        multi_region=multi_region,
        created=now,
        secret=b"" if origin == "EXTERNAL" else Fernet.generate_key(),
        revisions=[KeyRevision(now.timestamp(), "PendingImport" if origin == "EXTERNAL" else "Enabled", document)],
        tags=merge_tags({}, given.get("Tags") or []),
    )
    STATE.keys[key.arn] = key
    return {"KeyMetadata": render_key_metadata(key)}


def render_key_metadata(key: Key) -> dict[str, Any]:
    """KeyMetadata."""
    facts = key.latest
    described: dict[str, Any] = {
        "AWSAccountId": key.account,
        "KeyId": key.key_id,
        "Arn": key.arn,
        "CreationDate": key.created,
        "Enabled": facts.state == "Enabled",
        "Description": key.description,
        "KeyUsage": key.usage,
        "KeyState": facts.state,
        "Origin": key.origin,
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": key.spec,
        "KeySpec": key.spec,
        "MultiRegion": key.multi_region,
    }
    if key.usage == "ENCRYPT_DECRYPT":
        described["EncryptionAlgorithms"] = [SYMMETRIC_SPEC] if key.spec == SYMMETRIC_SPEC else ["RSAES_OAEP_SHA_256"]
    if key.deletion:
        described["DeletionDate"] = key.deletion
    if key.multi_region:
        described["MultiRegionConfiguration"] = _render_related_keys(key)
    return described


@models("KeyId")
def describe_key(call: Call) -> dict[str, Any]:
    """DescribeKey: describe a key.

    The key can be in another account if the key policy and the caller's own policies allow the call.
    """
    return {"KeyMetadata": render_key_metadata(authorize_key_call(call, "DescribeKey"))}


@models("Limit", "Marker")
def list_keys(call: Call) -> dict[str, Any]:
    """ListKeys: return the keys in the caller's account and Region."""
    check_identity_policies(call)
    mine = [key for key in STATE.keys.values() if (key.account, key.region) == (call.caller.account, call.region)]
    return paginate(call, "Keys", [{"KeyId": key.key_id, "KeyArn": key.arn} for key in mine])


@models("KeyId")
def enable_key(call: Call) -> dict[str, Any]:
    """EnableKey."""
    key = require_own_key(call)
    require_key_state_not_in(key, "PendingDeletion", "PendingImport")
    key.add_revision(state="Enabled")
    return {}


@models("KeyId")
def disable_key(call: Call) -> dict[str, Any]:
    """DisableKey."""
    key = require_own_key(call)
    require_key_state_not_in(key, "PendingDeletion", "PendingImport")
    key.add_revision(state="Disabled")
    return {}


@models("KeyId", "PendingWindowInDays")
def schedule_key_deletion(call: Call) -> dict[str, Any]:
    """ScheduleKeyDeletion, with a waiting period of 7 to 30 days (contract 112)."""
    key, days = require_own_key(call), call.params.get("PendingWindowInDays", _MAX_WINDOW)
    require_key_state_not_in(key, "PendingDeletion")
    if not _MIN_WINDOW <= days <= _MAX_WINDOW:
        raise AwsError("ValidationException", f"PendingWindowInDays is {days} and must be between 7 and 30")
    key.add_revision(state="PendingDeletion")
    key.deletion = datetime.now(UTC) + timedelta(days=days)
    return {"KeyId": key.arn, "DeletionDate": key.deletion, "KeyState": "PendingDeletion", "PendingWindowInDays": days}


@models("KeyId")
def cancel_key_deletion(call: Call) -> dict[str, Any]:
    """CancelKeyDeletion: cancel the deletion of a key, and leave the key disabled.

    We infer from the key states that a key without its imported key material returns to `PendingImport`.
    """
    key = require_own_key(call)
    if key.latest.state != "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.add_revision(state="Disabled" if key.secret else "PendingImport")
    key.deletion = None
    return {"KeyId": key.arn}


@models("KeyId", "PolicyName")
def get_key_policy(call: Call) -> dict[str, Any]:
    """GetKeyPolicy."""
    key = require_own_key(call)
    _require_default_policy_name(call)
    return {"Policy": json.dumps(key.latest.policy, indent=2), "PolicyName": DEFAULT_POLICY_NAME}


@models("KeyId", "PolicyName", "Policy", "BypassPolicyLockoutSafetyCheck")
def put_key_policy(call: Call) -> dict[str, Any]:
    """PutKeyPolicy: replace the key policy, after the lockout check."""
    key = require_own_key(call)
    _require_default_policy_name(call)
    key.add_revision(policy=parse_key_policy(call, key.arn))
    return {}


@models("KeyId", "Limit", "Marker")
def list_key_policies(call: Call) -> dict[str, Any]:
    """ListKeyPolicies: return only the policy `default`, because no key is shared through AWS RAM."""
    require_own_key(call)
    return paginate(call, "PolicyNames", [DEFAULT_POLICY_NAME])


def _require_default_policy_name(call: Call) -> None:
    name = call.params.get("PolicyName") or DEFAULT_POLICY_NAME
    if name != DEFAULT_POLICY_NAME:
        raise not_modelled_error(f"PolicyName {name} of kms:{call.operation}")


def _render_related_keys(key: Key) -> dict[str, Any]:
    """Return MultiRegionConfiguration, which describes the primary key and its replicas."""
    related = [one for one in STATE.keys.values() if (one.account, one.key_id) == (key.account, key.key_id)]
    primary, *replicas = sorted(related, key=lambda one: one.replica)
    return {
        "MultiRegionKeyType": "REPLICA" if key.replica else "PRIMARY",
        "PrimaryKey": {"Arn": primary.arn, "Region": primary.region},
        "ReplicaKeys": [{"Arn": one.arn, "Region": one.region} for one in replicas],
    }


HANDLERS: Final[dict[str, Operation]] = {
    "CreateKey": create_key,
    "DescribeKey": describe_key,
    "ListKeys": list_keys,
    "EnableKey": enable_key,
    "DisableKey": disable_key,
    "ScheduleKeyDeletion": schedule_key_deletion,
    "CancelKeyDeletion": cancel_key_deletion,
    "GetKeyPolicy": get_key_policy,
    "PutKeyPolicy": put_key_policy,
    "ListKeyPolicies": list_key_policies,
}
