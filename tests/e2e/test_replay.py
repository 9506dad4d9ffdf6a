"""A replay after a stop and a fix does not repeat completed work. A cancelled environment reports its resources."""

import asyncio
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType

from byok.contracts import environment_workflow_id
from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.models import ProvisionRequest
from byok.domain.phases import Phase
from byok.local.programs import PROGRAMS_ROOT
from byok.service.errors import KeyCannotChangeError
from byok.service.status import EnvironmentStatus
from tests.e2e.conftest import BIN, StackHarness
from tests.key_faults import create_valid_key
from tests.requested_keys import keys_of

LIFECYCLE = (PROGRAMS_ROOT / "docs" / "lifecycle.md").read_text()
READS = ("Describe", "Get", "Head", "List")
WRITTEN_FOR_NOTHING = 20.0
"""Maximum duration of a replay in seconds, excluding the wait for the database. A replay that waits for a grace period
or a poll interval would take 30 seconds longer.
"""


async def wait_until(fact: Callable[[], bool], seconds: float = 30) -> None:
    async def look() -> None:
        while not await asyncio.to_thread(fact):  # noqa: ASYNC110 - AWS sends no signal
            await asyncio.sleep(0.05)

    await asyncio.wait_for(look(), seconds)


def list_writes(machine: StackHarness, request: ProvisionRequest) -> list[tuple[str, str]]:
    """List the write calls that AWS has carried out for an environment on behalf of the platform."""
    ours = (request.environment_id, *(parse_key_arn(arn).key_id for arn in keys_of(request).arns))
    return [
        (call["operation"], json.dumps(call["params"], sort_keys=True))
        for call in machine.aws.call_control("GET", "calls")["calls"]
        if call["outcome"] == "ok"
        and "/AtaccamaPlatform/" in call["caller"]
        and not call["operation"].startswith(READS)
        and any(name in str(call["params"]) for name in ours)
    ]


async def wait_until_call_held(machine: StackHarness) -> None:
    await wait_until(lambda: machine.aws.call_control("GET", "held")["held"] != [])


def is_writer_available(machine: StackHarness, environment_id: str) -> bool:
    instances = machine.aws.operator_client("rds").describe_db_instances()["DBInstances"]
    states = {one["DBInstanceIdentifier"]: one["DBInstanceStatus"] for one in instances}
    return states.get(f"byok-{environment_id}-writer") == "available"


async def create_and_break_key_at(
    machine: StackHarness, request: ProvisionRequest, break_it: Callable[[], object], **fault: Any
) -> EnvironmentStatus:
    """Create an environment, break a key while the given call is held, and return the stopped environment's status."""
    machine.aws.call_control("POST", "faults", **{"kind": "hold_call", **fault})
    await machine.service.create(request)
    await wait_until_call_held(machine)
    if fault["service"] == "s3":  # let the database become available now, so that the replay does not have to wait
        await wait_until(lambda: is_writer_available(machine, request.environment_id))
    else:
        async for status in machine.service.watch_status(request.environment_id):
            if status.phase is Phase.AWAITING_DATABASE:
                break
    await asyncio.to_thread(break_it)
    machine.aws.call_control("DELETE", "held")
    status = await machine.wait_until_ended(request.environment_id)
    assert status.phase is Phase.STOPPED
    return status


def build_second_object_filter(request: ProvisionRequest) -> dict[str, Any]:
    """Return a filter that matches the call that writes the second object in the second bucket."""
    return {"service": "s3", "operation": "PutObject", "about": f"-{request.environment_id}-quality-", "after_calls": 1}


async def measure_replay_seconds(machine: StackHarness, environment_id: str) -> tuple[float, float]:
    """Return the duration of the last run after its reset, and the part of that time spent waiting for the database."""
    handle = machine.service.client.get_workflow_handle(environment_workflow_id(environment_id))
    events = (await handle.fetch_history()).events
    reset = next(
        event
        for event in reversed(events)
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
        and event.workflow_task_failed_event_attributes.new_run_id
    )
    waits = {
        event.event_id: event.event_time.ToDatetime()
        for event in events
        if event.event_id > reset.event_id
        and event.activity_task_scheduled_event_attributes.activity_type.name in {"ensure_writer", "await_writer"}
    }
    waited = sum(
        (event.event_time.ToDatetime() - waits[done]).total_seconds()
        for event in events
        if (done := event.activity_task_completed_event_attributes.scheduled_event_id) in waits
    )
    return (events[-1].event_time.ToDatetime() - reset.event_time.ToDatetime()).total_seconds(), waited


