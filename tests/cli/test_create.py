"""`byok create`: input that is refused before a workflow starts, and the output while an environment is created."""

import json
from pathlib import Path

import pytest

from byok.domain.arns import KeyPurpose
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Encryption, OnFailure, Phase
from byok.service.errors import EnvironmentConflictError, NoWorkerError, TemporalUnreachableError
from byok.service.pending import Pause, PendingStep
from tests.cli.conftest import Run
from tests.cli.fakes import BEGAN, RDS_KEY, REGION, S3_KEY, FakeService, make_problem, make_status

OPTIONS = ("--name", "acme", "--region", REGION, "--s3-key-arn", S3_KEY, "--rds-key-arn", RDS_KEY)
EXAMPLE = Path(__file__).parents[2] / "examples" / "environment.json"
STOPPED = (Phase.VALIDATING_KEYS, Phase.CREATING_STORAGE, Phase.STOPPED)


def test_options_become_the_workflow_input(run: Run, service: FakeService) -> None:
    ended = run("create", *OPTIONS, "--on-failure", "rollback", "--key-grace-seconds", "0")
    assert ended.code == 0
    assert service.created == [
        ProvisionRequest(
            environment_id="acme",
            region=REGION,
            s3_key_arn=S3_KEY,
            rds_key_arn=RDS_KEY,
            on_failure=OnFailure.ROLLBACK,
            key_grace_seconds=0,
        )
    ]
    assert ended.out == ""
    assert "Accepted. Follow it with: byok status acme" in ended.err


def test_platform_managed_is_an_option_of_its_own(run: Run, service: FakeService) -> None:
    assert run("create", "--name", "acme", "--region", REGION, "--platform-managed").code == 0
    (asked,) = service.created
    assert (asked.encryption, asked.key_pair) == (Encryption.PLATFORM_MANAGED, None)  # contract 132
    mixed = run("create", *OPTIONS, "--platform-managed")
    assert mixed.code == 2
    assert "--s3-key-arn: must be left out with `encryption: platform-managed`" in mixed.err
    assert len(service.created) == 1


def test_file_is_the_workflow_input(run: Run, service: FakeService) -> None:
    assert run("create", "-f", str(EXAMPLE)).code == 0
    assert run("create", "-f", "-", stdin=EXAMPLE.read_text()).code == 0
    assert service.created == [ProvisionRequest.model_validate_json(EXAMPLE.read_text())] * 2


@pytest.mark.parametrize(
    ("phases", "key", "code"),
    [
        ((Phase.VALIDATING_KEYS, Phase.READY), None, 0),
        (STOPPED, KeyPurpose.S3, 3),
        (STOPPED, KeyPurpose.RDS, 3),
        (STOPPED, None, 1),
    ],
)
def test_exit_code_depends_on_the_outcome(
    run: Run, service: FakeService, phases: tuple[Phase, ...], key: KeyPurpose | None, code: int
) -> None:
    found = (make_problem(key),) if phases is STOPPED else ()
    service.statuses = [make_status(phases[0]), make_status(*phases, problems=found)]
    assert run("create", *OPTIONS, "--wait").code == code
    assert run("create", *OPTIONS, "--wait", "-o", "json").code == code
    assert run("status", "acme").code == code
    assert run("status", "acme", "-o", "json").code == code


def test_stop_shows_the_aws_error_and_the_remedy(run: Run, service: FakeService) -> None:
    service.statuses = [make_status(*STOPPED[:2]), make_status(*STOPPED, problems=(make_problem(),))]
    ended = run("create", *OPTIONS, "--wait")
    for said in (
        "acme stopped in CREATING_STORAGE.\n\n  The S3 key is disabled\n",
        "s3.KMS.DisabledException",
        f"AWS said    {S3_KEY} is disabled.",
        "operation   PutObject",
        f"S3 key ARN  {S3_KEY}",
        "7A62C49F347FC4E8",
        f"\n     aws kms enable-key --key-id {S3_KEY}\n",  # on a separate line, ready to paste
    ):
        assert said in ended.out
    assert [line.split()[2] for line in ended.out.splitlines() if line[:1].isdigit()] == list(STOPPED)


