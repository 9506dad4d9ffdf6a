"""A deletion keeps the final snapshot and all data that byok did not write, and removes everything else."""

import json
from typing import Any

from byok.domain.models import DeleteRequest
from byok.domain.phases import Phase
from tests.e2e.conftest import StackHarness
from tests.localaws.server import REGION
from tests.requested_keys import keys_of


async def test_ready_environment_is_deleted_except_for_its_final_snapshot(machine: StackHarness) -> None:
    request = machine.build_request()
    name = request.environment_id
    assert (await machine.provision(request)).phase is Phase.READY

    finished = await machine.run_program("byok", "delete", name, "--confirm", name, "--wait")

    assert finished.code == 0, finished
    assert (
        machine.list_environment_clusters(name),
        machine.list_environment_writers(name),
        machine.list_environment_buckets(name),
    ) == ([], [], [])
    (snapshot,) = list_snapshots(machine, name)
    assert snapshot["KmsKeyId"] == request.rds_key_arn
    assert f"kept      final snapshot {snapshot['DBClusterSnapshotArn']}" in finished.out
    assert f"encrypted with {request.rds_key_arn}" in finished.out
    states = [
        machine.aws.customer_client("kms").describe_key(KeyId=arn)["KeyMetadata"]["KeyState"]
        for arn in (request.s3_key_arn, request.rds_key_arn)
    ]
    assert states == ["Enabled", "Enabled"]


def list_snapshots(machine: StackHarness, name: str) -> list[dict[str, Any]]:
    found = machine.aws.operator_client("rds").describe_db_cluster_snapshots()["DBClusterSnapshots"]
    return [one for one in found if one["DBClusterIdentifier"] == f"byok-{name}"]


async def test_foreign_objects_stop_the_deletion_before_anything_is_removed(machine: StackHarness) -> None:
    request, s3 = machine.build_request(), machine.aws.platform_client("s3")
    name = request.environment_id
    await machine.provision(request)
    before = list_resources(machine, name)
    (bucket,) = [one for one in machine.list_environment_buckets(name) if "-exports-" in one]
    version = s3.put_object(Bucket=bucket, Key="2026/report.csv", Body=b"1")["VersionId"]

    kept = await machine.run_program(
        "byok", "delete", name, "--confirm", name, "--no-final-snapshot", "--wait", "-o", "json"
    )

    assert (kept.code, kept.json["phase"], kept.json["problem"]["code"]) == (1, "STOPPED", "byok.ForeignObjects")
    assert f"{bucket}: 2026/report.csv" in kept.json["problem"]["message"]
    assert len(kept.json["left_behind"]) == len(before)
    assert list_resources(machine, name) == before  # contract 137
    refused = await machine.run_program("byok", "replay", name, "-o", "json")
    assert f"byok delete {name}" in refused.json["error"]["message"]
    s3.delete_object(Bucket=bucket, Key="2026/report.csv", VersionId=version)
    gone = await machine.run_program("byok", "delete", name, "--confirm", name, "--wait", "-o", "json")
    assert (gone.code, gone.json["phase"]) == (0, "DELETED"), gone
    assert sorted(gone.json["deletion"]["removed"]) == before
    assert list_resources(machine, name) == []


def list_resources(machine: StackHarness, name: str) -> list[str]:
    clusters = [one["DBClusterIdentifier"] for one in machine.list_environment_clusters(name)]
    return sorted([*clusters, *machine.list_environment_writers(name), *machine.list_environment_buckets(name)])


async def test_deletion_that_names_another_region_or_other_keys_is_refused(machine: StackHarness) -> None:
    request, other = machine.build_request(), machine.build_request()
    name = request.environment_id
    await machine.provision(request)
    before = list_resources(machine, name)
    keys, others = keys_of(request), keys_of(other)
    payload = json.dumps({"S3KmsKeyArn": others.s3_key_arn, "RdsKmsKeyArn": others.rds_key_arn})

    for option, values in {
        ("--region", "us-east-1"): (REGION, "us-east-1"),
        ("--payload", payload): (*keys.arns, *others.arns),
    }.items():
        refused = await machine.run_program("byok", "delete", name, "--confirm", name, *option, "-o", "json")
        assert (refused.code, refused.json["error"]["code"]) == (1, "byok.DeletionDiffers")  # contract 137
        assert all(value in refused.err for value in values)
    assert (await machine.service.read_status(name)).phase is Phase.READY
    assert list_resources(machine, name) == before


async def test_deletion_typed_into_temporal_for_another_region_stops_and_the_right_one_follows(
    machine: StackHarness,
) -> None:
    request = machine.build_request()
    name = request.environment_id
    await machine.provision(request)
    before = list_resources(machine, name)
    wrong = DeleteRequest(environment_id=name, confirm=name, region="us-east-1", final_snapshot=False)

    await machine.service.delete(wrong)
    stopped = await machine.wait_until_ended(name)

    assert stopped.problem is not None
    assert (stopped.phase, stopped.problem.code) == (Phase.STOPPED, "byok.RegionDiffers")  # contract 137
    assert "us-east-1" in stopped.problem.message
    assert f"{REGION} (" in stopped.problem.message
    assert list_resources(machine, name) == before
    gone = await machine.run_program(
        "byok", "delete", name, "--confirm", name, "--region", REGION, "--wait", "-o", "json"
    )
    assert (gone.code, gone.json["phase"]) == (0, "DELETED"), gone