@dataclass(frozen=True)
class BrokenKeyCase:
    """A fault that breaks a key when provisioning is almost complete."""

    name: str
    which: KeyPurpose
    code: str
    break_it: Callable[[Any, str], object]
    mend_it: Callable[[Any, str, str], object]


def put_foreign_role_in_policy(kms: Any, arn: str) -> None:
    policy = kms.get_key_policy(KeyId=arn)["Policy"]
    kms.put_key_policy(KeyId=arn, Policy=policy.replace("111122223333:role", "999988887777:role"))


CASES = [
    BrokenKeyCase(
        "disabled S3 key",
        KeyPurpose.S3,
        "s3.KMS.DisabledException",
        lambda kms, arn: kms.disable_key(KeyId=arn),
        lambda kms, arn, _: kms.enable_key(KeyId=arn),
    ),
    BrokenKeyCase(
        "policy without its statement",
        KeyPurpose.S3,
        "s3.AccessDenied",
        put_foreign_role_in_policy,
        lambda kms, arn, policy: kms.put_key_policy(KeyId=arn, Policy=policy),
    ),
    BrokenKeyCase(
        "disabled Aurora key",
        KeyPurpose.RDS,
        "rds.inaccessible-encryption-credentials-recoverable",
        lambda kms, arn: kms.disable_key(KeyId=arn),
        lambda kms, arn, _: kms.enable_key(KeyId=arn),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_replay_after_the_fix_repeats_no_write_and_is_quick(machine: StackHarness, case: BrokenKeyCase) -> None:
    request, kms = machine.build_request(), machine.aws.customer_client("kms")
    arn = dict(keys_of(request).items())[case.which]
    policy = kms.get_key_policy(KeyId=arn)["Policy"]
    looked = {"service": "rds", "operation": "DescribeDBClusters", "about": request.environment_id, "after_calls": 1}
    fault = build_second_object_filter(request) if case.which is KeyPurpose.S3 else looked
    stopped = await create_and_break_key_at(machine, request, lambda: case.break_it(kms, arn), **fault)
    assert stopped.problem is not None
    assert (stopped.problem.code, stopped.problem.key_arn) == (case.code, arn)
    before = list_writes(machine, request)

    case.mend_it(kms, arn, policy)
    if case.which is KeyPurpose.RDS:  # the remedy tells the operator to start the cluster
        machine.aws.operator_client("rds").start_db_cluster(DBClusterIdentifier=f"byok-{request.environment_id}")
    finished = await machine.run_program("byok", "replay", request.environment_id, "--wait", "-o", "json")

    assert finished.code == 0, finished
    assert finished.json["phase"] == "READY"
    after = list_writes(machine, request)
    assert after[: len(before)] == before
    left = after[len(before) :]
    assert left
    assert not set(left) & set(before), "a successful write was repeated"
    took, waited = await measure_replay_seconds(machine, request.environment_id)
    assert took - (waited if case.which is KeyPurpose.RDS else 0) < WRITTEN_FOR_NOTHING
    assert (
        len(machine.list_environment_clusters(request.environment_id))
        == len(machine.list_environment_writers(request.environment_id))
        == 1
    )


async def test_replay_with_corrected_arns_continues_with_them(machine: StackHarness) -> None:
    request = machine.build_request(
        s3_key_arn=machine.aws.create_key(), rds_key_arn=machine.aws.create_key()
    )  # keys without the platform's statements
    stopped = await machine.provision(request)
    assert stopped.phase is Phase.STOPPED
    right = {which: create_valid_key(machine.aws, which) for which in KeyPurpose}

    half = await machine.run_program(
        "byok", "replay", request.environment_id, "--s3-key-arn", right[KeyPurpose.S3], "--wait"
    )
    assert half.code == 3, half  # the S3 key is valid now, but the Aurora key is not
    assert f"byok replay {request.environment_id} --rds-key-arn <RDS key ARN>" in half.out
    payload = json.dumps({"S3KmsKeyArn": right[KeyPurpose.S3], "RdsKmsKeyArn": right[KeyPurpose.RDS]})
    whole = await machine.run_program(
        "byok", "replay", request.environment_id, "--payload", payload, "--wait", "-o", "json"
    )

    assert whole.code == 0, whole
    assert {bucket["key_arn"] for bucket in whole.json["evidence"]["buckets"]} == {right[KeyPurpose.S3]}
    assert [one["KmsKeyId"] for one in machine.list_environment_clusters(request.environment_id)] == [
        right[KeyPurpose.RDS]
    ]
    again = await machine.run_program("byok", "replay", request.environment_id, "-o", "json")
    assert (again.code, again.json["error"]["code"]) == (1, "byok.NotReplayable")
    assert "Nothing to replay" in again.err


def parse_last_number(text: str) -> str:
    return str(re.findall(r"\d+", text)[-1])


async def test_manual_reset_continues_a_stop_and_a_key_in_use_cannot_change(machine: StackHarness) -> None:
    request, kms = machine.build_request(), machine.aws.customer_client("kms")
    name = request.environment_id
    await create_and_break_key_at(
        machine, request, lambda: kms.disable_key(KeyId=request.s3_key_arn), **build_second_object_filter(request)
    )

    other = create_valid_key(machine.aws, KeyPurpose.RDS)
    refused = await machine.run_program("byok", "replay", name, "--rds-key-arn", other, "-o", "json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "byok.KeyCannotChange")
    assert refused.json["error"]["message"].startswith(
        f"The cluster byok-{name} is encrypted with {request.rds_key_arn}"
    )
    with pytest.raises(KeyCannotChangeError, match=f"The bucket byok-{name}-catalog-"):  # contract 8
        await machine.service.replay(name, s3_key_arn=create_valid_key(machine.aws, KeyPurpose.S3))

    # Read the commands from docs/lifecycle.md, "Replay manually", and insert this environment's values.
    failed, scheduled, reset = re.findall(r"^\$ (temporal workflow .*globex.*)$", LIFECYCLE, re.MULTILINE)
    step = parse_last_number(await run_shell(machine, failed.replace("globex", name)))
    task = parse_last_number(
        await run_shell(machine, re.sub(r"\[\d+\]", f"[{step}]", scheduled).replace("globex", name))
    )
    before = list_writes(machine, request)
    kms.enable_key(KeyId=request.s3_key_arn)
    await run_shell(machine, re.sub(r"-e \d+", f"-e {task}", reset).replace("globex", name))

    assert (await machine.wait_until_ended(name)).phase is Phase.READY
    assert not set(list_writes(machine, request)[len(before) :]) & set(before)


async def run_shell(machine: StackHarness, command: str) -> str:
    """Run a command from docs/lifecycle.md, check that it succeeds, and return its output."""
    process = await asyncio.create_subprocess_exec(
        *("bash", "-c", command),
        env={**os.environ, **machine.stack.environment, "PATH": f"{BIN}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, command
    return out.decode()


@pytest.mark.parametrize("on_failure", ["keep", "rollback"])
async def test_cancelled_environment_reports_its_resources(machine: StackHarness, on_failure: str) -> None:
    request = machine.build_request(on_failure=on_failure)
    name = request.environment_id
    where = {"service": "s3", "operation": "PutBucketPolicy", "about": f"-{name}-catalog-"}
    machine.aws.call_control("POST", "faults", kind="hold_answer", **where)
    await machine.service.create(request)
    await wait_until_call_held(machine)

    assert (await machine.run_program("byok", "cancel", name)).code == 0
    machine.aws.call_control("DELETE", "held")
    status = await machine.wait_until_ended(name)

    assert status.problem is not None
    assert (status.phase, status.problem.code, status.left_behind) == (Phase.STOPPED, "byok.Cancelled", ())
    there = (len(machine.list_environment_clusters(name)), len(machine.list_environment_buckets(name)))
    assert there == ((1, 1) if on_failure == "keep" else (0, 0))
    told = (status.resources.cluster is not None, len(status.resources.buckets))
    assert told == (bool(there[0]), there[1])
