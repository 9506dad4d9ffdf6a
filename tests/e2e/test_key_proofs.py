"""Key verdicts from the service, the CLI and the API, with real processes; key checks leave nothing behind."""

import asyncio
from typing import Any

import httpx

from byok.domain.arns import KeyPurpose
from byok.domain.models import CheckKeysRequest
from byok.domain.phases import KeyVerdict, Phase
from tests.e2e.conftest import StackHarness
from tests.e2e.test_replay import wait_until, wait_until_call_held
from tests.key_faults import KEY_FAULTS, NOT_ACCESSIBLE_CODE, KeyFault
from tests.localaws.server import REGION, AwsHarness

THREE_FAULTS = [
    fault for fault in KEY_FAULTS if fault.name in {"disabled", "nonexistent", "statement of the other key"}
]


def list_proof_clusters(aws: AwsHarness) -> list[str]:
    clusters = aws.operator_client("rds").describe_db_clusters()["DBClusters"]
    return [one["DBClusterIdentifier"] for one in clusters if "key-proof" in one["DBClusterIdentifier"]]


async def wait_until_nothing_is_left(machine: StackHarness) -> None:
    await wait_until(lambda: list_proof_clusters(machine.aws) == [])


def build_check(machine: StackHarness, **changes: Any) -> CheckKeysRequest:
    fields = machine.build_request(**changes).model_dump(include={"region", "s3_key_arn", "rds_key_arn"})
    return CheckKeysRequest.model_validate(fields | {"key_grace_seconds": 0})


def break_key(machine: StackHarness, fault: KeyFault, which: KeyPurpose) -> CheckKeysRequest:
    """Build a check request for a pair of keys, one of which is broken."""
    return build_check(machine, **{f"{which}_key_arn": fault.make(machine.aws, which)})


def check_command(request: CheckKeysRequest) -> tuple[str, ...]:
    keys = ("--s3-key-arn", request.s3_key_arn, "--rds-key-arn", request.rds_key_arn)
    return ("byok", "check", "--region", REGION, *keys, "--key-grace-seconds", "0")


async def test_every_broken_key_is_refused_with_its_code(machine: StackHarness) -> None:
    """Check S3 keys without proving the Aurora key, because byok proves at most three keys per Region at once."""

    async def check(fault: KeyFault, which: KeyPurpose) -> str | None:
        request = await asyncio.to_thread(break_key, machine, fault, which)
        proof = {"prove_aurora_key": which is KeyPurpose.RDS}
        found = await machine.service.check_keys(request.model_copy(update=proof))
        expected = {which: KeyVerdict.REFUSED, which.other: KeyVerdict.PROVED}
        if which is KeyPurpose.S3:
            expected[KeyPurpose.RDS] = KeyVerdict.NOT_PROVED
        problem = found.keys.of(which).problem
        told = {one.key: one.verdict for one in found.keys.both}, problem and problem.code
        codes = {fault.code_for(which), "arn.OtherAccount"}  # a key in the platform's account breaks both rules
        return None if told[0] == expected and told[1] in codes else f"{fault.name} {which}: {told}"

    found = await asyncio.gather(*(check(fault, which) for fault in KEY_FAULTS for which in KeyPurpose))

    assert [one for one in found if one is not None] == []  # contract 126
    assert list_proof_clusters(machine.aws) == []


async def test_cli_proves_both_keys_and_leaves_nothing_behind(machine: StackHarness) -> None:
    request = build_check(machine)

    first = await machine.run_program(*check_command(request), "--json")
    again = await machine.service.check_keys(request.model_copy(update={"prove_aurora_key": True}))

    assert first.code == 0, first
    verdicts = [first.json["keys"][key] for key in ("s3", "rds")]
    assert [(one["verdict"], one["service"]) for one in verdicts] == [("proved", "S3"), ("proved", "RDS")]
    assert all(one["request_id"] and one["at"] for one in verdicts)  # contract 126
    assert again.keys.rds.request_id == verdicts[1]["request_id"], "a proof is reused for ten minutes"
    await wait_until_nothing_is_left(machine)


async def test_broken_keys_are_refused_by_the_api(web: StackHarness) -> None:
    async def check(http: httpx.AsyncClient, fault: KeyFault, which: KeyPurpose) -> None:
        request = await asyncio.to_thread(break_key, web, fault, which)
        body = request.model_dump(mode="json") | {"prove_aurora_key": which is KeyPurpose.RDS}
        answer = (await http.post("/v1/key-checks", json=body)).json()
        assert answer["keys"][which.value]["verdict"] == "refused", (fault.name, answer)
        assert [one["code"] for one in answer["findings"]] == [fault.code_for(which)]

    async with httpx.AsyncClient(base_url=web.stack.web_url, timeout=60) as http:
        await asyncio.gather(*(check(http, fault, which) for fault in THREE_FAULTS for which in KeyPurpose))
    assert list_proof_clusters(web.aws) == []


async def test_killed_worker_leaves_no_proof_behind(machine: StackHarness) -> None:
    request = build_check(machine).model_copy(update={"prove_aurora_key": True})
    where = {"service": "rds", "operation": "CreateDBCluster", "about": "key-proof"}
    machine.aws.call_control("POST", "faults", kind="hold_answer", **where)
    check = asyncio.create_task(machine.service.check_keys(request))
    await wait_until_call_held(machine)
    assert len(list_proof_clusters(machine.aws)) == 1, "RDS has carried the call out, and no worker knows"

    await machine.stack.restart_worker(kill=True)
    machine.aws.call_control("DELETE", "held")

    assert (await check).keys.rds.verdict is KeyVerdict.PROVED
    await wait_until_nothing_is_left(machine)


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
