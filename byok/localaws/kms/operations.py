"""KMS as its callers see it: keys, their states, policies, aliases, tags and grants, in two accounts.

What works across accounts: cryptographic operations, DescribeKey, GetKeyRotationStatus and grants; everything else is
impossible under any policy (KMS developer guide, "Allowing users in other accounts to use a KMS key").
"""

import base64
import json
import secrets
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.fernet import Fernet

from byok.domain.arns import partition_of
from byok.localaws.call import AwsError, Call, Handler
from byok.localaws.kms.policies import DEFAULT_POLICY_NAME, check_policy, default_policy
from byok.localaws.kms.usage import KeyRefused, KeyUse, authorize_key_use, resolve
from byok.localaws.world import WORLD, Grant, Key, KeyFacts

_SYMMETRIC: Final = "SYMMETRIC_DEFAULT"
_MAX_WINDOW: Final = 30
_MIN_WINDOW: Final = 7


def make_key(account: str, region: str, params: dict[str, Any]) -> Key:
    """A new key, as CreateKey and CloudFormation make one.

    Raises:
        AwsError: Its policy is malformed, or would lock its owner out; its tags or its kind are not legal.
    """
    spec, usage = params.get("KeySpec", _SYMMETRIC), params.get("KeyUsage", "ENCRYPT_DECRYPT")
    if (spec.startswith("HMAC") and usage != "GENERATE_VERIFY_MAC") or (
        spec == _SYMMETRIC and usage != "ENCRYPT_DECRYPT"
    ):
        raise AwsError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    policy = params.get("Policy")
    document = default_policy(account, region) if policy is None else check_policy(policy, account, params)
    multi_region = bool(params.get("MultiRegion"))
    key_id = f"mrk-{uuid.uuid4().hex}" if multi_region else str(uuid.uuid4())
    origin = params.get("Origin", "AWS_KMS")
    now = datetime.now(UTC)
    key = Key(
        arn=f"arn:{partition_of(region)}:kms:{region}:{account}:key/{key_id}",
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
        facts=[KeyFacts(now.timestamp(), "PendingImport" if origin == "EXTERNAL" else "Enabled", document)],
        tags=_tags({}, params.get("Tags") or []),
    )
    WORLD.keys[key.arn] = key
    return key


def set_tags(key: Key, tags: list[dict[str, str]]) -> None:
    """Put tags on a key.

    Raises:
        AwsError: `TagException`, recorded texts.
    """
    key.tags = _tags(key.tags, tags)


def metadata(key: Key) -> dict[str, Any]:
    """KeyMetadata."""
    facts = key.now
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


def _tags(present: dict[str, str], added: list[dict[str, str]]) -> dict[str, str]:
    names = [tag["TagKey"] for tag in added]
    if len(names) != len(set(names)):
        raise AwsError("TagException", "Duplicate tag keys")
    if any(name.lower().startswith("aws:") for name in names):
        raise AwsError("TagException", "Tags beginning with aws: are reserved")
    tags = present | {tag["TagKey"]: tag.get("TagValue", "") for tag in added}
    if len(tags) > 50:  # noqa: PLR2004 - KMS developer guide, "Tags in AWS KMS"
        raise AwsError("TagException", "Too many tags")
    return tags


def _use(call: Call, action: str, reference: str | None = None, *, ciphertext: bool = False) -> Key:
    """The key of a direct call, if the caller may call so."""
    try:
        arn = resolve(reference or call.params.get("KeyId", ""), call.caller.account, call.region)
        context = tuple((call.params.get("EncryptionContext") or {}).items())
        use = KeyUse(call.caller, f"kms:{action}", call.region, context=context, ciphertext=ciphertext)
        return authorize_key_use(arn, use)
    except KeyRefused as refused:
        raise AwsError(refused.code, refused.message) from refused


