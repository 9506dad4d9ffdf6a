"""Key operations in two accounts: create, describe, use, and change the state of keys.

Across accounts, only cryptographic operations, DescribeKey, GetKeyRotationStatus and grants work. No policy can allow
any other operation (KMS developer guide, "Allowing users in other accounts to use a KMS key").
"""

import base64
import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.fernet import Fernet

from byok.domain.arns import partition_of_region
from localaws.call import AwsError, Call, Handler
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

_SYMMETRIC: Final = "SYMMETRIC_DEFAULT"
_MAX_WINDOW: Final = 30
_MIN_WINDOW: Final = 7


def add_key(account: str, region: str, params: dict[str, Any]) -> Key:
    """Add a new key without checking the caller's permission.

    Raises:
        AwsError: The key policy is malformed or would lock the owner out, or the tags or the KeyUsage are invalid.
    """
    spec, usage = params.get("KeySpec", _SYMMETRIC), params.get("KeyUsage", "ENCRYPT_DECRYPT")
    if (spec.startswith("HMAC") and usage != "GENERATE_VERIFY_MAC") or (
        spec == _SYMMETRIC and usage != "ENCRYPT_DECRYPT"
    ):
        raise AwsError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    multi_region = bool(params.get("MultiRegion"))
    key_id = f"mrk-{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4())
    arn = f"arn:{partition_of_region(region)}:kms:{region}:{account}:key/{key_id}"
    policy = params.get("Policy")
    document = build_default_policy(account, region) if policy is None else parse_key_policy(policy, arn, params)
    origin = params.get("Origin", "AWS_KMS")
    now = datetime.now(UTC)
    key = Key(
        arn=arn,
        account=account,
        region=region,
        key_id=key_id,
        spec=spec,
        usage=usage,
        origin=origin,
        description=params.get("Description", ""),
        multi_region=multi_region,
        created=now,
        secret=Fernet.generate_key(),
        revisions=[KeyRevision(now.timestamp(), "PendingImport" if origin == "EXTERNAL" else "Enabled", document)],
        tags=merge_tags({}, params.get("Tags") or []),
    )
    STATE.keys[key.arn] = key
    return key


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
        described["EncryptionAlgorithms"] = [_SYMMETRIC] if key.spec == _SYMMETRIC else ["RSAES_OAEP_SHA_256"]
    if key.deletion:
        described["DeletionDate"] = key.deletion
    return described


def create_key(call: Call) -> dict[str, Any]:
    """CreateKey. With tags, the caller also needs permission to tag (botocore, CreateKey)."""
    check_identity_policies(call)
    if call.params.get("Tags"):
        check_identity_policies(call, action="TagResource")
    return {"KeyMetadata": render_key_metadata(add_key(call.caller.account, call.region, call.params))}


def describe_key(call: Call) -> dict[str, Any]:
    """DescribeKey. Works across accounts if both policies allow it."""
    return {"KeyMetadata": render_key_metadata(authorize_key_call(call, "DescribeKey"))}


def list_keys(call: Call) -> dict[str, Any]:
    """ListKeys in the caller's account and Region."""
    check_identity_policies(call)
    mine = [key for key in STATE.keys.values() if (key.account, key.region) == (call.caller.account, call.region)]
    return paginate(call, "Keys", [{"KeyId": key.key_id, "KeyArn": key.arn} for key in mine])


def enable_key(call: Call) -> dict[str, Any]:
    """EnableKey."""
    key = require_own_key(call)
    require_key_state_not_in(key, "PendingDeletion", "PendingImport")
    key.add_revision(state="Enabled")
    return {}


def disable_key(call: Call) -> dict[str, Any]:
    """DisableKey."""
    key = require_own_key(call)
    require_key_state_not_in(key, "PendingDeletion", "PendingImport")
    key.add_revision(state="Disabled")
    return {}


