"""Provision environments from every entry point, and with faults injected into every call."""

import asyncio
import json
from pathlib import Path

import pytest

from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from tests.e2e.conftest import BIN, StackHarness
from tests.requested_keys import keys_of

EVERY_CALL = {
    "s3": (
        *("PutObject", "GetObject", "DeleteObject", "HeadBucket", "CreateBucket", "HeadObject", "GetBucketEncryption"),
        *("PutPublicAccessBlock", "PutBucketOwnershipControls", "PutBucketEncryption", "PutBucketVersioning"),
        "PutBucketPolicy",
    ),
    "rds": ("DescribeDBClusters", "CreateDBCluster", "DescribeDBInstances", "CreateDBInstance"),
}


async def assert_ready_and_right(machine: StackHarness, request: ProvisionRequest) -> None:
    status = await machine.wait_until_ended(request.environment_id)
    assert status.phase is Phase.READY, status.problem
    assert [c["KmsKeyId"] for c in machine.list_environment_clusters(request.environment_id)] == [request.rds_key_arn]
    assert machine.list_environment_writers(request.environment_id) == [f"byok-{request.environment_id}-writer"]
    assert len(machine.list_environment_buckets(request.environment_id)) == len(status.resources.buckets) >= 2
    assert status.evidence is not None
    assert {bucket.key_arn for bucket in status.evidence.buckets} == {request.s3_key_arn}  # contract 98


async def test_command_line_waits_until_ready(machine: StackHarness) -> None:
    request = machine.build_request()
    keys = keys_of(request)

    finished = await machine.run_program(
        *("byok", "create", "--name", request.environment_id, "--region", request.region),
        *("--s3-key-arn", keys.s3_key_arn, "--rds-key-arn", keys.rds_key_arn, "--wait", "-o", "json"),
    )

    assert finished.code == 0, finished
    answer = finished.json
    assert answer["phase"] == "READY"
    assert answer["problem"] is None
    assert {"environment_id", "timeline", "resources", "evidence"} <= set(answer)
    assert answer["timeline"][0].keys() == {"phase", "entered_at"}
    assert answer["resources"]["cluster"]["arn"].startswith("arn:aws:rds:")
    await assert_ready_and_right(machine, request)


async def test_temporal_cli_starts_an_environment(machine: StackHarness, tmp_path: Path) -> None:
    example = json.loads((Path(__file__).parents[2] / "examples" / "environment.json").read_text())
    request = machine.build_request()
    example |= request.model_dump(mode="json", include={"environment_id", "s3_key_arn", "rds_key_arn", "region"})
    (tmp_path / "environment.json").write_text(json.dumps(example))

    finished = await machine.run_program(
        *("temporal", "workflow", "start", "--type", "ProvisionEnvironment", "--task-queue", "byok"),
        *("--workflow-id", f"environment/{request.environment_id}", "--input-file", str(tmp_path / "environment.json")),
    )

    assert finished.code == 0, finished
    await assert_ready_and_right(machine, request)


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ('{"environment_id": "acme", "region": "eu-central-1", "s3_key_arn": "a"}', "rds_key_arn: Field required"),
        ('{"environment_id": 7, "region": "eu-central-1", "s3_key_arn": "a", "rds_key_arn": "b"}', "environment_id"),
        ('{"environment_id": "acme", "colour": "red"}', "colour: Extra inputs"),
        ("[]", "an object"),
        ("{}", "environment_id: Field required"),
        (None, "takes 1 input"),
    ],
)
async def test_malformed_temporal_input_fails_and_names_the_field(
    machine: StackHarness, typed: str | None, named: str
) -> None:
    name = f"by-hand-{abs(hash(typed)) % 10**8}"
    given = () if typed is None else ("--input", typed)
    await machine.run_program(
        *("temporal", "workflow", "start", "--type", "ProvisionEnvironment", "--task-queue", "byok"),
        *("--workflow-id", f"environment/{name}", *given),
    )

    status = await machine.wait_until_ended(name, seconds=5)

    assert status.phase is Phase.STOPPED
    assert status.problem is not None
    assert named in status.problem.message


async def test_temporal_rejects_invalid_json(machine: StackHarness) -> None:
    finished = await machine.run_program(
        *("temporal", "workflow", "start", "--type", "ProvisionEnvironment", "--task-queue", "byok"),
        *("--workflow-id", "environment/no-json", "--input", "{acme"),
    )

    assert finished.code != 0


@pytest.mark.parametrize("kind", ["throttle", "error500", "timeout", "lose_answer"])
async def test_faults_at_every_call_still_lead_to_ready(machine: StackHarness, kind: str) -> None:
    for service, operations in EVERY_CALL.items():
        for operation in operations:
            machine.aws.call_control("POST", "faults", service=service, operation=operation, kind=kind)
    requests = [machine.build_request() for _ in range(3)]  # the faults are spread across these environments

    await asyncio.gather(*(machine.service.create(request) for request in requests))

    for request in requests:
        await assert_ready_and_right(machine, request)
    assert machine.aws.call_control("GET", "faults")["faults"] == []


async def test_killed_worker_loses_nothing(machine: StackHarness) -> None:
    request = machine.build_request()
    machine.aws.call_control("POST", "faults", service="rds", operation="CreateDBCluster", kind="lose_answer")
    machine.aws.call_control("POST", "faults", service="s3", operation="CreateBucket", kind="delay", seconds=1)
    await machine.service.create(request)
    async for status in machine.service.watch_status(request.environment_id):
        if status.phase is Phase.CREATING_STORAGE:
            break

    await machine.stack.restart_worker(kill=True)

    await assert_ready_and_right(machine, request)


async def test_repeated_request_creates_one_environment(machine: StackHarness) -> None:
    request = machine.build_request()

    both = await asyncio.gather(machine.service.create(request), machine.service.create(request))

    assert [creation.started for creation in both].count(True) == 1
    await assert_ready_and_right(machine, request)


async def test_short_commands_exit_cleanly(machine: StackHarness) -> None:
    request = machine.build_request()
    await machine.provision(request)
    at_once = asyncio.Semaphore(3)

    async def status() -> int:
        async with at_once:
            return (await machine.run_program("byok", "status", request.environment_id, "-o", "json")).code

    assert await asyncio.gather(*(status() for _ in range(8))) == [0] * 8


async def test_no_secret_enters_a_history(machine: StackHarness) -> None:
    request = machine.build_request()
    await machine.provision(request)

    shown = await machine.run_program(
        "temporal", "workflow", "show", "--workflow-id", f"environment/{request.environment_id}", "--output", "json"
    )

    assert "ensure_cluster" in shown.out
    for secret in ("local-platform-secret", "AWS4-HMAC", "SecretAccessKey", "MasterUserPassword"):
        assert secret not in shown.out


async def test_doctor_passes_on_a_working_stack(machine: StackHarness) -> None:
    finished = await machine.run_program("byok", "doctor", "-o", "json")

    assert finished.code == 0, finished


def test_programs_are_installed_from_packages() -> None:
    assert (BIN / "temporal").exists()
