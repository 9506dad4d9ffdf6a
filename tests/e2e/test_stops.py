"""If a key is broken, provisioning stops with AWS's message, a remedy and an exit code, and no resources remain."""

import asyncio
from typing import Any

import pytest
from temporalio.common import WorkflowIDReusePolicy

from byok.cli.follow import exit_code_for_status
from byok.cli.requests import as_json_dict
from byok.contracts import TASK_QUEUE, environment_workflow_id
from byok.domain.arns import KeyPurpose
from byok.domain.models import Problem
from byok.domain.phases import Phase
from tests.e2e.conftest import CommandResult, StackHarness
from tests.key_faults import KEY_FAULTS, KeyFault, create_valid_key
from tests.localaws.server import REGION
from workflows.provision_environment import ProvisionEnvironment

CASES = [(breakage, which) for breakage in KEY_FAULTS for which in KeyPurpose]
STOPPED_BY_A_KEY = 3
REFUSED = 2
TYPED = "disabled"
"""A fault that no ARN rule detects. The tests inject this fault into each of the two keys on the command line.

All other faults that no ARN rule detects are tested through `EnvironmentService`.
"""
AT_ONCE = asyncio.Semaphore(4)


async def run_create(machine: StackHarness, environment_id: str, s3_key_arn: str, rds_key_arn: str) -> CommandResult:
    keys = ("--s3-key-arn", s3_key_arn, "--rds-key-arn", rds_key_arn)
    async with AT_ONCE:
        return await machine.run_program(
            *("byok", "create", "--name", environment_id, "--region", REGION, *keys),
            *("--key-grace-seconds", "0", "--wait", "-o", "json"),
        )


def assert_problem_reported(problem: dict[str, Any], breakage: KeyFault, which: KeyPurpose, arn: str) -> None:
    assert problem["code"] == breakage.code_for(which)
    assert problem["message"]
    assert (problem["key"], problem["key_arn"]) == (which, arn)
    remedy = problem["remediation"]
    assert remedy["title"]
    assert remedy["steps"][-1]["retry"]
    assert not any("{" in one["text"] for one in remedy["steps"])


async def test_every_broken_key_stops_the_environment_and_says_why(machine: StackHarness) -> None:
    """On the command line, run only the two `TYPED` cases and the cases that the ARN rules reject.

    All other cases run through `EnvironmentService`.
    """
    assert TYPED in {breakage.name for breakage, _ in CASES}

    async def case(number: int, breakage: KeyFault, which: KeyPurpose) -> None:
        keys = {other: create_valid_key(machine.aws, other) for other in KeyPurpose}
        keys[which] = breakage.make(machine.aws, which)
        name = f"stop-{number}"

        if breakage.is_found_by_rule or breakage.name == TYPED:
            finished = await run_create(machine, name, keys[KeyPurpose.S3], keys[KeyPurpose.RDS])
            code, answer = finished.code, finished.json
        else:
            request = machine.build_request(
                environment_id=name, s3_key_arn=keys[KeyPurpose.S3], rds_key_arn=keys[KeyPurpose.RDS]
            )
            status = await machine.provision(request)
            code, answer = exit_code_for_status(status), as_json_dict(status)

        where = f"{breakage.name}, {which} key: {answer}"
        if breakage.is_found_by_rule:
            assert code == REFUSED, where
            assert_problem_reported(answer["problem"], breakage, which, keys[which])
            return
        assert code == STOPPED_BY_A_KEY, where
        assert answer["phase"] == "STOPPED", where
        assert_problem_reported(answer["problem"], breakage, which, keys[which])
        assert answer["problem"]["request_id"], where
        assert machine.list_environment_clusters(name) == [], where  # contract 93
        assert machine.list_environment_buckets(name) == [], where

    await asyncio.gather(*(case(number, *which) for number, which in enumerate(CASES)))


