"""Cryptographic operations.

In the local AWS emulator, a ciphertext contains the key's ARN and the encryption context in plain text.
"""

import base64
import json
import secrets
from typing import Any, Final

from cryptography.fernet import Fernet, MultiFernet

from localaws.call import AwsError, Call, Operation, models
from localaws.kms.authorization import KmsError, resolve_key_arn
from localaws.kms.permissions import authorize_key_call, stop_dry_run
from localaws.state import Key

_DATA_KEY_BYTES: Final = {"AES_128": 16, "AES_256": 32}


@models("KeyId", "Plaintext", "EncryptionContext", "DryRun")
def encrypt(call: Call) -> dict[str, Any]:
    """Encrypt."""
    key = authorize_key_call(call, "Encrypt")
    stop_dry_run(call)
    return {"CiphertextBlob": _seal(key, call.params["Plaintext"], call), "KeyId": key.arn}


@models("CiphertextBlob", "KeyId", "EncryptionContext", "DryRun")
def decrypt(call: Call) -> dict[str, Any]:
    """Decrypt: decrypt a ciphertext with the key that the ciphertext identifies.

    If the call also specifies a key, this key must match the key in the ciphertext.

    Raises:
        AwsError: `InvalidCiphertextException`, or the error for a key that the caller is not allowed to use.
            `IncorrectKeyException` if the key in the call is not the key that the ciphertext identifies (botocore's KMS
            model, Decrypt). We found no recorded message for `IncorrectKeyException`.
    """
    try:
        envelope = json.loads(call.params["CiphertextBlob"])
        arn, context = envelope["key"], envelope["context"]
    except (ValueError, KeyError, TypeError) as error:
        raise AwsError("InvalidCiphertextException", "") from error
    if call.params.get("KeyId") and _resolve(call, call.params["KeyId"]) != arn:
        message = "The key ID in the request does not identify a CMK that can perform this operation."
        raise AwsError("IncorrectKeyException", message)
    key = authorize_key_call(call, "Decrypt", arn, ciphertext=True)
    if context != (call.params.get("EncryptionContext") or {}):
        raise AwsError("InvalidCiphertextException", "")
    stop_dry_run(call)
    return {"KeyId": key.arn, "Plaintext": _fernet(key).decrypt(envelope["data"].encode())}


@models("KeyId", "EncryptionContext", "KeySpec", "NumberOfBytes", "DryRun")
def generate_data_key(call: Call) -> dict[str, Any]:
    """GenerateDataKey and GenerateDataKeyWithoutPlaintext.

    A call must have either `KeySpec` or `NumberOfBytes`, but not both (botocore's KMS model).
    """
    key = authorize_key_call(call, call.operation)
    spec, size = call.params.get("KeySpec"), call.params.get("NumberOfBytes")
    if (spec is None) == (size is None):
        raise AwsError("ValidationException", "Please specify either number of bytes or key spec.")
    stop_dry_run(call)
    data_key = secrets.token_bytes(size or _DATA_KEY_BYTES[str(spec)])
    result: dict[str, Any] = {"CiphertextBlob": _seal(key, data_key, call), "KeyId": key.arn}
    if call.operation == "GenerateDataKey":
        result["Plaintext"] = data_key
    return result


def _resolve(call: Call, reference: str) -> str:
    try:
        return resolve_key_arn(reference, call.caller.account, call.region)
    except KmsError as refused:
        raise AwsError(refused.code, refused.message) from refused


def _fernet(key: Key) -> MultiFernet:
    """Return a cipher that encrypts with the current key material, and can decrypt with earlier key material."""
    return MultiFernet([Fernet(secret) for secret in (key.secret, *key.earlier_secrets)])


def _seal(key: Key, plaintext: bytes, call: Call) -> bytes:
    data = plaintext if isinstance(plaintext, bytes) else base64.b64decode(plaintext)
    context = call.params.get("EncryptionContext") or {}
    return json.dumps({"key": key.arn, "context": context, "data": _fernet(key).encrypt(data).decode()}).encode()


HANDLERS: Final[dict[str, Operation]] = {
    "Encrypt": encrypt,
    "Decrypt": decrypt,
    "GenerateDataKey": generate_data_key,
    "GenerateDataKeyWithoutPlaintext": generate_data_key,
}