def test_pending_activity_is_reported_once(run: Run, service: FakeService) -> None:
    waiting = [
        PendingStep(activity="probe_s3_key", attempt=count, since=BEGAN, last_failure="no", last_problem=make_problem())
        for count in (2, 3)
    ]
    service.statuses = [
        *(make_status(Phase.VALIDATING_KEYS, pending=(item,)) for item in waiting),
        make_status(Phase.VALIDATING_KEYS, Phase.READY),
    ]
    ended = run("create", *OPTIONS, "--wait")
    assert ended.out.count("checking the S3 key") == 1
    assert "attempt 2: PutObject failed with s3.KMS.DisabledException" in ended.out


@pytest.mark.parametrize(
    "options",
    [
        (),
        (
            "-o",
            "json",
        ),
    ],
)
def test_pause_is_reported_once_with_its_author_and_reason(
    run: Run, service: FakeService, options: tuple[str, ...]
) -> None:
    paused = PendingStep(
        activity="ensure_cluster", since=BEGAN, paused=Pause(since=BEGAN, by="ops@host", reason="AWS outage")
    )
    waiting = make_status(Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER, pending=(paused,))
    ready = make_status(Phase.VALIDATING_KEYS, Phase.CREATING_CLUSTER, Phase.READY)
    service.statuses = [waiting, waiting, ready]
    ended = run("create", *OPTIONS, "--wait", *options)
    told = ended.err if options else ended.out
    assert told.count("creating the cluster: paused in Temporal since ") == 1
    assert " by ops@host (AWS outage)" in told


def test_json_output_is_the_whole_status_and_nothing_else(run: Run, service: FakeService) -> None:
    service.statuses = [make_status(*STOPPED, problems=(make_problem(),))]
    content = run("create", *OPTIONS, "--wait", "-o", "json").json
    assert {
        *("environment_id", "phase", "problem", "problems", "timeline", "resources", "evidence"),
        *("workflow_id", "run_id", "pending"),
    } <= content.keys()
    assert content["problem"] == content["problems"][0] == json.loads(make_problem().model_dump_json())
    assert [entry["phase"] for entry in content["timeline"]] == list(STOPPED)
    assert content["resources"] == {"cluster": None, "writer": None, "buckets": []}


@pytest.mark.parametrize(
    ("s3", "rds", "code"),
    [
        ("alias/mine", RDS_KEY, "arn.AliasNotAllowed"),
        (S3_KEY, S3_KEY, "arn.SameKeyTwice"),
        (S3_KEY.replace(REGION, "us-east-1"), RDS_KEY, "arn.OtherRegion"),
        ("nonsense", RDS_KEY, "arn.Malformed"),
    ],
)
def test_invalid_arn_is_refused_and_nothing_starts(  # contract 81-84, 115, D7
    run: Run, service: FakeService, s3: str, rds: str, code: str
) -> None:
    asked = ("create", "--name", "acme", "--region", REGION, "--s3-key-arn", s3, "--rds-key-arn", rds)
    ended = run(*asked, "-o", "json")
    assert ended.code == 2
    assert ended.json["problem"]["code"] == code
    assert ended.json["problems"][0] == ended.json["problem"]
    assert (ended.json["environment_id"], ended.json["phase"]) == ("acme", None)
    shown = run(*asked)
    assert (shown.code, shown.out) == (2, "")
    assert shown.err.startswith("error: Nothing was started")
    assert code in shown.err
    assert service.created == []


def test_findings_of_both_keys_are_reported_together(run: Run, service: FakeService) -> None:  # contract 7
    keys = ("--s3-key-arn", "alias/one", "--rds-key-arn", "alias/two")
    ended = run("create", "--name", "acme", "--region", REGION, *keys, "-o", "json")
    assert [item["key"] for item in ended.json["problems"]] == ["s3", "rds"]


