"""byok creates an organisation's environments in a session that has the organisation's tag.

The tag prevents the confused deputy problem: in this session, AWS denies the use of any other
organisation's keys.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from temporalio.exceptions import ApplicationError

from activities import clients as aws_clients
from activities.aws_errors import find_service_and_rule, mark_own_session_error
from activities.clients import AwsClients
from activities.organisation_sessions import TaggedRole, build_tagged_session
from byok.domain.arns import KeyPurpose
from byok.domain.iam.statements import StatementParameters, build_key_statements
from byok.domain.models import AccountRequest, ProvisionRequest
from byok.domain.planning import plan_environment
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.vendor import VendorProfile
from localaws.accounts import PLATFORM_ROLE_ARN, PLATFORM_ROLE_NAME
from localaws.state import CUSTOMER_ACCOUNT
from tests.activities.conftest import PLATFORM, ActivityHarness, make_clients, parse_stop_problem
from tests.localaws.server import REGION, AwsHarness
from tests.remedy_text import text_of

VENDOR = VendorProfile(organisation_session_tag=True)
TAGGING = replace(PLATFORM, vendor=VENDOR)


class TaggingHarness(ActivityHarness):
    """Runs the activities with session tags turned on; by default, both key policies require acme's tag."""

    def __init__(self, aws: AwsHarness) -> None:
        super().__init__(aws, replace(make_clients(), tagged_role=TaggedRole(PLATFORM_ROLE_ARN, REGION)))
        self.keys = replace(self.keys, platform=TAGGING)
        self.database = replace(self.database, platform=TAGGING)
        self.storage = replace(self.storage, platform=TAGGING)

    def make_plan(self, organisation: str | None, *, keys_of: str | None = "acme") -> None:
        """Plan an environment of the organisation.

        Both key policies require a session tag with the organisation `keys_of`, which can be a different organisation.
        """
        grantee = StatementParameters.for_platform_role(PLATFORM_ROLE_ARN, REGION, keys_of)
        arns = {
            f"{which}_key_arn": self.aws.create_key(*build_key_statements(which, grantee, VENDOR))
            for which in KeyPurpose
        }
        values = {"environment_id": f"{organisation or 'own'}-prod", "region": REGION, "key_grace_seconds": 0}
        if organisation is not None:
            account = AccountRequest(organisation=organisation, account=CUSTOMER_ACCOUNT)
            self.run_with_retries(self.accounts.register_account, account)
        request = ProvisionRequest.model_validate({**values, "organisation": organisation, **arns})
        self.plan = plan_environment(request, TAGGING, datetime.now(UTC), "this-run")

    def count_sessions(self) -> int:
        return self.aws.list_calls("sts").count("AssumeRole")


@pytest.fixture
def tagging(aws: AwsHarness, monkeypatch: pytest.MonkeyPatch) -> TaggingHarness:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    return TaggingHarness(aws)


def test_environment_of_the_right_organisation_is_created(tagging: TaggingHarness) -> None:
    tagging.make_plan("acme")
    tagging.provision_environment()
    assert tagging.count_sessions() == 1, "all activities share the organisation's session"


def test_environment_of_the_vendor_needs_no_tag(tagging: TaggingHarness) -> None:
    tagging.make_plan(None, keys_of=None)
    tagging.provision_environment()
    assert tagging.count_sessions() == 0


@pytest.mark.parametrize("organisation", ["globex", None])
def test_keys_of_another_organisation_are_refused_by_aws(tagging: TaggingHarness, organisation: str | None) -> None:
    tagging.make_plan(organisation)
    refused: dict[KeyPurpose, tuple[Any, Any, str]] = {
        KeyPurpose.S3: (tagging.keys.probe_s3_key, tagging.plan.environment, "s3.AccessDenied"),
        KeyPurpose.RDS: (tagging.database.ensure_cluster, tagging.database_task, "rds.KMSKeyNotAccessibleFault"),
    }
    for which, (activity, given, code) in refused.items():
        with pytest.raises(ApplicationError) as caught:
            tagging.run_with_retries(activity, given)
        problem = parse_stop_problem(caught.value)
        assert (problem.code, problem.key) == (code, which), "the customer's key policy is at fault"
        sid = {KeyPurpose.S3: VENDOR.s3_access_sid, KeyPurpose.RDS: VENDOR.rds_grants_sid}[which]
        assert f'"Sid": "{sid}"' in text_of(problem.remediation)
        if organisation:
            assert f'"aws:PrincipalTag/organisation": "{organisation}"' in text_of(problem.remediation)


