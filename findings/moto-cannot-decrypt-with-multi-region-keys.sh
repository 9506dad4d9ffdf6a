#!/usr/bin/env bash
# Finding: moto cannot decrypt anything that it has encrypted under a multi-Region KMS key, in any Region.
#
# Versions: moto 5.2.5, boto3 1.44.5. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: ciphertexts from Encrypt and GenerateDataKey, and a Decrypt call for each ciphertext in the same Region.
# single-Region key   the key id has 36 characters; moto decrypts both ciphertexts
# multi-Region key    the key id is mrk- and 36 more characters; AccessDeniedException with an empty message
#
# Expected: moto decrypts the ciphertexts of both keys. In AWS, the id of a multi-Region key is mrk- followed by 32
# hexadecimal digits, so it has 36 characters (KMS developer guide, "Multi-Region keys in AWS KMS"). moto generates a
# longer id, but writes only the first 36 characters into the ciphertext. Decrypt then looks for a key that does not
# exist. The exception looks like a missing permission. We found no issue about this.
#
# Affected: tests of code that uses replicas, or encryption SDKs with multi-Region keys, and tests that check
# the format of a key id.
# Exits with 0 while moto behaves this way, and with 1 once moto decrypts the ciphertexts.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check 'moto[kms]==5.2.5' boto3==1.44.5 2> /dev/null

cat > keys.py << 'PYTHON'
import sys

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws


def decrypt(kms: object, ciphertext: bytes) -> str:
    try:
        return kms.decrypt(CiphertextBlob=ciphertext)["Plaintext"] and "decrypted"
    except ClientError as error:
        return error.response["Error"]["Code"]


seen = {}
with mock_aws():
    kms = boto3.client(
        "kms", region_name="eu-central-1", aws_access_key_id="none", aws_secret_access_key="none"
    )
    for multi_region in (False, True):
        key_id = kms.create_key(MultiRegion=multi_region)["KeyMetadata"]["KeyId"]
        encrypted = kms.encrypt(KeyId=key_id, Plaintext=b"acme")["CiphertextBlob"]
        data_key = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")["CiphertextBlob"]
        seen[multi_region] = (len(key_id), decrypt(kms, encrypted), decrypt(kms, data_key))
        print("multi-Region" if multi_region else "single-Region", seen[multi_region])
expected = {
    False: (36, "decrypted", "decrypted"),
    True: (40, "AccessDeniedException", "AccessDeniedException"),
}
sys.exit(0 if seen == expected else 1)
PYTHON
tools/bin/python keys.py
