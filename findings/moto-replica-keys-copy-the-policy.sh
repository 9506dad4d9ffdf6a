#!/usr/bin/env bash
# Finding: in moto, a replica of a multi-Region KMS key gets the primary key's policy. In AWS, the replica gets the
# default policy, which grants access only to the key's own account. moto also accepts a second replica in a Region.
#
# Versions: moto 5.2.5, boto3 1.44.5. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: a multi-Region key whose policy contains a statement for a role in another account. The script calls
# ReplicateKey twice, without a policy.
# policy of the replica: contains the statement for the role in the other account
# second call:           succeeds
#
# Expected: botocore's model of ReplicateKey says that KMS attaches the default policy if the call specifies no policy,
# that related keys do not share a policy, and that the call can fail with AlreadyExistsException. We found no issue
# about the policy or about the second replica. Pull request 7924 of getmoto/moto, which was merged, was meant to
# prevent the second replica.
#
# Affected: tests of a second Region with keys from another account. These tests pass even if the code never sets the
# replica's policy, but in AWS, the first call that uses the replica is denied.
# Exits with 0 while moto behaves this way, and with 1 once one of the two behaviours changes.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check 'moto[kms]==5.2.5' boto3==1.44.5 2> /dev/null

cat > replica.py << 'PYTHON'
import json
import sys

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

PARTNER = "arn:aws:iam::444455556666:role/platform"
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"}
        for principal in ("arn:aws:iam::123456789012:root", PARTNER)
    ],
}


def client(region: str) -> object:
    return boto3.client("kms", region_name=region, aws_access_key_id="none", aws_secret_access_key="none")


with mock_aws():
    primary, second = client("eu-central-1"), client("eu-west-1")
    key_id = primary.create_key(MultiRegion=True, Policy=json.dumps(POLICY))["KeyMetadata"]["KeyId"]
    primary.replicate_key(KeyId=key_id, ReplicaRegion="eu-west-1")
    copied = PARTNER in second.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]
    try:
        primary.replicate_key(KeyId=key_id, ReplicaRegion="eu-west-1")
        repeated = "succeeds"
    except ClientError as error:
        repeated = error.response["Error"]["Code"]
print("the replica's policy names the role of the other account:", copied)
print("a second replica in the same Region:", repeated)
sys.exit(0 if (copied, repeated) == (True, "succeeds") else 1)
PYTHON
tools/bin/python replica.py
