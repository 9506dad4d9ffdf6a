#!/usr/bin/env bash
# Finding: an obstore store with a KMS key asks S3 for this key in all that it writes itself, but its signed URLs for
# uploads do not contain the key. S3 then encrypts the upload with the bucket's default key.
#
# Versions: obstore 0.12.1, boto3 1.44.5. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: S3Store(aws_server_side_encryption="aws:kms", aws_sse_kms_key_id=KEY), and a server that records the requests.
#   put, copy                        headers x-amz-server-side-encryption and ...-aws-kms-key-id
#   PUT with the URL of sign()       neither of the headers, and the URL signs only the header host
#   boto3's generate_presigned_url   the URL signs both headers, so the uploader must send them
#
# Expected: the URL signs the headers of the store's encryption, or sign() rejects PUT for such a store. The uploader
# cannot add the headers: S3 rejects x-amz- headers that a URL does not sign (AWS, "Authenticating Requests: Using Query
# Parameters"). We found no issue about this; issue 270 of apache/arrow-rs-object-store, which obstore is built on, is
# about the header Content-Type.
#
# Affected: services that hand out signed URLs for direct uploads, and keep each customer's objects under the customer's
# key in a common bucket: the uploads get the wrong key, or fail if the bucket's policy requires the right one.
# Exits with 0 while obstore behaves this way, and with 1 once the URL contains the key, or sign() rejects it.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check obstore==0.12.1 boto3==1.44.5 2> /dev/null

cat > uploads.py << 'PYTHON'
import os
import sys
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from urllib.request import Request, urlopen

import boto3
import obstore
from obstore.store import S3Store

REGION, BUCKET = "eu-central-1", "shared"
KEY = f"arn:aws:kms:{REGION}:111122223333:key/11111111-1111-4111-8111-111111111111"
ENCRYPTION = {"x-amz-server-side-encryption": "aws:kms", "x-amz-server-side-encryption-aws-kms-key-id": KEY}
COPIED = b"<CopyObjectResult><ETag>&quot;1&quot;</ETag></CopyObjectResult>"
requests = {}


class Recorder(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        """Record the headers that ask for encryption."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        name = urlsplit(self.path).path.rpartition("/")[2]
        requests[name] = {each: self.headers[each] for each in ENCRYPTION if each in self.headers}
        body = COPIED if "x-amz-copy-source" in self.headers else b""
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def read_signed_headers(url: str) -> list[str]:
    return parse_qs(urlsplit(url).query)["X-Amz-SignedHeaders"][0].split(";")


server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
store = S3Store(
    BUCKET,
    endpoint=address,
    region=REGION,
    client_options={"allow_http": True},
    aws_server_side_encryption="aws:kms",
    aws_sse_kms_key_id=KEY,
)
obstore.put(store, "put", b"x", use_multipart=False)
obstore.copy(store, "put", "copy")
url = obstore.sign(store, "PUT", "signed", timedelta(hours=1))
urlopen(Request(url, data=b"x", method="PUT")).close()
for name, headers in requests.items():
    print(f"{name}:", *(headers or ["no header for the encryption"]))

s3 = boto3.client("s3", REGION, endpoint_url=address)
parameters = {"Bucket": BUCKET, "Key": "boto3", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
signed = {
    "obstore": read_signed_headers(url),
    "boto3": read_signed_headers(s3.generate_presigned_url("put_object", Params=parameters)),
}
for library, names in signed.items():
    print(f"{library} signs:", *names)

unchanged = requests == {"put": ENCRYPTION, "copy": ENCRYPTION, "signed": {}}
unchanged &= signed == {"obstore": ["host"], "boto3": ["host", *ENCRYPTION]}
sys.stdout.flush()
os._exit(0 if unchanged else 1)
PYTHON
env -u AWS_PROFILE AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example tools/bin/python -W ignore uploads.py