def test_role_that_does_not_trust_itself_is_the_platforms_problem(tagging: TaggingHarness) -> None:
    tagging.make_plan("acme")
    trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "%s"}, "Action": "%s"}]}'
    tagging.aws.operator_client("iam").update_assume_role_policy(
        RoleName=PLATFORM_ROLE_NAME, PolicyDocument=trust % (PLATFORM_ROLE_ARN, "sts:AssumeRole")
    )

    with pytest.raises(ApplicationError) as caught:
        tagging.run_with_retries(tagging.keys.probe_s3_key, tagging.plan.environment)

    problem = parse_stop_problem(caught.value)
    assert (problem.code, problem.operation, problem.key) == ("sts.AccessDenied", "AssumeRole", None)
    assert "sts:TagSession" in text_of(problem.remediation)
    assert "tenant-role" not in text_of(problem.remediation)


def test_worker_with_another_identity_holds() -> None:
    """The worker's credentials are at fault, not the trust policy of the platform role (contract 151)."""
    other = f"arn:aws:sts::{PLATFORM.account}:assumed-role/another/worker"
    message = f"User: {other} is not authorized to perform: sts:AssumeRole on resource: {PLATFORM_ROLE_ARN}"
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": message}}, "AssumeRole")
    mark_own_session_error(error)

    service, rule = find_service_and_rule(error, platform_role_arn=PLATFORM_ROLE_ARN)

    assert (service, rule.outcome) == ("sts", ErrorOutcome.HOLD)


def test_threads_share_one_session_per_organisation(tagging: TaggingHarness) -> None:
    def call(number: int) -> Any:
        return tagging.clients.on_behalf_of(f"org{number % 3}").s3(REGION).list_buckets()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(call, range(60)))

    assert tagging.count_sessions() == 3


@pytest.mark.parametrize(("minutes_left", "sessions"), [(16, 1), (14, 2)])
def test_session_is_renewed_a_quarter_of_an_hour_before_it_expires(
    tagging: TaggingHarness, minutes_left: int, sessions: int
) -> None:
    class ShorterSessions:
        """An STS client whose sessions expire sooner than the real STS allows."""

        def assume_role(self, **asked: Any) -> dict[str, Any]:
            taken = tagging.clients.sts(REGION).assume_role(**asked)["Credentials"]
            return {"Credentials": {**taken, "Expiration": datetime.now(UTC) + timedelta(minutes=minutes_left)}}

    session = build_tagged_session(PLATFORM_ROLE_ARN, "acme", ShorterSessions)  # type: ignore[arg-type]
    s3: Any = session.create_client("s3", region_name=REGION)
    s3.list_buckets()
    s3.list_buckets()

    assert tagging.count_sessions() == sessions


def test_only_the_organisations_used_last_are_kept(tagging: TaggingHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_clients, "MAX_ORGANISATIONS", 2)
    acme, globex = (tagging.clients.on_behalf_of(name) for name in ("acme", "globex"))
    assert tagging.clients.on_behalf_of("acme") is acme
    tagging.clients.on_behalf_of("initech")
    assert tagging.clients.on_behalf_of("acme") is acme
    assert tagging.clients.on_behalf_of("globex") is not globex


def test_without_session_tags_every_organisation_uses_the_workers_own_session(harness: ActivityHarness) -> None:
    plain: AwsClients = harness.clients
    assert plain.on_behalf_of("acme") is plain
