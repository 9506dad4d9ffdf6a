"""`byok tenant`: the requests that it sends, its output and its exit codes."""

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.models import ReconciledKey, TenantOutcome
from byok.domain.phases import AliasOutcome, Phase
from byok.domain.remediation import Remediation, RemedyStep
from byok.service.errors import EnvironmentNotReadyError
from byok.service.pending import PendingStep
from tests.cli.conftest import Run
from tests.cli.fakes import BEGAN, RDS_KEY, REGION, S3_KEY, FakeService, make_problem, make_status

ROLE = ("--tenant-role-arn", "arn:aws:iam::444455556666:role/TenantRole")
CREATE = ("--name", "acme", "--region", REGION, "--s3-key-arn", S3_KEY, "--rds-key-arn", RDS_KEY)
ALIAS = "alias/ataccama-objectstorage-byok-encryption-key-alias-for-acme"


def make_outcome(state: AliasOutcome) -> TenantOutcome:
    key = ReconciledKey(
        key=KeyPurpose.S3,
        key_arn=S3_KEY,
        alias=ALIAS,
        alias_state=state,
        points_at="other-key" if state is AliasOutcome.CONFLICT else None,
        remediation=Remediation(
            title="The alias points elsewhere",
            steps=(RemedyStep(text="Move it.", command="byok tenant acme acme --repoint"),),
        )
        if state is AliasOutcome.CONFLICT
        else None,
        tags_written=() if state is AliasOutcome.CONFLICT else ("aatn", "ataccama:automation:TenantName"),
        tags_replaced={} if state is AliasOutcome.CONFLICT else {"aatn": "globex"},
        other_aliases=("alias/older",),
    )
    return TenantOutcome(tenant="acme", keys=(key,))


def test_tenant_without_a_role_prints_the_commands(run: Run, service: FakeService) -> None:
    ended = run("tenant", "acme", "acme")
    assert ended.code == 0
    assert "aws cloudformation deploy" in ended.out
    assert service.named[0].tenant_role_arn is None


def test_tenant_with_a_role_reports_the_result_for_each_key(run: Run, service: FakeService) -> None:
    service.tenant = make_outcome(AliasOutcome.CREATED)
    ended = run("tenant", "acme", "acme", *ROLE, "--repoint")
    assert ended.code == 0
    for text in (ALIAS, "created", "aatn (was globex), ataccama:automation:TenantName\n", "alias/older"):
        assert text in ended.out
    assert service.named[0].repoint
    assert run("tenant", "acme", "acme", *ROLE, "-o", "json").json["keys"][0]["alias_state"] == "created"


def test_conflict_exits_3_and_names_the_remedy(run: Run, service: FakeService) -> None:
    service.tenant = make_outcome(AliasOutcome.CONFLICT)
    ended = run("tenant", "acme", "acme", *ROLE)
    assert ended.code == 3
    assert "other-key" in ended.out
    assert "\n     byok tenant acme acme --repoint\n" in ended.out
    assert "tags not changed" in ended.out


