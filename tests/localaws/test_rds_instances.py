"""DB instances, tags, snapshots and subnet groups."""

from typing import Any

import pytest

from tests.localaws.server import AwsHarness
from tests.localaws.test_rds_clusters import LOST, NAME, build_cluster_params, catch_error

WRITER_PARAMS: dict[str, Any] = {
    "DBInstanceIdentifier": "writer",
    "DBClusterIdentifier": NAME,
    "Engine": "aurora-postgresql",
    "DBInstanceClass": "db.serverless",
    "PubliclyAccessible": False,
}


@pytest.fixture
def made(aws: AwsHarness) -> AwsHarness:
    """The local AWS emulator, with one cluster, and with databases that change their status immediately."""
    aws.call_control("POST", "settings", database_seconds=0)
    aws.platform_client("rds").create_db_cluster(**build_cluster_params(aws.create_rds_key()))
    return aws


def _writer(rds: Any) -> dict[str, Any]:
    found: dict[str, Any] = rds.describe_db_instances(DBInstanceIdentifier="writer")["DBInstances"][0]
    return found


def test_instance_inherits_the_clusters_encryption(made: AwsHarness) -> None:
    rds = made.platform_client("rds")
    rds.create_db_instance(**WRITER_PARAMS)
    found, cluster = _writer(rds), rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]
    for member in ("KmsKeyId", "StorageEncrypted", "StorageEncryptionType"):
        assert found[member] == cluster[member]
    assert (found["PubliclyAccessible"], found["DBInstanceStatus"]) == (False, "available")
    assert [(one["DBInstanceIdentifier"], one["IsClusterWriter"]) for one in cluster["DBClusterMembers"]] == [
        ("writer", True)
    ]
    assert found["Endpoint"]["Port"] == 5432


def test_instance_takes_time_to_create(made: AwsHarness) -> None:
    made.call_control("POST", "settings", database_seconds=3600)
    rds = made.platform_client("rds")
    assert rds.create_db_instance(**WRITER_PARAMS)["DBInstance"]["DBInstanceStatus"] == "creating"
    found = _writer(rds)
    assert (found["DBInstanceStatus"], "Endpoint" in found) == ("creating", False)
    assert catch_error(rds.delete_db_instance, DBInstanceIdentifier="writer")[0] == "InvalidDBInstanceState"


def test_existing_instance_name_changes_nothing(made: AwsHarness) -> None:
    rds = made.platform_client("rds")
    first = rds.create_db_instance(**WRITER_PARAMS)["DBInstance"]["DbiResourceId"]
    assert catch_error(rds.create_db_instance, **WRITER_PARAMS)[0] == "DBInstanceAlreadyExists"
    assert _writer(rds)["DbiResourceId"] == first


def test_serverless_instance_needs_a_scaling_configuration(aws: AwsHarness) -> None:
    rds = aws.platform_client("rds")
    rds.create_db_cluster(**build_cluster_params(aws.create_rds_key(), ServerlessV2ScalingConfiguration=None))
    code, message = catch_error(rds.create_db_instance, **WRITER_PARAMS)
    assert code == "InvalidDBClusterStateFault"
    assert message.startswith("Set the Serverless v2 scaling configuration on the parent DB cluster before creating a ")


def test_instance_cannot_choose_its_encryption(made: AwsHarness) -> None:
    code, message = catch_error(
        made.platform_client("rds").create_db_instance, **WRITER_PARAMS, KmsKeyId=made.create_rds_key()
    )
    assert code == "InvalidParameterCombination"
    assert message.endswith("and its storage encryption key should not be set directly.")