def test_key_in_the_platforms_account_is_refused_if_the_role_is_known(  # contract 124
    run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BYOK_PLATFORM_ROLE_ARN", "arn:aws:iam::444455556666:role/Platform")
    ended = run("create", *OPTIONS, "-o", "json")
    assert ended.code == 2
    assert {item["code"] for item in ended.json["problems"]} == {"arn.PlatformAccount"}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not valid JSON"),
        ("[]", "must be an object"),
        ('{"region": "eu-central-1"}', "environment_id: missing"),
        ('{"zz": 1}', "zz: no such field"),
        ('{"s3_key_arn": 5}', "s3_key_arn: must be text"),
        ('{"environment_id": "UPPER"}', "environment_id: must be at most 32 lower-case letters"),
        ('{"key_grace_seconds": 301}', "key_grace_seconds: must be less than or equal to 300"),
    ],
)
def test_invalid_file_is_refused_with_file_and_field(
    run: Run, service: FakeService, tmp_path: Path, content: str, said: str
) -> None:
    file = tmp_path / "request.json"
    file.write_text(content)
    ended = run("create", "-f", str(file))
    assert (ended.code, ended.out) == (2, "")
    assert str(file) in ended.err
    assert said in ended.err
    assert run("create", "-f", str(file), "-o", "json").json["error"]["code"] == "byok.InvalidInput"
    assert service.created == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--name", "acme"), "Missing: --region, --s3-key-arn, --rds-key-arn."),
        ((*OPTIONS[2:], "--name", "Not Good"), "--name: must be at most 32 lower-case letters"),
        ((*OPTIONS, "--region", "Mars"), "--region: not an AWS Region"),
        ((*OPTIONS, "-f", str(EXAMPLE)), "leave out --name, --region, --s3-key-arn, --rds-key-arn"),
        (("-f", "nowhere.json"), "Cannot read nowhere.json"),
        ((*OPTIONS, "--key-grace-seconds", "301"), "--key-grace-seconds: must be"),
        ((*OPTIONS, "--on-failure", "explode"), "'explode' is not one of"),
        (("--nme", "acme"), "--nme: no such option"),
    ],
)
def test_wrong_usage_names_the_option_and_starts_nothing(
    run: Run, service: FakeService, arguments: tuple[str, ...], said: str
) -> None:
    ended = run("create", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert service.created == []


@pytest.mark.parametrize(
    "error",
    [
        EnvironmentConflictError("on_failure is keep, not rollback"),
        TemporalUnreachableError("Cannot reach the Temporal server"),
        NoWorkerError("no worker takes it"),
    ],
)
def test_service_error_is_reported_and_fails(run: Run, service: FakeService, error: Exception) -> None:
    service.refuse = error
    ended = run("create", *OPTIONS)
    assert (ended.code, ended.out) == (1, "")
    assert str(error) in ended.err
    content = run("create", *OPTIONS, "-o", "json").json
    help_url = f"/docs/problems/{error.code}"  # type: ignore[attr-defined]
    assert content == {"error": {"code": error.code, "message": str(error), "help_url": help_url}}  # type: ignore[attr-defined]


def test_repeated_request_is_reported_as_known(run: Run, service: FakeService) -> None:
    service.started = False
    ended = run("create", *OPTIONS)
    assert ended.code == 0
    assert "was already requested" in ended.err


def test_request_without_a_worker_is_accepted_with_a_warning(run: Run, service: FakeService) -> None:
    service.polling = False
    ended = run("create", *OPTIONS)
    assert ended.code == 0
    assert "No worker is polling the task queue" in ended.err


def test_invalid_settings_are_named(run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYOK_NONSENSE", "1")
    ended = run("create", *OPTIONS)
    assert ended.code == 2
    assert "Invalid settings: unknown: BYOK_NONSENSE" in ended.err


@pytest.mark.parametrize("command", ["create", "check"])
def test_region_that_is_not_in_use_is_refused_if_the_regions_are_set_here(
    run: Run, service: FakeService, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("BYOK_REGIONS", f"{REGION},us-east-1")
    far = [arn.replace(REGION, "us-west-2") for arn in (S3_KEY, RDS_KEY)]
    options = ("--name", "acme", "--region", "us-west-2", "--s3-key-arn", far[0], "--rds-key-arn", far[1])

    refused = run(command, *options, "-o", "json")

    assert (refused.code, refused.json["problem"]["code"]) == (2, "byok.RegionNotInUse")
    assert f"{REGION}, us-east-1 (BYOK_REGIONS)" in refused.json["problem"]["message"]
    assert (service.created, service.checked) == ([], [])


def test_create_of_a_ready_environment_says_ready(run: Run, service: FakeService) -> None:
    service.started, service.polling = False, False
    service.statuses = [make_status(Phase.VALIDATING_KEYS, Phase.READY)]
    ended = run("create", *OPTIONS)
    assert ended.code == 0
    assert "acme is READY." in ended.err
    assert "Accepted" not in ended.err
    assert "provisioning begins" not in ended.err
