"""A deletion keeps the final snapshot and all data that byok did not write, and removes everything else."""

from typing import Any

from byok.domain.phases import Phase
from tests.e2e.conftest import StackHarness


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


async def test_bucket_with_foreign_objects_is_kept_and_reported_until_they_are_removed(machine: StackHarness) -> None:
    request, s3 = machine.build_request(), machine.aws.platform_client("s3")
    name = request.environment_id
    await machine.provision(request)
    (bucket,) = [one for one in machine.list_environment_buckets(name) if "-exports-" in one]
    version = s3.put_object(Bucket=bucket, Key="2026/report.csv", Body=b"1")["VersionId"]

    kept = await machine.run_program(
        "byok", "delete", name, "--confirm", name, "--no-final-snapshot", "--wait", "--json"
    )

    assert (kept.code, kept.json["phase"], kept.json["problem"]["code"]) == (1, "STOPPED", "byok.LeftBehind")
    (left,) = kept.json["left_behind"]
    assert left.startswith(f"{bucket}: ")
    assert "2026/report.csv" in left
    assert (
        machine.list_environment_clusters(name),
        machine.list_environment_buckets(name),
        list_snapshots(machine, name),
    ) == (
        [],
        [bucket],
        [],
    )
    refused = await machine.run_program("byok", "replay", name, "--json")
    assert f"byok delete {name}" in refused.json["error"]["message"]
    s3.delete_object(Bucket=bucket, Key="2026/report.csv", VersionId=version)
    gone = await machine.run_program("byok", "delete", name, "--confirm", name, "--wait", "--json")
    assert (gone.code, gone.json["phase"]) == (0, "DELETED"), gone
    assert gone.json["deletion"]["removed"] == [bucket]
    assert machine.list_environment_buckets(name) == []
