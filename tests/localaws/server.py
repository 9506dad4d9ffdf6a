"""The local AWS emulator, which runs in the test process, and clients for both accounts."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config

from byok.domain.iam.statements import Statement, build_rds_key_statements, build_s3_key_statements
from byok.domain.vendor import VendorProfile
from localaws.accounts import CUSTOMER_CREDENTIALS, OPERATOR_CREDENTIALS, PLATFORM_CREDENTIALS, PLATFORM_ROLE_ARN
from localaws.app import LocalAws, create_server
from localaws.kms.policies import build_default_policy
from localaws.state import CUSTOMER_ACCOUNT

REGION = "eu-central-1"
Credentials = tuple[str, str] | tuple[str, str, str]

VENDOR = VendorProfile()
EXTERNAL_ID = "the-vendors-word"


@dataclass(frozen=True)
class AwsHarness:
    """The local AWS emulator, with clients for each of its users."""

    endpoint: str

    def platform_client(self, service: str, region: str = REGION, **config: Any) -> Any:
        """Return a client with the credentials of the platform role."""
        return self._client(service, region, PLATFORM_CREDENTIALS, config)

    def operator_client(self, service: str, region: str = REGION, **config: Any) -> Any:
        """Return a client with the credentials of the platform account's administrator."""
        return self._client(service, region, OPERATOR_CREDENTIALS, config)

    def customer_client(self, service: str, region: str = REGION, **config: Any) -> Any:
        """Return a client with the credentials of the customer's key administrator."""
        return self._client(service, region, CUSTOMER_CREDENTIALS, config)

    def call_control(self, method: str, name: str, **body: Any) -> dict[str, Any]:
        """Send a request to the control endpoint."""
        request = urllib.request.Request(
            f"{self.endpoint}/_localaws/{name}", json.dumps(body).encode() if body else None, method=method
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: dict[str, Any] = json.loads(answer.read())
            return content

    def list_calls(self, service: str | None = None) -> list[str]:
        """List the operations that have been called, in order."""
        return [
            call["operation"]
            for call in self.call_control("GET", "calls")["calls"]
            if service in {None, call["service"]}
        ]

    def create_key(self, *statements: Statement, region: str = REGION, **params: Any) -> str:
        """Create a customer key with AWS's default statement and these statements, and return the key's ARN."""
        policy = build_default_policy(CUSTOMER_ACCOUNT, region)
        policy["Statement"] += statements
        made = self.customer_client("kms", region).create_key(Policy=json.dumps(policy), **params)
        arn: str = made["KeyMetadata"]["Arn"]
        return arn

    def create_s3_key(self, region: str = REGION, **params: Any) -> str:
        """Create a valid S3 key, and return its ARN."""
        return self.create_key(*build_s3_key_statements(PLATFORM_ROLE_ARN, region, VENDOR), region=region, **params)

    def create_rds_key(self, region: str = REGION, **params: Any) -> str:
        """Create a valid Aurora key, and return its ARN."""
        return self.create_key(*build_rds_key_statements(PLATFORM_ROLE_ARN, region, VENDOR), region=region, **params)

    def create_customer_role(self, *statements: dict[str, Any], external_id: str = EXTERNAL_ID) -> str:
        """Create a role in the customer's account that the platform role may assume, and return the role's ARN."""
        iam, name = self.customer_client("iam"), "Reconciler"
        trust = {
            "Effect": "Allow",
            "Principal": {"AWS": PLATFORM_ROLE_ARN},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
        }
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
            iam.put_role_policy(RoleName=name, PolicyName="work", PolicyDocument=policy)
        arn: str = made["Role"]["Arn"]
        return arn

    def assumed_role_client(
        self, service: str, role_arn: str, external_id: str = EXTERNAL_ID, region: str = REGION, session: str = "worker"
    ) -> Any:
        """Return a client with the credentials of a role that the platform role has assumed."""
        taken = self.platform_client("sts").assume_role(
            RoleArn=role_arn, RoleSessionName=session, ExternalId=external_id
        )["Credentials"]
        credentials = (taken["AccessKeyId"], taken["SecretAccessKey"], taken["SessionToken"])
        return self._client(service, region, credentials, {})

    def _client(self, service: str, region: str, credentials: Credentials, config: dict[str, Any]) -> Any:
        return _client(self.endpoint, service, region, credentials, tuple(config.items()))


@cache
def _client(
    endpoint: str, service: str, region: str, credentials: Credentials, config: tuple[tuple[str, Any], ...]
) -> Any:
    """Build each client only once, because building one client takes longer than a hundred calls."""
    key_id, secret, token = (*credentials, None)[:3]
    return _session().client(
        service,  # type: ignore[call-overload]
        region_name=region,
        endpoint_url=endpoint,
        config=Config(retries={"total_max_attempts": 1}, **dict(config)),
        aws_access_key_id=key_id,
        aws_secret_access_key=secret,
        aws_session_token=token,
    )


@cache
def _session() -> boto3.Session:
    """Return one session for all accounts, because each new session would load botocore's service models again."""
    return boto3.Session()


@pytest.fixture(scope="session")
def aws_server() -> Iterator[AwsHarness]:
    """A server that all tests of a process share."""
    server = create_server(LocalAws(), "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield AwsHarness(f"http://127.0.0.1:{server.port}")
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def aws(aws_server: AwsHarness) -> AwsHarness:
    """The shared server, after a reset, with databases that become available almost immediately."""
    aws_server.call_control("POST", "reset")
    aws_server.call_control("POST", "settings", database_seconds=0.05, propagation_seconds=0)
    return aws_server
