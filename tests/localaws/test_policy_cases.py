"""The offline check and the local AWS emulator agree on every policy in the catalogue, for each provisioning call."""

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.arns import KeyPurpose
from byok.domain.iam.check.calls import PlatformPrincipal
from byok.domain.iam.check.report import check_policy
from localaws.accounts import PLATFORM_ROLE_ARN
from localaws.state import CUSTOMER_ACCOUNT, PLATFORM_ACCOUNT, STATE
from tests.localaws.server import REGION, AwsHarness
from tests.policy_cases import POLICY_CASES
from tests.policy_changes import Case
from tests.policy_context import VENDOR, PolicyContext

PLACE = PolicyContext(PLATFORM_ROLE_ARN, REGION, CUSTOMER_ACCOUNT)
ANOTHER_ROLE = "AnotherRole"


def create_key_with_policy(aws: AwsHarness, case: Case) -> str:
    """Create a key with a case's policy. If KMS no longer accepts the policy, write it directly into the state."""
    policy = case.build_policy(PLACE)
    if case.saved:
        made = aws.customer_client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]["Arn"]
        return str(made)
    with pytest.raises(ClientError, match="MalformedPolicyDocumentException"):
        aws.customer_client("kms").create_key(Policy=json.dumps(policy))
    arn = aws.create_key()
    STATE.keys[arn].add_revision(policy=policy)
    return arn


def get_error_code(use: Callable[[], object]) -> str | None:
    """Make a call, and return AWS's error code, or None if the call succeeds."""
    try:
        use()
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return None


def use_through_s3(aws: AwsHarness, arn: str) -> str | None:
    """Write and read an object, with and without an S3 Bucket Key. Return the error code, or None on success."""
    s3, bucket = aws.platform_client("s3"), f"{VENDOR.resource_prefix}-catalogue-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})

    def write_and_read() -> None:
        for bucket_key in (False, True):
            s3.put_object(
                Bucket=bucket,
                Key="a",
                Body=b"x",
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=arn,
                BucketKeyEnabled=bucket_key,
            )
            s3.get_object(Bucket=bucket, Key="a")

    return get_error_code(write_and_read)


def use_through_rds(aws: AwsHarness, arn: str) -> str | None:
    wanted: dict[str, Any] = {
        "DBClusterIdentifier": f"catalogue-{uuid.uuid4().hex[:12]}",
        "Engine": "aurora-postgresql",
        "MasterUsername": "byok",
        "MasterUserAuthenticationType": "iam-db-auth",
        "EnableIAMDatabaseAuthentication": True,
        "StorageEncrypted": True,
        "KmsKeyId": arn,
    }
    return get_error_code(lambda: aws.platform_client("rds").create_db_cluster(**wanted))


@pytest.mark.parametrize("case", [case for case in POLICY_CASES if case.stops is not None], ids=lambda case: case.name)
def test_check_and_local_aws_agree(aws: AwsHarness, case: Case) -> None:
    # Create the role that some policies name as their principal. KMS rejects a policy whose principal is a nonexistent
    # role in an account that the local AWS emulator models.
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{PLATFORM_ACCOUNT}:root"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    aws.operator_client("iam").create_role(RoleName=ANOTHER_ROLE, AssumeRolePolicyDocument=document)
    arn = create_key_with_policy(aws, case)

    if case.which is KeyPurpose.S3:
        answer, refusal = use_through_s3(aws, arn), "AccessDenied"
    else:
        answer, refusal = use_through_rds(aws, arn), "KMSKeyNotAccessibleFault"

    side = PlatformPrincipal(PLACE.role, REGION, arn, datetime.now(UTC))
    report = check_policy(case.build_policy(PLACE), case.which, side, VENDOR)
    assert answer == (refusal if case.stops else None)
    assert report.is_usable is not case.stops
