#!/usr/bin/env bash
# Finding: Powertools' data masking cannot decrypt in another Region with the replica of the multi-Region KMS key that
# encrypted the data. Powertools does not call KMS, and its error asks for a valid key ARN, although the ARN is valid.
#
# Versions: aws-lambda-powertools 3.37.0, aws-encryption-sdk 4.0.7, boto3 1.44.5. Observed on 2026-11-30, Python 3.11,
# Linux x86_64.
# Input: data that AWSEncryptionSDKProvider encrypted with a multi-Region key in eu-central-1, and a KMS server that
# accepts both ARNs of this key.
#   decrypt, keys=[the key in eu-central-1]    the data; KMS is called in eu-central-1
#   decrypt, keys=[its replica in eu-west-1]   DataMaskingDecryptKeyError, "... using a valid Symmetric AWS KMS Key ARN,
#                                              not KMS Key ID or alias."; KMS is not called
#   decrypt, keys=[replica, key]               the data; KMS is called in eu-central-1, never in eu-west-1
#   AWS Encryption SDK, provider for
#   multi-Region keys, [replica]               the data; KMS is called in eu-west-1
#
# Expected: the replica decrypts the data, as it does in KMS and with the provider for multi-Region keys of the AWS
# Encryption SDK, which Powertools is built on; or the error and the documentation say that Powertools compares whole
# ARNs. The documentation requires only a symmetric KMS key. We found no issue about this.
#
# Affected: applications that replicate data and the key to a second Region for a failover. The data that the first
# Region wrote cannot be read in the second Region while KMS in the first Region is unreachable.
# Exits with 0 while Powertools behaves this way, and with 1 once the replica decrypts the data or the error changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check \
  'aws-lambda-powertools[datamasking]==3.37.0' aws-encryption-sdk==4.0.7 boto3==1.44.5 2> /dev/null

cat > replica.py << 'PYTHON'
import base64
import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

logging.disable()
PRIMARY, REPLICA = (
    f"arn:aws:kms:{region}:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
    for region in ("eu-central-1", "eu-west-1")
)
DATA = {"note": "confidential"}
regions: list[str] = []


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


class Kms(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Generate or decrypt a data key, with either ARN of the multi-Region key."""
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert request["KeyId"] in (PRIMARY, REPLICA)
        regions.append(request["KeyId"].split(":")[3])
        plaintext = encode(bytes(32))
        answer = {"KeyId": request["KeyId"], "Plaintext": plaintext}
        if self.headers["X-Amz-Target"].endswith("GenerateDataKey"):
            answer["CiphertextBlob"] = encode(b"the encrypted data key")
        else:
            assert request["CiphertextBlob"] == encode(b"the encrypted data key")
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


server = ThreadingHTTPServer(("127.0.0.1", 0), Kms)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["AWS_ENDPOINT_URL_KMS"] = f"http://127.0.0.1:{server.server_port}"

from aws_encryption_sdk import EncryptionSDKClient  # noqa: E402
from aws_encryption_sdk.key_providers.kms import MRKAwareStrictAwsKmsMasterKeyProvider  # noqa: E402
from aws_lambda_powertools.utilities.data_masking import DataMasking  # noqa: E402
from aws_lambda_powertools.utilities.data_masking.provider.kms.aws_encryption_sdk import (  # noqa: E402
    AWSEncryptionSDKProvider,
)


def decrypt_with_powertools(*keys: str) -> Any:
    return DataMasking(provider=AWSEncryptionSDKProvider(keys=list(keys))).decrypt(encrypted)


def decrypt_with_sdk(*keys: str) -> Any:
    provider = MRKAwareStrictAwsKmsMasterKeyProvider(key_ids=keys)
    return json.loads(EncryptionSDKClient().decrypt(source=base64.b64decode(encrypted), key_provider=provider)[0])


def run(decrypt: Callable[..., Any], *keys: str) -> tuple[Any, list[str]]:
    """Decrypt the data, and return the result and the Regions in which KMS was called."""
    regions.clear()
    try:
        result = decrypt(*keys)
    except Exception as error:
        result = f"{type(error).__name__}: {error}"
    return result, list(regions)


encrypted = DataMasking(provider=AWSEncryptionSDKProvider(keys=[PRIMARY])).encrypt(DATA)
seen = {
    "Powertools, key": run(decrypt_with_powertools, PRIMARY),
    "Powertools, replica": run(decrypt_with_powertools, REPLICA),
    "Powertools, replica and key": run(decrypt_with_powertools, REPLICA, PRIMARY),
    "AWS Encryption SDK, replica": run(decrypt_with_sdk, REPLICA),
}
for title, (result, called) in seen.items():
    print(f"{title}: {result}; KMS called in {called or 'no Region'}")
refused = (
    "DataMaskingDecryptKeyError: Failed to decrypt data - Please ensure you are using a valid Symmetric AWS KMS Key "
    "ARN, not KMS Key ID or alias."
)
expected = {
    "Powertools, key": (DATA, ["eu-central-1"]),
    "Powertools, replica": (refused, []),
    "Powertools, replica and key": (DATA, ["eu-central-1"]),
    "AWS Encryption SDK, replica": (DATA, ["eu-west-1"]),
}
sys.stdout.flush()
os._exit(0 if seen == expected else 1)
PYTHON
env -u AWS_PROFILE AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example AWS_DEFAULT_REGION=eu-central-1 \
  tools/bin/python -W ignore replica.py