@pytest.mark.parametrize(("key", "code"), [(KeyPurpose.S3, 3), (None, 1)])
def test_failed_key_is_reported_with_its_problem(
    run: Run, service: FakeService, key: KeyPurpose | None, code: int
) -> None:
    service.unnameable = (make_problem(key),)
    ended = run("tenant", "acme", "acme", *ROLE)
    assert ended.code == code
    assert make_problem(key).message in ended.out
    assert ended.out.rstrip().endswith("byok tenant acme acme")
    assert run("tenant", "acme", "acme", *ROLE, "-o", "json").json["problems"][0]["code"] == make_problem(key).code


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("acme", "a b"), "a space"),
        (("acme", "x" * 198), "197"),
        (("acme", "acme", "--tenant-role-arn", "me"), "--tenant-role-arn must be the full ARN"),
        (("acme", "acme", *ROLE, "--external-id", "acme-1"), "--external-id: no such option"),
        (("acme", "acme", "--commands-only", "--repoint"), "--commands-only changes nothing"),
        (("acme", "acme", "--commands-only", *ROLE), "--commands-only changes nothing"),
    ],
)
def test_invalid_options_are_refused_before_any_request(
    run: Run, service: FakeService, arguments: tuple[str, ...], words: str
) -> None:
    ended = run("tenant", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert service.named == []


def test_environment_that_is_not_ready_is_reported(run: Run, service: FakeService) -> None:
    service.refuse = EnvironmentNotReadyError("Environment acme is in CREATING_CLUSTER")
    ended = run("tenant", "acme", "acme")
    assert ended.code == 1
    assert "CREATING_CLUSTER" in ended.err


def test_create_accepts_a_tenant_and_its_role(run: Run, service: FakeService) -> None:
    keys = ("--s3-key-arn", S3_KEY, "--rds-key-arn", S3_KEY.replace("1" * 8, "2" * 8))
    assert run("create", "--name", "acme", "--region", REGION, *keys, "--tenant", "acme", *ROLE).code == 0
    assert service.created[0].tenant == "acme"
    assert service.created[0].tenant_role_arn is not None


def test_create_refuses_an_illegal_tenant_before_starting(run: Run, service: FakeService) -> None:
    keys = ("--s3-key-arn", S3_KEY, "--rds-key-arn", S3_KEY.replace("1" * 8, "2" * 8))
    ended = run("create", "--name", "acme", "--region", REGION, *keys, "--tenant", "a b", "-o", "json")
    assert ended.code == 2
    assert ended.json["problem"]["code"] == "tenant.IllegalName"
    assert service.created == []


def test_ready_environment_shows_its_tenant_result(run: Run, service: FakeService) -> None:
    service.statuses = [make_status(Phase.READY).model_copy(update={"tenant": make_outcome(AliasOutcome.IN_PLACE)})]
    ended = run("status", "acme", "--wait")
    assert ALIAS in ended.out
    assert ended.code == 0


@pytest.mark.parametrize(
    "arguments",
    [("status", "acme"), ("status", "acme", "--wait"), ("create", "--wait", *CREATE), ("tenant", "acme", "acme")],
)
def test_conflict_exits_3_in_every_command(run: Run, service: FakeService, arguments: tuple[str, ...]) -> None:
    service.tenant = make_outcome(AliasOutcome.CONFLICT)
    service.statuses = [make_status(Phase.READY).model_copy(update={"tenant": service.tenant})]
    ended = run(*arguments)
    assert ended.code == 3
    assert "byok tenant acme acme --repoint" in ended.out


def test_failed_attempt_is_shown_with_the_ready_environment(run: Run, service: FakeService) -> None:
    found = make_status(Phase.READY).model_copy(
        update={"tenant": make_outcome(AliasOutcome.IN_PLACE), "tenant_problems": (make_problem(KeyPurpose.S3),)}
    )
    service.statuses = [found]
    ended = run("status", "acme")
    assert ended.code == 0
    for text in (ALIAS, "The last attempt to set the tenant name on the keys stopped:", make_problem().message):
        assert text in ended.out
    assert run("status", "acme", "-o", "json").json["tenant_problems"][0]["code"] == make_problem().code


def test_stop_shows_the_result_of_the_other_key(run: Run, service: FakeService) -> None:
    stopped = make_status(Phase.STOPPED, problems=(make_problem(),))
    service.statuses = [stopped.model_copy(update={"tenant": make_outcome(AliasOutcome.CREATED)})]
    assert ALIAS in run("status", "acme").out


def test_commands_only_and_grace_period_reach_the_request(run: Run, service: FakeService) -> None:
    assert run("tenant", "acme", "acme", "--commands-only", "--key-grace-seconds", "7").code == 0
    assert (service.named[0].commands_only, service.named[0].key_grace_seconds) == (True, 7)


def test_pending_activity_is_reported_once_and_not_in_the_result(run: Run, service: FakeService) -> None:
    refused = PendingStep(activity="reconcile_key", attempt=2, since=BEGAN, last_failure="not authorized")
    service.waiting = (PendingStep(activity="reconcile_key", since=BEGAN), refused, refused)
    service.tenant = make_outcome(AliasOutcome.CREATED)
    ended = run("tenant", "acme", "acme", *ROLE, "-o", "json")
    assert ended.json["tenant"] == "acme"
    assert ended.err.count("Waiting: setting the tenant name: not authorized") == 1
    assert ended.err.count("Waiting") == 1
