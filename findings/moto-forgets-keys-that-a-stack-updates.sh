#!/usr/bin/env bash
# Finding: if a CloudFormation stack in moto changes the policy or the rotation of a KMS key, the update completes, but
# the key stays as it was and leaves the stack. A new key is always a symmetric single-Region key.
#
# Versions: moto 5.2.5, boto3 1.44.5. Observed on 2026-11-30, Python 3.11, Linux x86_64.
# Input: stacks with resources of the type AWS::KMS::Key, which moto supports.
#   update of KeyPolicy or EnableKeyRotation  UPDATE_COMPLETE; the old policy, no rotation, a stack without the key
#   deletion of the stack after the update    the key stays; without the update, the deletion removes it
#   MultiRegion: true                         CREATE_COMPLETE; a single-Region key
#   KeySpec: RSA_2048, KeyUsage: SIGN_VERIFY  CREATE_COMPLETE; a key with SYMMETRIC_DEFAULT and ENCRYPT_DECRYPT
#
# Expected: the key has the properties of the template, and the update changes it in place, as AWS documents for
# AWS::KMS::Key; or moto reports what it does not support, as it does for resource types that it does not know. We found
# no issue about this.
#
# Affected: tests of templates and of stack updates. A test that waits for UPDATE_COMPLETE passes although the update
# has changed nothing, and a test of multi-Region keys or signing keys fails although the template is correct.
# Exits with 0 while moto behaves this way, and with 1 once it follows the template.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv tools
tools/bin/pip install --quiet --disable-pip-version-check 'moto[cloudformation,kms]==5.2.5' boto3==1.44.5 2> /dev/null

cat > stacks.py << 'PYTHON'
import json
from typing import Any

import boto3
from moto import mock_aws

REGION = "eu-central-1"
STACK = "keys"


def make_template(actions: str, **properties: Any) -> str:
    principal = {"AWS": "arn:aws:iam::123456789012:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": actions, "Resource": "*"}
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    key = {"Type": "AWS::KMS::Key", "Properties": {"KeyPolicy": policy, **properties}}
    return json.dumps({"Resources": {"Key": key}})


def read_stack() -> tuple[str, int]:
    """Return the status of the stack, and the number of resources that it names."""
    cloudformation = boto3.client("cloudformation", REGION)
    stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
    resources = cloudformation.list_stack_resources(StackName=STACK)["StackResourceSummaries"]
    return stack["StackStatus"], sum(each["LogicalResourceId"] == "Key" for each in resources)


def count_keys() -> int:
    return len(boto3.client("kms", REGION).list_keys()["Keys"])


@mock_aws
def update(after: str | None) -> list[object]:
    """Create a stack with a key, update it if asked to, and delete it."""
    cloudformation, kms = boto3.client("cloudformation", REGION), boto3.client("kms", REGION)
    cloudformation.create_stack(StackName=STACK, TemplateBody=make_template("kms:*", EnableKeyRotation=False))
    key_id = kms.list_keys()["Keys"][0]["KeyId"]
    if after is not None:
        cloudformation.update_stack(StackName=STACK, TemplateBody=after)
    policy = kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]
    policy = json.loads(policy) if isinstance(policy, str) else policy
    rotates = kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"]
    seen = [*read_stack(), policy["Statement"][0]["Action"], rotates]
    cloudformation.delete_stack(StackName=STACK)
    return [*seen, count_keys()]


@mock_aws
def create(**properties: Any) -> list[object]:
    """Create a stack with a key, and read what the key is from what KMS can do with it."""
    boto3.client("cloudformation", REGION).create_stack(
        StackName=STACK, TemplateBody=make_template("kms:*", **properties)
    )
    kms = boto3.client("kms", REGION)
    key_id = kms.list_keys()["Keys"][0]["KeyId"]
    kms.put_key_policy(  # the policy of a template breaks DescribeKey in moto
        KeyId=key_id, PolicyName="default", Policy=json.dumps({"Version": "2012-10-17", "Statement": []})
    )
    key = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    return [read_stack()[0], key["MultiRegion"], key["KeySpec"], key["KeyUsage"]]


seen = {
    "no update": update(None),
    "policy updated": update(make_template("kms:Describe*", EnableKeyRotation=False)),
    "rotation updated": update(make_template("kms:*", EnableKeyRotation=True)),
    "multi-Region": create(MultiRegion=True),
    "signing": create(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY"),
}
for title, values in seen.items():
    print(title, "->", values)
unchanged = ["UPDATE_COMPLETE", 0, "kms:*", False, 1]
symmetric = ["CREATE_COMPLETE", False, "SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"]
expected = {
    "no update": ["CREATE_COMPLETE", 1, "kms:*", False, 0],
    "policy updated": unchanged,
    "rotation updated": unchanged,
    "multi-Region": symmetric,
    "signing": symmetric,
}
raise SystemExit(0 if seen == expected else 1)
PYTHON
env -u AWS_PROFILE AWS_ACCESS_KEY_ID=example AWS_SECRET_ACCESS_KEY=example tools/bin/python -W ignore stacks.py
