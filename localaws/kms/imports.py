"""Imported key material: the customer generates key material, imports it into a key, and can delete it again.

A key without its imported key material is in the state `PendingImport`. Only the same key material makes the key usable
again (KMS developer guide, "Importing key material for AWS KMS keys"). Expiration and rotation of imported key material
are not modelled.
"""

import base64
import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.kms.operations import SYMMETRIC_SPEC
from localaws.kms.permissions import require_key_state_not_in, require_own_key
from localaws.state import Key

_MATERIAL_BYTES: Final = 32  # the size of a symmetric encryption key (KMS developer guide, "Importing key material")
_OAEP: Final = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
_OAEP_NAME: Final = "RSAES_OAEP_SHA_256"
_RSA_BITS: Final = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_TOKEN_LIFE: Final = timedelta(hours=24)
_UNLIMITED: Final = "KEY_MATERIAL_DOES_NOT_EXPIRE"


@models("KeyId", "WrappingAlgorithm", "WrappingKeySpec")
def get_parameters_for_import(call: Call) -> dict[str, Any]:
    """GetParametersForImport: return a public key that wraps the key material, and an import token."""
    key = _require_external_key(call)
    require_key_state_not_in(key, "PendingDeletion")
    if call.params["WrappingAlgorithm"] != _OAEP_NAME or call.params["WrappingKeySpec"] not in _RSA_BITS:
        what = f"{call.params['WrappingAlgorithm']} with {call.params['WrappingKeySpec']}"
        raise not_modelled_error(f"{what} of kms:GetParametersForImport")
    wrapping = rsa.generate_private_key(65537, _RSA_BITS[call.params["WrappingKeySpec"]])
    token = secrets.token_bytes(64)
    key.import_offers[token] = wrapping.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = wrapping.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "KeyId": key.arn,
        "ImportToken": token,
        "PublicKey": public,
        "ParametersValidTo": datetime.now(UTC) + _TOKEN_LIFE,
    }


@models("KeyId", "ImportToken", "EncryptedKeyMaterial", "ExpirationModel")
def import_key_material(call: Call) -> dict[str, Any]:
    """ImportKeyMaterial: import key material for the first time, or import the same key material again.

    Raises:
        AwsError: `InvalidImportTokenException` if the import token belongs to another key; `InvalidCiphertextException`
            if the key material was not wrapped with the token's public key; `IncorrectKeyMaterialException` if the key
            material differs from the material of the first import (botocore's KMS model, ImportKeyMaterial).
    """
    key = _require_external_key(call)
    require_key_state_not_in(key, "PendingDeletion")
    if call.params.get("ExpirationModel") != _UNLIMITED:
        raise not_modelled_error("key material that expires of kms:ImportKeyMaterial")
    offer = key.import_offers.get(_read_blob(call.params["ImportToken"]))
    if offer is None:
        raise AwsError("InvalidImportTokenException", "")
    wrapping = serialization.load_der_private_key(offer, None)
    if not isinstance(wrapping, rsa.RSAPrivateKey):
        raise TypeError("GetParametersForImport creates RSA keys only")
    try:
        material = wrapping.decrypt(_read_blob(call.params["EncryptedKeyMaterial"]), _OAEP)
    except ValueError as error:
        raise AwsError("InvalidCiphertextException", "") from error
    material_id = hashlib.sha256(key.key_id.encode() + material).hexdigest()
    if len(material) != _MATERIAL_BYTES or key.material_id not in {"", material_id}:
        raise AwsError("IncorrectKeyMaterialException", "")
    key.material_id, key.secret = material_id, base64.urlsafe_b64encode(material)
    key.add_revision(state="Enabled")
    return {"KeyId": key.arn, "KeyMaterialId": material_id}


@models("KeyId")
def delete_imported_key_material(call: Call) -> dict[str, Any]:
    """DeleteImportedKeyMaterial.

    The key's state changes to `PendingImport`, unless the key is pending deletion (botocore's KMS model).
    """
    key = _require_external_key(call)
    key.secret = b""
    if key.latest.state != "PendingDeletion":
        key.add_revision(state="PendingImport")
    return {"KeyId": key.arn, **({"KeyMaterialId": key.material_id} if key.material_id else {})}


def _require_external_key(call: Call) -> Key:
    key = require_own_key(call)
    if key.origin != "EXTERNAL":
        message = f"{key.arn} origin is {key.origin} which is not valid for this operation."
        raise AwsError("UnsupportedOperationException", message)
    if key.spec != SYMMETRIC_SPEC:
        raise not_modelled_error(f"KeySpec {key.spec} of kms:{call.operation}")
    return key


def _read_blob(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else base64.b64decode(value)


HANDLERS: Final[dict[str, Operation]] = {
    "GetParametersForImport": get_parameters_for_import,
    "ImportKeyMaterial": import_key_material,
    "DeleteImportedKeyMaterial": delete_imported_key_material,
}