def _own(call: Call, reference: str | None = None) -> Key:
    """The key of an operation that only its own account can do."""
    key = _use(call, call.operation, reference)
    if key.account != call.caller.account:
        message = (
            f"User: {call.caller.arn} is not authorized to perform: kms:{call.operation} on resource: {key.arn}: "
            "the operation cannot be done on a key of another account"
        )
        raise AwsError("AccessDeniedException", message)
    return key


def _not_in(key: Key, *states: str) -> None:
    if key.now.state in states:
        words = {"PendingDeletion": "pending deletion", "PendingImport": "pending import"}
        raise AwsError("KMSInvalidStateException", f"{key.arn} is {words.get(key.now.state, key.now.state)}.")


def create_key(call: Call) -> dict[str, Any]:
    """CreateKey."""
    return {"KeyMetadata": metadata(make_key(call.caller.account, call.region, call.params))}


def describe_key(call: Call) -> dict[str, Any]:
    """DescribeKey; across accounts where both policies allow it."""
    return {"KeyMetadata": metadata(_use(call, "DescribeKey"))}


def list_keys(call: Call) -> dict[str, Any]:
    """ListKeys of the caller's account and Region."""
    mine = [key for key in WORLD.keys.values() if (key.account, key.region) == (call.caller.account, call.region)]
    return {"Keys": [{"KeyId": key.key_id, "KeyArn": key.arn} for key in mine], "Truncated": False}


def enable_key(call: Call) -> dict[str, Any]:
    """EnableKey."""
    key = _own(call)
    _not_in(key, "PendingDeletion", "PendingImport")
    key.change(state="Enabled")
    return {}


def disable_key(call: Call) -> dict[str, Any]:
    """DisableKey."""
    key = _own(call)
    _not_in(key, "PendingDeletion", "PendingImport")
    key.change(state="Disabled")
    return {}


def schedule_key_deletion(call: Call) -> dict[str, Any]:
    """ScheduleKeyDeletion: 7 to 30 days (contract 112)."""
    key, days = _own(call), call.params.get("PendingWindowInDays", _MAX_WINDOW)
    _not_in(key, "PendingDeletion")
    if not _MIN_WINDOW <= days <= _MAX_WINDOW:
        raise AwsError("ValidationException", f"PendingWindowInDays is {days} and has to be between 7 and 30")
    key.change(state="PendingDeletion")
    key.deletion = datetime.now(UTC) + timedelta(days=days)
    return {"KeyId": key.arn, "DeletionDate": key.deletion, "KeyState": "PendingDeletion", "PendingWindowInDays": days}


def cancel_key_deletion(call: Call) -> dict[str, Any]:
    """CancelKeyDeletion: the key is disabled afterwards."""
    key = _own(call)
    if key.now.state != "PendingDeletion":
        raise AwsError("KMSInvalidStateException", f"{key.arn} is not pending deletion.")
    key.change(state="Disabled")
    key.deletion = None
    return {"KeyId": key.arn}


def get_key_policy(call: Call) -> dict[str, Any]:
    """GetKeyPolicy."""
    return {"Policy": json.dumps(_own(call).now.policy, indent=2), "PolicyName": DEFAULT_POLICY_NAME}


def put_key_policy(call: Call) -> dict[str, Any]:
    """PutKeyPolicy, with the check against locking oneself out."""
    key = _own(call)
    key.change(policy=check_policy(call.params["Policy"], key.account, call.params))
    return {}


def list_key_policies(call: Call) -> dict[str, Any]:
    """ListKeyPolicies: there is only the one."""
    _own(call)
    return {"PolicyNames": [DEFAULT_POLICY_NAME], "Truncated": False}


def rotation(call: Call) -> dict[str, Any]:
    """EnableKeyRotation and DisableKeyRotation."""
    key = _own(call)
    if key.spec != _SYMMETRIC:
        raise AwsError("UnsupportedOperationException", f"{key.arn} cannot be rotated automatically.")
    key.rotation = call.operation == "EnableKeyRotation"
    return {}


