#!/usr/bin/env bash
# Finding: if s3path renames or removes a folder in S3, it does the same to every folder and object whose name begins
# with the folder's name, such as acme-eu for acme. The renamed objects lose the KMS key that is configured for them.
#
# Versions: s3path 0.6.5, smart_open 9.0.2, boto3 1.44.5, moto 5.2.5. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: acme/acme.csv, acme/data.csv, acme-eu/data.csv and globex/data.csv in a bucket for which a KMS key is
# configured with register_configuration_parameter.
#   iterdir, rglob on the folder acme/     only the two objects of acme/
#   rename, replace acme/ to archive/      archive/archive.csv, archive/data.csv, archive-eu/data.csv; no KMS key
#   rmdir acme/                            only globex/data.csv remains
#   rename of acme/data.csv, write_text    the right object, with the KMS key
#   touch                                  the right object, without the KMS key
#
# Expected: rename and rmdir affect the objects that iterdir and rglob list. The name of the folder changes, and the
# names in the folder stay. All objects that s3path writes have the configured key, because the documentation says that
# the configuration applies to each path in the bucket. S3 encrypts a copy without a key with the bucket's default key.
# The documentation of rename mentions key prefixes, but not folders with similar names. Issue 205 of liormizr/s3path is
# about the removal of folders that are not empty. We found no issue about folders with similar names or about the key.
#
# Affected: programs that keep a folder for each customer. If they remove or rename one customer's folder, they also
# remove or move other customers' objects, without an error. Renamed objects no longer have the customer's key.
# Exits with 0 while s3path behaves this way, and with 1 once it changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check \
  s3path==0.6.5 smart_open==9.0.2 boto3==1.44.5 'moto[s3]==5.2.5' 2> /dev/null

cat > folders.py << 'PYTHON'
from collections.abc import Callable
from typing import Any

import boto3
from moto import mock_aws
from s3path import S3Path, register_configuration_parameter

REGION, BUCKET = "eu-central-1", "customers"
KEY = f"arn:aws:kms:{REGION}:111122223333:key/11111111-1111-4111-8111-111111111111"
OBJECTS = ["acme-eu/data.csv", "acme/acme.csv", "acme/data.csv", "globex/data.csv"]
WRITES = ["CopyObject", "CreateMultipartUpload", "PutObject"]


@mock_aws
def run(act: Callable[[S3Path], Any]) -> tuple[list[str], list[str]]:
    """Act on the folder acme, and return the objects in the bucket and the keys that the last writes ask for."""
    keys: list[str] = []

    def note_key(params: dict[str, Any], **_: object) -> None:
        keys.append("key" if params.get("SSEKMSKeyId") == KEY else "no key")

    resource = boto3.resource("s3", REGION)
    s3 = resource.meta.client
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    encryption = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY}
    register_configuration_parameter(S3Path(f"/{BUCKET}/"), resource=resource, parameters=encryption)
    for name in OBJECTS:
        S3Path(f"/{BUCKET}/{name}").write_text("x")
    for operation in WRITES:
        s3.meta.events.register(f"provide-client-params.s3.{operation}", note_key)
    act(S3Path(f"/{BUCKET}/acme/"))
    return [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]], keys


def check_listing(acme: S3Path) -> None:
    assert sorted(acme.iterdir()) == sorted(acme.rglob("*")) == [acme / "acme.csv", acme / "data.csv"]


archive = f"/{BUCKET}/archive/"
seen = {
    "iterdir, rglob": run(check_listing),
    "rename folder": run(lambda acme: acme.rename(archive)),
    "replace folder": run(lambda acme: acme.replace(archive)),
    "rmdir": run(lambda acme: acme.rmdir()),
    "rename file": run(lambda acme: (acme / "data.csv").rename(archive + "data.csv")),
    "write_text": run(lambda acme: (acme / "data.csv").write_text("x")),
    "touch": run(lambda acme: (acme / "data.csv").touch()),
}
for title, (objects, keys) in seen.items():
    print(f"{title}:", *objects, "|", *keys)
renamed = ["archive-eu/data.csv", "archive/archive.csv", "archive/data.csv", "globex/data.csv"]
expected = {
    "iterdir, rglob": (OBJECTS, []),
    "rename folder": (renamed, ["no key"] * 3),
    "replace folder": (renamed, ["no key"] * 3),
    "rmdir": (["globex/data.csv"], []),
    "rename file": (["acme-eu/data.csv", "acme/acme.csv", "archive/data.csv", "globex/data.csv"], ["key"]),
    "write_text": (OBJECTS, ["key"]),
    "touch": (OBJECTS, ["key", "no key"]),  # a multipart upload that is aborted, and then the object
}
raise SystemExit(0 if seen == expected else 1)
PYTHON
env -u AWS_PROFILE AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example tools/bin/python -W ignore folders.py