def test_cluster_without_its_key_refuses_new_instances_but_deletes_existing_ones(made: AwsHarness) -> None:
    rds = made.platform_client("rds")
    rds.create_db_instance(**WRITER_PARAMS)
    key = _writer(rds)["KmsKeyId"]
    made.customer_client("kms").disable_key(KeyId=key)
    assert _writer(rds)["DBInstanceStatus"] == LOST
    reader = WRITER_PARAMS | {"DBInstanceIdentifier": "reader"}
    assert catch_error(rds.create_db_instance, **reader)[0] == "InvalidDBClusterStateFault"
    rds.delete_db_instance(DBInstanceIdentifier="writer")
    assert catch_error(rds.describe_db_instances, DBInstanceIdentifier="writer")[0] == "DBInstanceNotFound"


def test_cluster_with_instances_is_not_deleted(made: AwsHarness) -> None:
    rds = made.platform_client("rds")
    rds.create_db_instance(**WRITER_PARAMS)
    assert catch_error(rds.delete_db_cluster, DBClusterIdentifier=NAME, SkipFinalSnapshot=True) == (
        "InvalidDBClusterStateFault",
        "Cluster cannot be deleted, it still contains DB instances in non-deleting state.",
    )
    made.call_control("POST", "settings", database_seconds=3600)
    rds.delete_db_instance(DBInstanceIdentifier="writer")
    assert _writer(rds)["DBInstanceStatus"] == "deleting"
    assert rds.delete_db_cluster(DBClusterIdentifier=NAME, SkipFinalSnapshot=True)["DBCluster"]["Status"] == "deleting"


def test_instance_of_unknown_cluster_is_refused(aws: AwsHarness) -> None:
    assert catch_error(aws.platform_client("rds").create_db_instance, **WRITER_PARAMS)[0] == "DBClusterNotFoundFault"


def test_tags_are_added_changed_and_removed(made: AwsHarness) -> None:
    rds = made.operator_client("rds")
    arn = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["DBClusterArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "a", "Value": "3"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["b"])
    assert rds.list_tags_for_resource(ResourceName=arn)["TagList"] == [{"Key": "a", "Value": "3"}]
    assert rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["TagList"] == [
        {"Key": "a", "Value": "3"}
    ]
    assert catch_error(rds.list_tags_for_resource, ResourceName=f"{arn}x")[0] == "DBClusterNotFoundFault"


# contract 122
def test_snapshot_uses_the_clusters_key(made: AwsHarness) -> None:
    rds = made.operator_client("rds")
    key = rds.describe_db_clusters(DBClusterIdentifier=NAME)["DBClusters"][0]["KmsKeyId"]
    rds.create_db_cluster_snapshot(DBClusterSnapshotIdentifier="s", DBClusterIdentifier=NAME)
    assert rds.describe_db_cluster_snapshots(DBClusterIdentifier=NAME)["DBClusterSnapshots"][0]["KmsKeyId"] == key
    again = {"DBClusterSnapshotIdentifier": "s", "DBClusterIdentifier": NAME}
    assert catch_error(rds.create_db_cluster_snapshot, **again)[0] == "DBClusterSnapshotAlreadyExistsFault"
    rds.delete_db_cluster_snapshot(DBClusterSnapshotIdentifier="s")
    assert rds.describe_db_cluster_snapshots()["DBClusterSnapshots"] == []


def test_cluster_accepts_an_existing_subnet_group(aws: AwsHarness) -> None:
    rds = aws.operator_client("rds")
    group = {"DBSubnetGroupName": "private", "DBSubnetGroupDescription": "d"}
    assert (
        catch_error(rds.create_db_subnet_group, **group, SubnetIds=["subnet-1"])[0]
        == "DBSubnetGroupDoesNotCoverEnoughAZs"
    )
    rds.create_db_subnet_group(**group, SubnetIds=["subnet-1", "subnet-2"])
    made = aws.platform_client("rds").create_db_cluster(
        **build_cluster_params(aws.create_rds_key(), DBSubnetGroupName="private")
    )["DBCluster"]
    assert made["DBSubnetGroup"] == "private"
    assert catch_error(rds.delete_db_subnet_group, DBSubnetGroupName="private")[0] == "InvalidDBSubnetGroupStateFault"
