"""The local AWS emulator restores its state after a restart, unless the saved state might be stale.

The state and moto's backends are global to a process, so each run of the local AWS emulator is a separate process.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_cloudformation import STACK_NAME, TEMPLATE, build_parameters, get_payload
from tests.localaws.test_rds_clusters import NAME, build_cluster_params, get_status
from tests.localaws.test_rds_instances import WRITER_PARAMS

Start = Callable[..., "LocalAwsProcess"]


class LocalAwsProcess:
    """A process that runs the local AWS emulator."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "localaws", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        self.aws = AwsHarness(next((word for word in self.line.split() if word.startswith("http://")), ""))

    @property
    def health(self) -> dict[str, Any]:
        """The response to a health request."""
        return self.aws.call_control("GET", "health")

    @property
    def errors(self) -> str:
        """The complete standard error of the process, which must already have exited."""
        assert self.process.stderr is not None
        return self.process.stderr.read()

    def close(self) -> None:
        """Kill the process if it is still running, and wait until it has exited."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """Send a signal to the process, wait until it exits, and return the exit code."""
        self.process.send_signal(how)
        return self.process.wait(20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A function that starts the local AWS emulator with the test's data folder.

    The fixture kills all processes at the end.
    """
    runs: list[LocalAwsProcess] = []

    def begin(*more: str) -> LocalAwsProcess:
        run = LocalAwsProcess("--data", str(tmp_path / "data"), *more)
        runs.append(run)
        return run

    yield begin
    for run in runs:
        run.close()


def _without_request(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"ResponseMetadata", "LatestRestorableTime"}}


def _everything(aws: AwsHarness, keys: list[str]) -> dict[str, Any]:
    """Return everything that callers can read about the keys, stacks, databases, buckets and roles."""
    kms, rds, s3 = aws.customer_client("kms"), aws.operator_client("rds"), aws.operator_client("s3")
    cloudformation, iam = aws.customer_client("cloudformation"), aws.operator_client("iam")
    seen: dict[str, Any] = {}
    for arn in keys:
        seen[arn] = [
            kms.describe_key(KeyId=arn)["KeyMetadata"],
            kms.get_key_policy(KeyId=arn)["Policy"],
            kms.list_resource_tags(KeyId=arn)["Tags"],
            kms.list_grants(KeyId=arn)["Grants"],
        ]
    seen["aliases"] = kms.list_aliases()["Aliases"]
    seen["stacks"] = cloudformation.describe_stacks()["Stacks"]
    seen["events"] = cloudformation.describe_stack_events(StackName=STACK_NAME)["StackEvents"]
    seen["clusters"] = [_without_request(one) for one in rds.describe_db_clusters()["DBClusters"]]
    seen["instances"] = rds.describe_db_instances()["DBInstances"]
    seen["snapshots"] = rds.describe_db_cluster_snapshots()["DBClusterSnapshots"]
    seen["subnet groups"] = rds.describe_db_subnet_groups()["DBSubnetGroups"]
    seen["encryption"] = s3.get_bucket_encryption(Bucket="kept")["ServerSideEncryptionConfiguration"]
    seen["policy"] = s3.get_bucket_policy(Bucket="kept")["Policy"]
    seen["versioning"] = s3.get_bucket_versioning(Bucket="kept")["Status"]
    seen["tags"] = s3.get_bucket_tagging(Bucket="kept")["TagSet"]
    versions = s3.list_object_versions(Bucket="kept")["Versions"]
    seen["versions"] = [(one["Key"], one["VersionId"], one["ETag"], one["LastModified"]) for one in versions]
    found = aws.platform_client("s3").get_object(Bucket="kept", Key="large")
    seen["object"] = [found["Body"].read(), found["SSEKMSKeyId"], found["Metadata"]]
    seen["role"] = iam.get_role(RoleName="AtaccamaPlatform")["Role"]
    return seen


