"""Key material: rotation on demand, and key material that the customer imports and deletes."""

import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from localaws.accounts import PLATFORM_ROLE_ARN
from tests.localaws.server import AwsHarness
from tests.localaws.test_s3_recorded import catch_error_with_status

WRAPPING = {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}


def import_key_material(kms: Any, key: str, material: bytes, **changed: Any) -> str:
    """Wrap key material and import it, as a customer does, and return the id of the key material."""
    offer = kms.get_parameters_for_import(KeyId=key, **WRAPPING)
    wrapping = serialization.load_der_public_key(offer["PublicKey"])
    assert isinstance(wrapping, rsa.RSAPublicKey)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    asked = {
        "ImportToken": offer["ImportToken"],
        "EncryptedKeyMaterial": wrapping.encrypt(material, oaep),
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    }
    return str(kms.import_key_material(KeyId=key, **asked | changed)["KeyMaterialId"])


def test_rotated_key_decrypts_what_it_encrypted_before(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    before = kms.encrypt(KeyId=key, Plaintext=b"before")["CiphertextBlob"]

    assert kms.rotate_key_on_demand(KeyId=key)["KeyId"] == key

    after = kms.encrypt(KeyId=key, Plaintext=b"after")["CiphertextBlob"]
    assert [kms.decrypt(CiphertextBlob=blob)["Plaintext"] for blob in (before, after)] == [b"before", b"after"]
    (rotation,) = kms.list_key_rotations(KeyId=key)["Rotations"]
    assert (rotation["KeyId"], rotation["RotationType"]) == (key, "ON_DEMAND")
    assert kms.get_key_rotation_status(KeyId=key)["KeyRotationEnabled"] is False


def test_key_is_rotated_on_demand_at_most_25_times(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()
    for _ in range(25):
        kms.rotate_key_on_demand(KeyId=key)

    assert catch_error_with_status(kms.rotate_key_on_demand, KeyId=key)[0] == "LimitExceededException"


def test_unusable_or_imported_key_is_not_rotated(aws: AwsHarness) -> None:
    kms = aws.customer_client("kms")
    disabled, deleted, imported = aws.create_key(), aws.create_key(), aws.create_key(Origin="EXTERNAL")
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=deleted)

    codes = [catch_error_with_status(kms.rotate_key_on_demand, KeyId=key)[0] for key in (disabled, deleted, imported)]

    assert codes == ["DisabledException", "KMSInvalidStateException", "NotImplemented"]
    refused = catch_error_with_status(kms.enable_key_rotation, KeyId=imported)
    assert refused[0] == "UnsupportedOperationException"


def test_key_with_imported_material_needs_the_same_material_again(aws: AwsHarness) -> None:
    kms, key, material = aws.customer_client("kms"), aws.create_key(Origin="EXTERNAL"), secrets.token_bytes(32)
    first = import_key_material(kms, key, material)
    blob = kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]

    assert kms.delete_imported_key_material(KeyId=key)["KeyMaterialId"] == first

    refused = catch_error_with_status(kms.decrypt, CiphertextBlob=blob)
    assert refused == ("KMSInvalidStateException", 400, f"{key} is pending import.")
    with pytest.raises(kms.exceptions.IncorrectKeyMaterialException):
        import_key_material(kms, key, secrets.token_bytes(32))
    assert import_key_material(kms, key, material) == first
    assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"ImportToken": b"made up"}, "InvalidImportTokenException"),
        ({"EncryptedKeyMaterial": b"not wrapped"}, "InvalidCiphertextException"),
        ({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}, "NotImplemented"),
    ],
    ids=["token", "wrapping", "expiry"],
)
def test_invalid_import_is_refused(aws: AwsHarness, changed: dict[str, Any], code: str) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key(Origin="EXTERNAL")

    with pytest.raises(kms.exceptions.ClientError) as caught:
        import_key_material(kms, key, secrets.token_bytes(32), **changed)

    assert caught.value.response["Error"]["Code"] == code
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"


def test_material_is_imported_only_into_a_key_that_was_created_for_it(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key()

    assert catch_error_with_status(kms.delete_imported_key_material, KeyId=key)[0] == "UnsupportedOperationException"
    refused = catch_error_with_status(kms.get_parameters_for_import, KeyId=key, **WRAPPING)
    assert refused[0] == "UnsupportedOperationException"
    external = aws.create_key(Origin="EXTERNAL")
    other = WRAPPING | {"WrappingAlgorithm": "RSAES_PKCS1_V1_5"}
    assert catch_error_with_status(kms.get_parameters_for_import, KeyId=external, **other)[0] == "NotImplemented"


def test_key_without_its_material_stays_without_it_after_a_cancelled_deletion(aws: AwsHarness) -> None:
    kms, key = aws.customer_client("kms"), aws.create_key(Origin="EXTERNAL")
    import_key_material(kms, key, secrets.token_bytes(32))
    kms.schedule_key_deletion(KeyId=key)

    kms.delete_imported_key_material(KeyId=key)

    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingDeletion"
    kms.cancel_key_deletion(KeyId=key)
    assert kms.describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "PendingImport"


def test_explicit_deny_overrides_a_grant(aws: AwsHarness) -> None:
    deny = {"Sid": "No", "Effect": "Deny", "Principal": {"AWS": PLATFORM_ROLE_ARN}, "Action": "kms:*", "Resource": "*"}
    keys = (aws.create_key(), aws.create_key(deny))
    for key in keys:
        aws.customer_client("kms").create_grant(
            KeyId=key, GranteePrincipal=PLATFORM_ROLE_ARN, Operations=["DescribeKey"]
        )
    kms = aws.platform_client("kms")

    assert kms.describe_key(KeyId=keys[0])["KeyMetadata"]["Arn"] == keys[0]
    assert catch_error_with_status(kms.describe_key, KeyId=keys[1])[0] == "AccessDeniedException"
