"""If the worker's own credentials fail, byok holds the environment and never blames the customer's role or keys."""

from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore.config import Config
from temporalio.exceptions import ApplicationError

from activities.clients import AwsClients
from activities.keys import KeyActivities
from activities.storage import StorageActivities
from activities.tenant import TenantActivities
from byok.domain.arns import KeyPurpose
from byok.domain.models import Problem, ReconcileKeyTask
from byok.domain.planning import plan_tenant
from localaws.accounts import OPERATOR_CREDENTIALS
from tests.activities.conftest import PLATFORM, ActivityHarness, make_clients
from tests.localaws.server import REGION
from tests.workflows.fake_activities import ROLE, build_tenant_request

UNASSUMABLE_ROLE = "arn:aws:iam::111122223333:role/unassumable"


def configure_refused_role_profile(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure an AWS profile with a role that the profile's source profile is not authorized to assume."""
    key, secret, *_ = OPERATOR_CREDENTIALS
    config = folder / "config"
    config.write_text(
        f"[profile worker]\nrole_arn = {UNASSUMABLE_ROLE}\nsource_profile = source\nregion = {REGION}\n"
        f"[profile source]\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "worker")


def configure_refused_web_identity(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configure the credentials of a pod whose service account is not authorized to assume the configured role."""
    token = folder / "token"
    token.write_text("a.b.c")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    monkeypatch.setenv("AWS_ROLE_ARN", UNASSUMABLE_ROLE)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "none"))
    monkeypatch.delenv("AWS_PROFILE", raising=False)


def assert_holds(error: ApplicationError, operation: str | None) -> None:
    """Check that the failure puts the environment on hold, and that the problem is not about a key (contract 151)."""
    assert not error.non_retryable
    assert error.next_retry_delay is not None
    problem = Problem.model_validate(error.details[0])
    assert (problem.operation, problem.key) == (operation, None)
    assert problem.held_since is not None
    assert error.message == (
        f"Holding since {problem.held_since:%Y-%m-%d %H:%M:%S} UTC: {problem.message} byok retries by itself."
    )


WAYS = [
    pytest.param(configure_refused_role_profile, "AssumeRole"),
    pytest.param(configure_refused_web_identity, "AssumeRoleWithWebIdentity"),
]


@pytest.fixture
def clients(
    harness: ActivityHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AwsClients:
    clear_credentials(tmp_path, monkeypatch)
    request.param(tmp_path, monkeypatch)
    return make_own_clients()


def clear_credentials(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all credentials that boto3 could find."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(folder / "none"))


def make_own_clients() -> AwsClients:
    """Build clients with a new session, which reads the environment variables again."""
    session = boto3.Session(botocore_session=botocore.session.Session(), region_name=REGION)
    return AwsClients(session, Config(retries={"total_max_attempts": 1}), PLATFORM.account)


@pytest.mark.parametrize(("clients", "operation"), WAYS, indirect=["clients"])
def test_credential_fault_is_not_attributed_to_the_tenant_role(
    harness: ActivityHarness, clients: AwsClients, operation: str
) -> None:
    environment = harness.plan.environment
    keys = {f"{which}_key_arn": environment.key_arn(which) for which in KeyPurpose}
    plan = plan_tenant(build_tenant_request(environment.environment_id, **keys), PLATFORM, harness.now)
    assert plan.tenant is not None
    task = ReconcileKeyTask(environment=environment, marks=plan.tenant.marks[0], role_arn=ROLE, repoint=False)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(TenantActivities(clients, PLATFORM).reconcile_key, task)

    assert_holds(caught.value, operation)


@pytest.mark.parametrize(("clients", "operation"), WAYS, indirect=["clients"])
def test_credential_fault_is_not_attributed_to_the_key(
    harness: ActivityHarness, clients: AwsClients, operation: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        harness.run_once(KeyActivities(clients, PLATFORM).probe_s3_key, harness.plan.environment)

    assert_holds(caught.value, operation)


def test_missing_credentials_hold(harness: ActivityHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clear_credentials(tmp_path, monkeypatch)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(KeyActivities(make_own_clients(), PLATFORM).probe_s3_key, harness.plan.environment)

    assert caught.value.type == "aws.NoCredentialsError"
    assert_holds(caught.value, None)


def test_worker_with_another_role_holds(harness: ActivityHarness) -> None:
    session = boto3.Session(*OPERATOR_CREDENTIALS, region_name=REGION)
    clients = AwsClients(session, Config(retries={"total_max_attempts": 1}), PLATFORM.account)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(KeyActivities(clients, PLATFORM).probe_s3_key, harness.plan.environment)

    assert caught.value.type == "s3.AccessDenied"
    assert "user/Operator is not authorized" in caught.value.message
    assert_holds(caught.value, "PutObject")


@pytest.mark.parametrize("operation", ["HeadBucket", "HeadObject"])
def test_expired_credentials_hold_even_if_a_head_call_hides_the_reason(
    harness: ActivityHarness, operation: str
) -> None:
    """S3's response to a HEAD request has no body, so only STS reports that the credentials have expired."""
    clients = make_clients()
    storage = StorageActivities(clients, PLATFORM)
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    expired = {
        "kind": "refuse",
        "code": "ExpiredToken",
        "message": "The security token included in the request is expired",
    }
    for service, call in (("s3", operation), ("sts", "GetCallerIdentity")):
        harness.aws.call_control("POST", "faults", service=service, operation=call, **expired)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(storage.ensure_bucket, harness.bucket_task())

    assert caught.value.type == "sts.ExpiredToken"
    assert_holds(caught.value, operation)


@pytest.mark.parametrize("operation", ["HeadBucket", "HeadObject"])
def test_bare_denial_of_a_head_call_is_no_hold_if_the_credentials_are_valid(
    harness: ActivityHarness, operation: str
) -> None:
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    harness.aws.call_control("POST", "faults", service="s3", operation=operation, kind="refuse")

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.storage.ensure_bucket, harness.bucket_task())

    assert caught.value.type == "s3.403"
    assert caught.value.non_retryable


def test_denial_of_another_principal_never_makes_a_bucket_foreign(harness: ActivityHarness) -> None:
    other = "User: arn:aws:sts::999988887777:assumed-role/Other/w is not authorized to perform: s3:GetBucketTagging"
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    denied = {"kind": "refuse", "code": "AccessDenied", "message": other}
    harness.aws.call_control("POST", "faults", service="s3", operation="GetBucketTagging", **denied)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.storage.ensure_bucket, harness.bucket_task())

    assert_holds(caught.value, "GetBucketTagging")