def schedule_key_deletion(call: Call) -> dict[str, Any]:
    """ScheduleKeyDeletion: 7 to 30 days (contract 112)."""
    key, days = require_own_key(call), call.params.get("PendingWindowInDays", _MAX_WINDOW)
    require_key_state_not_in(key, "PendingDeletion")
    if not _MIN_WINDOW <= days <= _MAX_WINDOW:
        raise AwsError("ValidationException", f"PendingWindowInDays is {days} and must be between 7 and 30")
    key.add_revision(state="PendingDeletion")
    key.deletion = datetime.now(UTC) + timedelta(days=days)
    return {"KeyId": key.arn, "DeletionDate": key.deletion, "KeyState": "PendingDeletion", "PendingWindowInDays": days}


def cancel_key_deletion(call: Call) -> dict[str, Any]:
    """CancelKeyDeletion. The key is disabled afterwards."""
    key = require_own_key(call)
    if key.latest.state != "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.add_revision(state="Disabled")
    key.deletion = None
    return {"KeyId": key.arn}


def get_key_policy(call: Call) -> dict[str, Any]:
    """GetKeyPolicy."""
    return {"Policy": json.dumps(require_own_key(call).latest.policy, indent=2), "PolicyName": DEFAULT_POLICY_NAME}


def put_key_policy(call: Call) -> dict[str, Any]:
    """PutKeyPolicy, with the lockout check."""
    key = require_own_key(call)
    key.add_revision(policy=parse_key_policy(call.params["Policy"], key.arn, call.params))
    return {}


def list_key_policies(call: Call) -> dict[str, Any]:
    """ListKeyPolicies: a key has only one policy."""
    require_own_key(call)
    return {"PolicyNames": [DEFAULT_POLICY_NAME], "Truncated": False}


def set_key_rotation(call: Call) -> dict[str, Any]:
    """EnableKeyRotation and DisableKeyRotation."""
    key = require_own_key(call)
    if key.spec != _SYMMETRIC:
        raise AwsError("UnsupportedOperationException", f"{key.arn} cannot be rotated automatically.")
    key.rotation = call.operation == "EnableKeyRotation"
    return {}


def get_key_rotation_status(call: Call) -> dict[str, Any]:
    """GetKeyRotationStatus."""
    key = authorize_key_call(call, "GetKeyRotationStatus")
    return {"KeyRotationEnabled": key.rotation, "KeyId": key.arn}


def encrypt(call: Call) -> dict[str, Any]:
    """Encrypt."""
    key = authorize_key_call(call, "Encrypt")
    return {"CiphertextBlob": _seal(key, call.params["Plaintext"], call), "KeyId": key.arn}


def decrypt(call: Call) -> dict[str, Any]:
    """Decrypt. The ciphertext identifies the key."""
    try:
        envelope = json.loads(call.params["CiphertextBlob"])
        arn, context = envelope["key"], envelope["context"]
    except (ValueError, KeyError, TypeError) as error:
        raise AwsError("InvalidCiphertextException", "") from error
    key = authorize_key_call(call, "Decrypt", arn, ciphertext=True)
    if context != (call.params.get("EncryptionContext") or {}):
        raise AwsError("InvalidCiphertextException", "")
    return {"KeyId": key.arn, "Plaintext": Fernet(key.secret).decrypt(envelope["data"].encode())}


def generate_data_key(call: Call) -> dict[str, Any]:
    """GenerateDataKey and GenerateDataKeyWithoutPlaintext."""
    key = authorize_key_call(call, call.operation)
    size = call.params.get("NumberOfBytes") or (16 if call.params.get("KeySpec") == "AES_128" else 32)
    data_key = secrets.token_bytes(size)
    result: dict[str, Any] = {"CiphertextBlob": _seal(key, data_key, call), "KeyId": key.arn}
    if call.operation == "GenerateDataKey":
        result["Plaintext"] = data_key
    return result


def _seal(key: Key, plaintext: bytes, call: Call) -> bytes:
    data = plaintext if isinstance(plaintext, bytes) else base64.b64decode(plaintext)
    context = call.params.get("EncryptionContext") or {}
    return json.dumps({"key": key.arn, "context": context, "data": Fernet(key.secret).encrypt(data).decode()}).encode()


HANDLERS: Final[dict[str, Handler]] = {
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
    "EnableKeyRotation": set_key_rotation,
    "DisableKeyRotation": set_key_rotation,
    "GetKeyRotationStatus": get_key_rotation_status,
    "Encrypt": encrypt,
    "Decrypt": decrypt,
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key,
}