async def test_arn_rules_stop_an_environment_started_from_temporal(machine: StackHarness) -> None:
    cases = [(breakage, which) for breakage, which in CASES if breakage.is_found_by_rule]

    async def case(breakage: KeyFault, which: KeyPurpose) -> None:
        arn = breakage.make(machine.aws, which)
        status = await machine.provision(machine.build_request(**{f"{which}_key_arn": arn}))

        assert status.phase is Phase.STOPPED
        assert status.problem is not None
        assert_problem_reported(status.problem.model_dump(mode="json"), breakage, which, arn)
        assert machine.list_environment_clusters(status.environment_id) == []

    await asyncio.gather(*(case(*which) for which in cases))


async def test_same_key_for_both_is_refused(machine: StackHarness) -> None:
    key = create_valid_key(machine.aws, KeyPurpose.S3)

    finished = await run_create(machine, "same-key", key, key)
    status = await machine.provision(machine.build_request(s3_key_arn=key, rds_key_arn=key))

    assert (finished.code, finished.json["problem"]["code"]) == (REFUSED, "arn.SameKeyTwice")
    assert status.problem is not None
    assert (status.phase, status.problem.code) == (Phase.STOPPED, "arn.SameKeyTwice")  # D7


async def test_definite_denial_stops_at_once_after_one_call(machine: StackHarness) -> None:
    key = create_valid_key(machine.aws, KeyPurpose.S3)
    machine.aws.customer_client("kms").disable_key(KeyId=key)
    request = machine.build_request(s3_key_arn=key, key_grace_seconds=300)

    status = await machine.provision(request)

    assert status.problem is not None
    assert status.closed_at is not None
    assert (status.closed_at - status.problem.at).total_seconds() < 60, "byok must not wait for the 300 s grace period"
    prefix = f"probes/{request.environment_id}/"
    calls = machine.aws.call_control("GET", "calls")["calls"]
    refused = [call for call in calls if call["operation"] == "PutObject" and call["params"]["Key"].startswith(prefix)]
    assert [call["outcome"] for call in refused if call["outcome"] != "404"] == ["KMS.DisabledException"]


@pytest.mark.parametrize("which", KeyPurpose)
async def test_ambiguous_denial_stops_after_the_grace_period(machine: StackHarness, which: KeyPurpose) -> None:
    request = machine.build_request(**{f"{which}_key_arn": machine.aws.create_key()}, key_grace_seconds=2)

    status = await machine.provision(request)

    assert status.problem is not None
    assert status.closed_at is not None
    first = next(entry for entry in status.timeline if entry.phase is status.problem.phase).entered_at
    took = (status.closed_at - first).total_seconds()
    assert 2 <= took < 20, "the requested grace period applies, not the default of 30 s"


@pytest.mark.parametrize("which", KeyPurpose)
async def test_policy_fixed_within_the_grace_period_does_not_stop(machine: StackHarness, which: KeyPurpose) -> None:
    arn = create_valid_key(machine.aws, which)
    kms = machine.aws.customer_client("kms")
    policy = kms.get_key_policy(KeyId=arn)["Policy"]
    kms.put_key_policy(KeyId=arn, Policy=policy.replace("111122223333:role", "999988887777:role"))
    request = machine.build_request(**{f"{which}_key_arn": arn}, key_grace_seconds=60)
    await machine.service.create(request)

    async for status in machine.service.watch_status(request.environment_id):
        refused = [item for item in status.pending if item.last_problem and item.last_problem.key is which]
        if refused:
            kms.put_key_policy(KeyId=arn, Policy=policy)

    assert status.phase is Phase.READY  # D14


async def test_status_reports_the_same_problem_and_exit_code(machine: StackHarness) -> None:
    arn = create_valid_key(machine.aws, KeyPurpose.S3)
    machine.aws.customer_client("kms").disable_key(KeyId=arn)
    request = machine.build_request(s3_key_arn=arn)
    stopped = await machine.provision(request)

    finished = await machine.run_program("byok", "status", request.environment_id, "-o", "json")

    assert finished.code == STOPPED_BY_A_KEY
    assert Problem.model_validate(finished.json["problem"]) == stopped.problem


