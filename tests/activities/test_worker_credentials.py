"""If the worker's own credentials fail, byok never blames the customer's role or keys."""

from pathlib import Path

import boto3
import botocore.session
import pytest
from botocore.config import Config
from temporalio.exceptions import ApplicationError

from activities.clients import AwsClients
from activities.keys import KeyActivities
from activities.tenant import TenantActivities
from byok.domain.arns import KeyPurpose
from byok.domain.models import ReconcileKeyTask
from byok.domain.planning import plan_tenant
from byok.domain.problems.remediation import Remedy, RemedyContext, build_remediation
from localaws.accounts import OPERATOR_CREDENTIALS
from tests.activities.conftest import PLATFORM, ActivityHarness, parse_stop_problem
from tests.localaws.server import REGION, VENDOR
from tests.workflows.fake_activities import ROLE, build_tenant_request

UNASSUMABLE_ROLE = "arn:aws:iam::111122223333:role/unassumable"
ADVICE = build_remediation(Remedy.PLATFORM_CREDENTIALS, RemedyContext(REGION, PLATFORM.role_arn, VENDOR))


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


WAYS = [
    pytest.param(configure_refused_role_profile, "AssumeRole"),
    pytest.param(configure_refused_web_identity, "AssumeRoleWithWebIdentity"),
]


@pytest.fixture
def clients(
    harness: ActivityHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AwsClients:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    request.param(tmp_path, monkeypatch)
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
        harness.run_with_retries(TenantActivities(clients, PLATFORM).reconcile_key, task)

    problem = parse_stop_problem(caught.value)
    assert (problem.operation, problem.key, problem.remediation) == (operation, None, ADVICE)
    assert problem.code.startswith("credentials.")


@pytest.mark.parametrize(("clients", "operation"), WAYS, indirect=["clients"])
def test_credential_fault_is_not_attributed_to_the_key(
    harness: ActivityHarness, clients: AwsClients, operation: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(KeyActivities(clients, PLATFORM).probe_s3_key, harness.plan.environment)

    problem = parse_stop_problem(caught.value)
    assert (problem.operation, problem.key, problem.remediation) == (operation, None, ADVICE)
