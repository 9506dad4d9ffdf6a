"""Restores of clusters: the key of the new cluster, and keys that RDS rejects."""

import json
from typing import Any

import pytest

from tests.localaws.server import AwsHarness
from tests.localaws.test_rds_clusters import NAME, build_cluster_params, catch_error

SNAPSHOT = "before"
RESTORED = "restored"
RESTORES: dict[str, dict[str, Any]] = {
    "restore_db_cluster_from_snapshot": {"SnapshotIdentifier": SNAPSHOT, "Engine": "aurora-postgresql"},
    "restore_db_cluster_to_point_in_time": {"SourceDBClusterIdentifier": NAME, "UseLatestRestorableTime": True},
}


def let_role_restore(aws: AwsHarness) -> None:
    """Give the platform role the permission to restore clusters, which byok does not need."""
    statement = {"Effect": "Allow", "Action": ["rds:RestoreDBCluster*"], "Resource": "*"}
    aws.operator_client("iam").put_role_policy(
        RoleName="AtaccamaPlatform",
        PolicyName="restore",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )


def create_snapshot(aws: AwsHarness) -> None:
    """Take a manual snapshot of the cluster."""
    aws.operator_client("rds").create_db_cluster_snapshot(
        DBClusterIdentifier=NAME, DBClusterSnapshotIdentifier=SNAPSHOT
    )


@pytest.fixture
def key(aws: AwsHarness) -> str:
    """The key of a cluster that is available and has a snapshot. The platform role may restore the cluster."""
    aws.call_control("POST", "settings", database_seconds=0)
    let_role_restore(aws)
    key = aws.create_rds_key()
    aws.platform_client("rds").create_db_cluster(**build_cluster_params(key, DatabaseName="app"))
    create_snapshot(aws)
    return key


@pytest.mark.parametrize("operation", RESTORES)
def test_restored_cluster_has_the_key_of_its_source(aws: AwsHarness, key: str, operation: str) -> None:
    rds = aws.platform_client("rds")

    made = getattr(rds, operation)(DBClusterIdentifier=RESTORED, **RESTORES[operation])["DBCluster"]

    assert (made["KmsKeyId"], made["StorageEncryptionType"]) == (key, "sse-kms")
    assert len(aws.customer_client("kms").list_grants(KeyId=key)["Grants"]) == 2
    assert catch_error(getattr(rds, operation), DBClusterIdentifier=RESTORED, **RESTORES[operation])[0] == (
        "DBClusterAlreadyExistsFault"
    )


@pytest.mark.parametrize("operation", RESTORES)
def test_restore_with_a_disabled_key_creates_nothing(aws: AwsHarness, key: str, operation: str) -> None:
    aws.customer_client("kms").disable_key(KeyId=key)
    rds = aws.platform_client("rds")

    refused = catch_error(getattr(rds, operation), DBClusterIdentifier=RESTORED, **RESTORES[operation])

    assert refused[0] == "KMSKeyNotAccessibleFault"
    assert [one["DBClusterIdentifier"] for one in rds.describe_db_clusters()["DBClusters"]] == [NAME]


@pytest.mark.parametrize("operation", RESTORES)
def test_caller_that_may_not_use_the_key_cannot_restore(aws: AwsHarness, key: str, operation: str) -> None:
    restore = getattr(aws.operator_client("rds"), operation)

    assert catch_error(restore, DBClusterIdentifier=RESTORED, **RESTORES[operation])[0] == "KMSKeyNotAccessibleFault"


def test_cluster_that_lost_its_key_for_good_can_be_restored_with_the_key(aws: AwsHarness, key: str) -> None:
    rds, kms = aws.platform_client("rds"), aws.customer_client("kms")
    kms.disable_key(KeyId=key)
    aws.call_control("POST", "elapse", days=7)
    kms.enable_key(KeyId=key)
    assert catch_error(aws.operator_client("rds").start_db_cluster, DBClusterIdentifier=NAME)[0] == (
        "InvalidDBClusterStateFault"
    )

    operation = "restore_db_cluster_to_point_in_time"
    getattr(rds, operation)(DBClusterIdentifier=RESTORED, **RESTORES[operation])

    statuses = {one["DBClusterIdentifier"]: one["Status"] for one in rds.describe_db_clusters()["DBClusters"]}
    assert statuses == {NAME: "inaccessible-encryption-credentials", RESTORED: "available"}


def test_invalid_restore_is_refused(aws: AwsHarness, key: str) -> None:
    rds = aws.platform_client("rds")
    from_snapshot, to_point = RESTORES.values()

    codes = [
        catch_error(
            rds.restore_db_cluster_from_snapshot,
            DBClusterIdentifier=RESTORED,
            **from_snapshot | {"Engine": "aurora-mysql"},
        )[0],
        catch_error(
            rds.restore_db_cluster_to_point_in_time,
            DBClusterIdentifier=RESTORED,
            **to_point | {"UseLatestRestorableTime": False},
        )[0],
    ]

    assert codes == ["InvalidParameterCombination"] * 2
    aws.call_control("POST", "settings", database_seconds=3600)
    rds.create_db_cluster(**build_cluster_params(key, DBClusterIdentifier="young"))
    young = to_point | {"SourceDBClusterIdentifier": "young"}
    assert catch_error(rds.restore_db_cluster_to_point_in_time, DBClusterIdentifier=RESTORED, **young)[0] == (
        "InvalidDBClusterStateFault"
    )