async def test_stopped_environment_continues_after_the_key_is_fixed(machine: StackHarness) -> None:
    arn = create_valid_key(machine.aws, KeyPurpose.RDS)
    kms = machine.aws.customer_client("kms")
    kms.disable_key(KeyId=arn)
    request = machine.build_request(rds_key_arn=arn)
    assert (await machine.provision(request)).phase is Phase.STOPPED

    kms.enable_key(KeyId=arn)
    status = await machine.provision(request)

    assert status.phase is Phase.READY
    assert [cluster["KmsKeyId"] for cluster in machine.list_environment_clusters(request.environment_id)] == [arn]


async def test_stop_during_storage_keeps_resources_and_continues_with_them(machine: StackHarness) -> None:
    request = machine.build_request()
    kms = machine.aws.customer_client("kms")
    machine.aws.call_control("POST", "faults", service="s3", operation="PutBucketPolicy", kind="delay", seconds=1.5)
    await machine.service.create(request)
    async for status in machine.service.watch_status(request.environment_id):
        if status.phase is Phase.CREATING_STORAGE:
            kms.disable_key(KeyId=request.s3_key_arn)
    assert status.phase is Phase.STOPPED
    assert status.problem is not None
    assert status.problem.code == "s3.KMS.DisabledException"  # contract 97
    assert status.problem.phase is Phase.CREATING_STORAGE
    made = machine.list_environment_clusters(request.environment_id)
    assert len(made) == 1

    kms.enable_key(KeyId=request.s3_key_arn)
    status = await machine.provision(request)

    assert status.phase is Phase.READY
    again = machine.list_environment_clusters(request.environment_id)
    assert [cluster["DbClusterResourceId"] for cluster in again] == [cluster["DbClusterResourceId"] for cluster in made]


async def test_rollback_removes_created_resources(machine: StackHarness) -> None:
    request = machine.build_request(on_failure="rollback")
    machine.aws.call_control("POST", "faults", service="s3", operation="PutBucketPolicy", kind="delay", seconds=1.5)
    await machine.service.create(request)
    async for status in machine.service.watch_status(request.environment_id):
        if status.phase is Phase.CREATING_STORAGE:
            machine.aws.customer_client("kms").disable_key(KeyId=request.s3_key_arn)

    assert status.phase is Phase.STOPPED
    assert status.left_behind == ()
    assert machine.list_environment_clusters(request.environment_id) == []
    assert machine.list_environment_buckets(request.environment_id) == []


async def test_complete_environment_started_again_with_rollback_loses_nothing(machine: StackHarness) -> None:
    """Start the workflow directly, with different keys and `on_failure=rollback`.

    A workflow that is started directly skips the checks of `EnvironmentService`.
    """
    first = machine.build_request()
    assert (await machine.provision(first)).phase is Phase.READY
    (cluster,) = machine.list_environment_clusters(first.environment_id)
    buckets = machine.list_environment_buckets(first.environment_id)
    other = machine.build_request(environment_id=first.environment_id, on_failure="rollback")

    await machine.service.client.start_workflow(
        ProvisionEnvironment.run,
        other,
        id=environment_workflow_id(first.environment_id),
        task_queue=TASK_QUEUE,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    status = await machine.wait_until_ended(first.environment_id)

    assert [problem.code for problem in status.problems] == ["byok.OtherKey"]
    (still,) = machine.list_environment_clusters(first.environment_id)
    assert still["DbClusterResourceId"] == cluster["DbClusterResourceId"]
    assert machine.list_environment_buckets(first.environment_id) == buckets
    name = cluster["DBClusterIdentifier"]
    assert {left.partition(":")[0] for left in status.left_behind} == {name, f"{name}-writer", *buckets}
    assert all("an earlier run of this environment created it" in left for left in status.left_behind)
