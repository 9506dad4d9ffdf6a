"""Check keys through `EnvironmentService` and the CLI, with real processes.

The key checks leave nothing behind in AWS.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from byok.cli.commands.check import check_as_json, exit_code_for_check
from byok.cli.output import EXIT_CUSTOMER_KEY
from byok.domain.arns import KeyPurpose, parse_key_arn
from byok.domain.models import CheckKeysRequest
from byok.domain.phases import KeyVerdict, Phase
from byok.domain.planning import KEY_CHECK_ENVIRONMENT_ID
from localaws.state import CUSTOMER_ACCOUNT
from tests.e2e.conftest import StackHarness
from tests.e2e.test_replay import wait_until
from tests.key_faults import KEY_FAULTS, NOT_ACCESSIBLE_CODE, KeyFault
from tests.localaws.server import REGION, AwsHarness

THREE_FAULTS = [
    fault for fault in KEY_FAULTS if fault.name in {"disabled", "nonexistent", "statement of the other key"}
]


def list_proof_clusters(aws: AwsHarness) -> list[str]:
    clusters = aws.operator_client("rds").describe_db_clusters()["DBClusters"]
    return [one["DBClusterIdentifier"] for one in clusters if "key-proof" in one["DBClusterIdentifier"]]


def list_leftovers(aws: AwsHarness, *requests: CheckKeysRequest) -> list[str]:
    """List the test clusters, grants, probes and claims that checks of these keys have left behind in AWS."""
    s3, kms = aws.operator_client("s3"), aws.customer_client("kms")
    arns = {
        arn for one in requests for _, arn in one.key_pair.items() if f":kms:{REGION}:{CUSTOMER_ACCOUNT}:key/" in arn
    }
    ids = {parse_key_arn(arn).key_id for arn in arns}
    probes = tuple(f"probes/{one.environment_id or KEY_CHECK_ENVIRONMENT_ID}/" for one in requests)
    left = list_proof_clusters(aws)
    for arn in arns:
        with suppress(kms.exceptions.NotFoundException, kms.exceptions.KMSInvalidStateException):
            left += [f"grant {one['GrantId']} on {arn}" for one in kms.list_grants(KeyId=arn)["Grants"]]
    for bucket in s3.list_buckets()["Buckets"]:
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            names = [one["Key"] for one in page.get("Contents", [])]
            left += [name for name in names if name.startswith(probes) or any(one in name for one in ids)]
    return left


async def wait_until_nothing_is_left(machine: StackHarness, *requests: CheckKeysRequest) -> None:
    with suppress(TimeoutError):
        await wait_until(lambda: list_leftovers(machine.aws, *requests) == [])
    assert await asyncio.to_thread(list_leftovers, machine.aws, *requests) == []


async def wait_until_calls_held(machine: StackHarness, *operations: str) -> None:
    def is_held() -> bool:
        held = machine.aws.call_control("GET", "held")["held"]
        return sorted(one["operation"] for one in held) == sorted(operations)

    await wait_until(is_held)


def build_check(machine: StackHarness, **changes: Any) -> CheckKeysRequest:
    fields = machine.build_request(**changes).model_dump(include={"region", "s3_key_arn", "rds_key_arn"})
    return CheckKeysRequest.model_validate(fields | {"key_grace_seconds": 0})


def break_key(machine: StackHarness, fault: KeyFault, which: KeyPurpose) -> CheckKeysRequest:
    """Build a check request for a pair of keys, one of which is broken."""
    return build_check(machine, **{f"{which}_key_arn": fault.make(machine.aws, which)})


def check_command(request: CheckKeysRequest) -> tuple[str, ...]:
    keys = ("--s3-key-arn", request.s3_key_arn, "--rds-key-arn", request.rds_key_arn)
    return ("byok", "check", "--region", REGION, *keys, "--key-grace-seconds", "0")


@dataclass(frozen=True)
class ExpectedCheck:
    """A key check, and the result that the test expects.

    Attributes:
        name: What is wrong with the keys.
        request: The check.
        verdicts: The verdicts on the S3 key and the Aurora key.
        codes: The codes of the findings, in order.
    """

    name: str
    request: CheckKeysRequest
    verdicts: tuple[KeyVerdict, KeyVerdict]
    codes: tuple[str, ...]

    @classmethod
    def for_fault(cls, machine: StackHarness, fault: KeyFault, which: KeyPurpose) -> "ExpectedCheck":
        """Break one key.

        Request a proof only for a broken Aurora key, because byok limits the number of proofs in a Region.
        """
        request = break_key(machine, fault, which).model_copy(update={"prove_aurora_key": which is KeyPurpose.RDS})
        s3, rds = (
            (KeyVerdict.REFUSED, KeyVerdict.NOT_PROVED)
            if which is KeyPurpose.S3
            else (KeyVerdict.PROVED, KeyVerdict.REFUSED)
        )
        return cls(f"{fault.name}, {which} key", request, (s3, rds), (fault.code_for(which),))


async def list_expected_checks(machine: StackHarness) -> list[ExpectedCheck]:
    """List checks of every kind of broken key, of swapped keys, and of keys that another environment has claimed."""
    refused, proved, not_proved = KeyVerdict.REFUSED, KeyVerdict.PROVED, KeyVerdict.NOT_PROVED
    holder = machine.build_request()
    await machine.provision(holder)

    def build() -> list[ExpectedCheck]:
        right = build_check(machine)
        exchanged = right.model_copy(update={"s3_key_arn": right.rds_key_arn, "rds_key_arn": right.s3_key_arn})
        s3_held = build_check(machine, s3_key_arn=holder.s3_key_arn)
        rds_held = build_check(machine, rds_key_arn=holder.rds_key_arn)
        exchange, in_use = "byok.KeysExchanged", "byok.KeyInUse"
        return [
            *(ExpectedCheck.for_fault(machine, fault, which) for fault in KEY_FAULTS for which in KeyPurpose),
            ExpectedCheck("exchanged", exchanged, (refused, refused), (exchange,)),
            ExpectedCheck("held S3 key", s3_held, (refused, not_proved), (in_use,)),
            ExpectedCheck("held Aurora key", rds_held, (proved, refused), (in_use,)),
        ]

    return await asyncio.to_thread(build)


async def test_every_broken_exchanged_or_held_key_is_refused_and_leaves_nothing(machine: StackHarness) -> None:
    assert len(KEY_FAULTS) >= 20

    async def check(expected: ExpectedCheck) -> str | None:
        found = await machine.service.check_keys(expected.request)
        printed = json.loads(json.dumps(check_as_json(found)))
        verdicts = tuple(printed["keys"][which]["verdict"] for which in ("s3", "rds"))
        codes = tuple(one["code"] for one in printed["problems"])
        right = (
            (verdicts, codes) == (expected.verdicts, expected.codes)
            and exit_code_for_check(found) == EXIT_CUSTOMER_KEY
            and printed["problem"] == printed["problems"][0]
        )
        return None if right else f"{expected.name}: {verdicts} {codes} {exit_code_for_check(found)}"

    checks = await list_expected_checks(machine)
    found = await asyncio.gather(*map(check, checks))

    assert [one for one in found if one is not None] == []  # contract 126, 127, 129
    made = [one.request for one in checks if "held" not in one.name]
    await wait_until_nothing_is_left(machine, *made)


async def test_cli_proves_both_keys_and_leaves_nothing_behind(machine: StackHarness) -> None:
    request = build_check(machine)

    first = await machine.run_program(*check_command(request), "-o", "json")
    again = await machine.service.check_keys(request.model_copy(update={"prove_aurora_key": True}))

    assert first.code == 0, first
    verdicts = [first.json["keys"][key] for key in ("s3", "rds")]
    assert [(one["verdict"], one["service"]) for one in verdicts] == [("verified", "S3"), ("verified", "RDS")]
    assert all(one["request_id"] and one["at"] for one in verdicts)  # contract 126
    assert again.keys.rds.request_id == verdicts[1]["request_id"], "a proof is reused for ten minutes"
    await wait_until_nothing_is_left(machine, request)


async def test_cli_refuses_broken_keys(machine: StackHarness) -> None:
    """Break the two keys of a pair in different ways.

    If each key had the policy statements of the other key, byok would report swapped keys instead of broken keys.
    """

    async def check(s3_fault: KeyFault, rds_fault: KeyFault) -> CheckKeysRequest:
        arns = {
            f"{which}_key_arn": await asyncio.to_thread(fault.make, machine.aws, which)
            for which, fault in zip(KeyPurpose, (s3_fault, rds_fault), strict=True)
        }
        request = build_check(machine, **arns)
        ended = await machine.run_program(*check_command(request), "-o", "json")
        assert ended.code == EXIT_CUSTOMER_KEY, ended
        keys = ended.json["keys"]
        assert [keys[which]["verdict"] for which in ("s3", "rds")] == ["cannot be used", "cannot be used"]
        codes = [s3_fault.code_for(KeyPurpose.S3), rds_fault.code_for(KeyPurpose.RDS)]
        assert [one["code"] for one in ended.json["problems"]] == codes
        return request

    pairs = zip(THREE_FAULTS, (*THREE_FAULTS[1:], THREE_FAULTS[0]), strict=True)
    made = await asyncio.gather(*(check(*pair) for pair in pairs))
    await wait_until_nothing_is_left(machine, *made)


async def test_worker_killed_while_it_creates_or_removes_a_proof_leaves_nothing(machine: StackHarness) -> None:
    """Kill the worker while it waits for the responses to a CreateDBCluster call and a DeleteDBCluster call.

    RDS has already executed both calls.
    """
    removing, creating = (build_check(machine).model_copy(update={"prove_aurora_key": True}) for _ in range(2))
    where = {"service": "rds", "about": "key-proof", "kind": "hold_answer"}
    machine.aws.call_control("POST", "faults", operation="DeleteDBCluster", **where)
    assert (await machine.service.check_keys(removing)).keys.rds.verdict is KeyVerdict.PROVED
    await wait_until_calls_held(machine, "DeleteDBCluster")
    machine.aws.call_control("POST", "faults", operation="CreateDBCluster", **where)
    check = asyncio.create_task(machine.service.check_keys(creating))
    await wait_until_calls_held(machine, "CreateDBCluster", "DeleteDBCluster")
    left = await asyncio.to_thread(list_leftovers, machine.aws, creating)
    assert any("key-proof" in one for one in left), left
    assert any(creating.rds_key_arn in one for one in left), "the cluster's grant on the key"

    await machine.stack.restart_worker(kill=True)
    machine.aws.call_control("DELETE", "held")

    assert (await check).keys.rds.verdict is KeyVerdict.PROVED
    await wait_until_nothing_is_left(machine, removing, creating)


async def test_exchanged_arns_are_named_and_the_swapped_replay_is_ready(machine: StackHarness) -> None:
    right = machine.build_request()
    wrong = right.model_copy(update={"s3_key_arn": right.rds_key_arn, "rds_key_arn": right.s3_key_arn})

    status = await machine.provision(wrong)
    assert [one.code for one in status.problems] == ["byok.KeysExchanged"]  # contract 127
    shown = (await machine.run_program("byok", "status", right.environment_id)).out
    swapped = f"byok replay {right.environment_id} --s3-key-arn {right.s3_key_arn} --rds-key-arn {right.rds_key_arn}"
    assert swapped in shown
    replayed = await machine.run_program(*swapped.split())
    assert replayed.code == 0, replayed

    status = await machine.wait_until_ended(right.environment_id)
    assert status.phase is Phase.READY
    assert status.evidence is not None
    assert status.evidence.database.key_arn == right.rds_key_arn
    assert {bucket.key_arn for bucket in status.evidence.buckets} == {right.s3_key_arn}


async def test_two_broken_keys_stop_provisioning_once(machine: StackHarness) -> None:
    request = machine.build_request()
    kms = machine.aws.customer_client("kms")
    for arn in (request.s3_key_arn, request.rds_key_arn):
        await asyncio.to_thread(kms.disable_key, KeyId=arn)

    status = await machine.provision(request)

    assert [one.code for one in status.problems] == ["s3.KMS.DisabledException", NOT_ACCESSIBLE_CODE]  # contract 128
    for arn in (request.s3_key_arn, request.rds_key_arn):
        await asyncio.to_thread(kms.enable_key, KeyId=arn)
    replayed = await machine.run_program("byok", "replay", request.environment_id, "--wait")
    assert replayed.code == 0, replayed


async def test_keys_of_another_environment_are_refused_and_not_used(machine: StackHarness) -> None:
    first = machine.build_request()
    await machine.provision(first)
    request = build_check(machine, s3_key_arn=first.s3_key_arn, rds_key_arn=first.rds_key_arn)

    found = await machine.service.check_keys(request.model_copy(update={"prove_aurora_key": True}))
    own = await machine.service.check_keys(request.model_copy(update={"environment_id": first.environment_id}))

    assert [one.code for one in found.findings] == ["byok.KeyInUse"] * 2  # contract 129
    assert found.keys.any_refused
    assert own.findings == ()
    assert list_proof_clusters(machine.aws) == []
