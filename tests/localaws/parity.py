"""A platform account and a customer account, either in the local AWS emulator or, with `--aws real`, in real AWS.

With real AWS, the tests use the AWS profiles `platform` (a session of the platform role) and `byok` (a key
administrator in another account). After each test, the fixture schedules the keys for deletion and removes the buckets.
"""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from byok.domain.iam.statements import Statement, build_rds_key_statements, build_s3_key_statements
from localaws.accounts import PLATFORM_ROLE_ARN
from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT
from tests.localaws.server import REGION, VENDOR, AwsHarness

OTHER_REGION = "eu-west-1"
Clients = Callable[..., Any]


@dataclass
class TwoAccounts:
    """Clients for both accounts, and the resources that must be cleaned up.

    Attributes:
        platform_client: A function that builds a client for the platform role, given a service and optionally a Region.
        customer_client: A function that builds a client for the customer's key administrator, also given a service and
            optionally a Region.
        real: Whether the accounts are in real AWS, where a database takes minutes to create.
    """

    platform_client: Clients
    customer_client: Clients
    role_arn: str
    customer_account: str
    real: bool
    region: str = REGION
    keys: list[tuple[str, str]] = field(default_factory=list)
    buckets: list[tuple[Any, str]] = field(default_factory=list)

    def create_key(
        self, *statements: Statement, region: str = REGION, policy: dict[str, Any] | None = None, **params: Any
    ) -> str:
        """Create a customer key with the given policy, or with AWS's default policy plus the given statements."""
        if policy is None:
            policy = build_default_policy(self.customer_account, region)
            policy["Statement"] += statements
        made = self.customer_client("kms", region).create_key(Policy=json.dumps(policy), **params)
        arn: str = made["KeyMetadata"]["Arn"]
        self.keys.append((region, arn))
        return arn

    def create_bucket(self, s3: Any) -> str:
        """Create a bucket with the given client, and return the bucket's name."""
        name = f"byok-parity-{uuid.uuid4().hex[:16]}"
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": self.region})
        self.buckets.append((s3, name))
        return name

    def build_s3_statements(self) -> list[Statement]:
        """Build the statement that the policy of an S3 key needs."""
        return build_s3_key_statements(self.role_arn, self.region, VENDOR)

    def build_rds_statements(self) -> list[Statement]:
        """Build the two statements that the policy of an Aurora key needs."""
        return build_rds_key_statements(self.role_arn, self.region, VENDOR)

    def clean_up(self) -> None:
        """Remove the buckets, and schedule the keys for deletion."""
        for s3, bucket in self.buckets:
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])
            s3.delete_bucket(Bucket=bucket)
        for region, arn in self.keys:
            kms = self.customer_client("kms", region)
            if kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] != "PendingDeletion":
                kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)


@pytest.fixture
def accounts(request: pytest.FixtureRequest) -> Iterator[TwoAccounts]:
    """Two accounts, in the local AWS emulator or in real AWS."""
    if request.config.getoption("--aws") == "local":
        aws: AwsHarness = request.getfixturevalue("aws")
        # Do not clean up: the platform role is not allowed to delete arbitrary objects, and the local AWS emulator
        # needs no clean-up.
        yield TwoAccounts(aws.platform_client, aws.customer_client, PLATFORM_ROLE_ARN, CUSTOMER_ACCOUNT, real=False)
        return
    platform, customer = boto3.Session(profile_name="platform"), boto3.Session(profile_name="byok")
    session = platform.client("sts").get_caller_identity()["Arn"].split(":")
    both = TwoAccounts(
        platform_client=lambda service, region=REGION: platform.client(service, region),
        customer_client=lambda service, region=REGION: customer.client(service, region),
        role_arn=f"arn:{session[1]}:iam::{session[4]}:role/{session[5].split('/')[1]}",
        customer_account=customer.client("sts").get_caller_identity()["Account"],
        real=True,
    )
    yield both
    both.clean_up()