def get_key_rotation_status(call: Call) -> dict[str, Any]:
    """GetKeyRotationStatus."""
    key = _use(call, "GetKeyRotationStatus")
    return {"KeyRotationEnabled": key.rotation, "KeyId": key.arn}


def tag_resource(call: Call) -> dict[str, Any]:
    """TagResource: only in the key's own account."""
    key = _own(call)
    _not_in(key, "PendingDeletion")
    set_tags(key, call.params["Tags"])
    return {}


def untag_resource(call: Call) -> dict[str, Any]:
    """UntagResource."""
    key = _own(call)
    _not_in(key, "PendingDeletion")
    key.tags = {name: value for name, value in key.tags.items() if name not in call.params["TagKeys"]}
    return {}


def list_resource_tags(call: Call) -> dict[str, Any]:
    """ListResourceTags: only in the key's own account."""
    tags = _own(call).tags
    return {"Tags": [{"TagKey": name, "TagValue": value} for name, value in tags.items()], "Truncated": False}


def encrypt(call: Call) -> dict[str, Any]:
    """Encrypt."""
    key = _use(call, "Encrypt")
    return {"CiphertextBlob": _seal(key, call.params["Plaintext"], call), "KeyId": key.arn}


def decrypt(call: Call) -> dict[str, Any]:
    """Decrypt: the ciphertext knows its key."""
    try:
        envelope = json.loads(call.params["CiphertextBlob"])
        arn, context = envelope["key"], envelope["context"]
    except (ValueError, KeyError, TypeError) as error:
        raise AwsError("InvalidCiphertextException", "") from error
    key = _use(call, "Decrypt", arn, ciphertext=True)
    if context != (call.params.get("EncryptionContext") or {}):
        raise AwsError("InvalidCiphertextException", "")
    return {"KeyId": key.arn, "Plaintext": Fernet(key.secret).decrypt(envelope["data"].encode())}


def generate_data_key(call: Call) -> dict[str, Any]:
    """GenerateDataKey and GenerateDataKeyWithoutPlaintext."""
    key = _use(call, call.operation)
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


def create_grant(call: Call) -> dict[str, Any]:
    """CreateGrant: only by a full key ARN or a key id."""
    key = _use(call, "CreateGrant")
    grant = add_grant(key, call.params["GranteePrincipal"], list(call.params["Operations"]), call.caller.account)
    grant.name = call.params.get("Name", "")
    return {"GrantId": grant.grant_id, "GrantToken": secrets.token_urlsafe(48)}


def add_grant(key: Key, grantee: str, operations: list[str], issuer: str) -> Grant:
    """Record a grant, as a service does for what it makes on somebody's behalf."""
    grant = Grant(secrets.token_hex(32), grantee, operations, datetime.now(UTC), issuing_account=issuer)
    key.grants[grant.grant_id] = grant
    return grant


def list_grants(call: Call) -> dict[str, Any]:
    """ListGrants."""
    key = _use(call, "ListGrants")
    grants = [
        {
            "KeyId": key.arn,
            "GrantId": grant.grant_id,
            "Name": grant.name,
            "CreationDate": grant.created,
            "GranteePrincipal": grant.grantee,
            "IssuingAccount": grant.issuing_account,
            "Operations": grant.operations,
        }
        for grant in key.grants.values()
    ]
    return {"Grants": grants, "Truncated": False}


def revoke_grant(call: Call) -> dict[str, Any]:
    """RevokeGrant."""
    key = _use(call, "RevokeGrant")
    if key.grants.pop(call.params["GrantId"], None) is None:
        raise AwsError("NotFoundException", f"Grant ID {call.params['GrantId']} not found")
    return {}


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
    "EnableKeyRotation": rotation,
    "DisableKeyRotation": rotation,
    "GetKeyRotationStatus": get_key_rotation_status,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListResourceTags": list_resource_tags,
    "Encrypt": encrypt,
    "Decrypt": decrypt,
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key,
    "CreateGrant": create_grant,
    "ListGrants": list_grants,
    "RevokeGrant": revoke_grant,
}