def _fill(aws: AwsHarness) -> list[str]:
    """Create a resource of every kind and a key in every state, and return the keys."""
    kms, rds, s3 = aws.customer_client("kms"), aws.platform_client("rds"), aws.platform_client("s3")
    aws.customer_client("cloudformation").create_stack(
        StackName=STACK_NAME, TemplateBody=TEMPLATE, Parameters=build_parameters(TenantName="acme")
    )
    made = get_payload(aws.customer_client("cloudformation"))
    disabled, pending = aws.create_rds_key(Tags=[{"TagKey": "a", "TagValue": "b"}]), aws.create_s3_key()
    imported, signing = aws.create_key(Origin="EXTERNAL"), aws.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
    kms.disable_key(KeyId=disabled)
    kms.schedule_key_deletion(KeyId=pending, PendingWindowInDays=9)
    kms.create_alias(AliasName="alias/signing", TargetKeyId=signing)
    rds.create_db_cluster(
        **build_cluster_params(made["RdsKmsKeyArn"], Tags=[{"Key": "a", "Value": "b"}], DeletionProtection=True)
    )
    rds.create_db_instance(**WRITER_PARAMS)
    aws.operator_client("rds").create_db_subnet_group(
        DBSubnetGroupName="g", DBSubnetGroupDescription="d", SubnetIds=["subnet-1", "subnet-2"]
    )
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": made["S3KmsKeyArn"]}
    rules = [{"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}]
    s3.put_bucket_encryption(Bucket="kept", ServerSideEncryptionConfiguration={"Rules": rules})
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    aws.operator_client("s3").put_bucket_tagging(Bucket="kept", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:DeleteBucket",
        "Resource": "arn:aws:s3:::kept",
        "Condition": {"Bool": {"aws:SecureTransport": "maybe"}},
    }
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps({"Version": "2012-10-17", "Statement": [deny]}))
    s3.put_object(Bucket="kept", Key="large", Body=b"x" * 6_000_000, Metadata={"a": "b"})
    s3.put_object(Bucket="kept", Key="twice", Body=b"1")
    s3.put_object(Bucket="kept", Key="twice", Body=b"2")
    return [*made.values(), disabled, pending, imported, signing]


def test_everything_survives_a_clean_restart(start: Start) -> None:
    first = start("--database-seconds", "3600")
    assert (first.health["fresh"], first.health["reason"]) == (True, "no saved state yet")
    keys = _fill(first.aws)
    before = _everything(first.aws, keys)
    assert before["clusters"][0]["Status"] == "creating"
    assert first.stop() == 0

    second = start("--database-seconds", "3600")
    assert second.health["fresh"] is False
    assert "state restored" in second.line
    assert _everything(second.aws, keys) == before
    assert second.stop(signal.SIGINT) == 0


def test_restored_resources_keep_changing_state(start: Start) -> None:
    first = start("--database-seconds", "0.5")
    made = first.aws.create_rds_key()
    first.aws.platform_client("rds").create_db_cluster(**build_cluster_params(made))
    s3_key = first.aws.create_s3_key()
    s3 = first.aws.platform_client("s3")
    s3.create_bucket(Bucket="kept", CreateBucketConfiguration={"LocationConstraint": REGION})
    put = {"Bucket": "kept", "Key": "k", "Body": b"x", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": s3_key}
    s3.put_object(**put)
    assert first.stop() == 0

    aws = start().aws
    rds, deadline = aws.platform_client("rds"), time.monotonic() + 10
    while get_status(rds) != "available":
        assert time.monotonic() < deadline
    aws.platform_client("s3").put_object(**put | {"Key": "new"})
    aws.customer_client("kms").disable_key(KeyId=made)
    assert get_status(rds) == "inaccessible-encryption-credentials-recoverable"
    aws.customer_client("kms").disable_key(KeyId=s3_key)
    with pytest.raises(Exception, match=r"KMS\.DisabledException"):
        aws.platform_client("s3").get_object(Bucket="kept", Key="k")


def _kill(folder: Path, start: Start) -> None:
    run = start()
    run.aws.create_rds_key()
    run.stop(signal.SIGKILL)


def _damage(folder: Path, start: Start) -> None:
    state = folder / "state"
    state.write_bytes(state.read_bytes()[:-1])


def _of_other_version(folder: Path, start: Start) -> None:
    header, _, content = (folder / "state").read_bytes().partition(b"\n")
    (folder / "state").write_bytes(json.dumps(json.loads(header) | {"moto": "4.0"}).encode() + b"\n" + content)


def _no_header(folder: Path, start: Start) -> None:
    (folder / "state").write_bytes(b"\x80\x04 something else")


@pytest.mark.parametrize(
    ("happens", "reason"),
    [
        (_kill, "the last run did not end cleanly"),
        (_damage, "the saved state is damaged"),
        (_no_header, "the saved state is damaged"),
        (_of_other_version, "the saved state is from moto 4.0"),
    ],
)
def test_stale_state_is_not_restored_and_the_reason_is_reported(
    start: Start, tmp_path: Path, happens: Callable[[Path, Start], None], reason: str
) -> None:
    run = start()
    run.aws.platform_client("rds").create_db_cluster(**build_cluster_params(run.aws.create_rds_key()))
    assert run.stop() == 0
    happens(tmp_path / "data", start)

    fresh = start()
    assert fresh.health["fresh"] is True
    assert reason in fresh.health["reason"]
    assert f"fresh: {fresh.health['reason']}" in fresh.line
    assert fresh.aws.platform_client("rds").describe_db_clusters()["DBClusters"] == []
    assert fresh.aws.customer_client("kms").list_keys()["Keys"] == []
    assert fresh.stop() == 0
    assert start().health["fresh"] is False, "empty state after a clean exit is restored as well"


def test_folder_serves_one_process_at_a_time(start: Start) -> None:
    first = start()
    second = start()
    assert second.process.wait(20) == 1
    assert "is in use by another local AWS emulator" in second.errors
    assert first.health["status"] == "ok"
    assert first.stop() == 0


def test_cluster_survives_a_restart_while_it_is_being_created(start: Start) -> None:
    first = start("--database-seconds", "3600")
    first.aws.platform_client("rds").create_db_cluster(**build_cluster_params(first.aws.create_rds_key()))
    found = first.aws.platform_client("rds").describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]
    assert first.stop() == 0
    again = start().aws.platform_client("rds").describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]
    assert (again["Status"], again["DbClusterResourceId"]) == ("creating", found["DbClusterResourceId"])
