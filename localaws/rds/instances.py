"""Instances of Aurora clusters. Instances without a cluster are not modelled."""

from typing import Any, Final

from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.rds.input import (
    SERVERLESS_INSTANCE_CLASS,
    check_performance_insights,
    check_tags,
    invalid_combination_error,
    parse_identifier,
)
from localaws.rds.keys import authorize_insights_key
from localaws.rds.lifecycle import DatabaseStatus
from localaws.rds.pages import paginate
from localaws.rds.permissions import authorize_with_tags
from localaws.rds.records import build_instance_output, render_instance
from localaws.rds.resources import filter_databases, refuse_kept_backups, require_subnet_group
from localaws.rds.state import (
    build_database_id,
    get_cluster_status,
    get_identifier,
    get_instance_status,
    new_lifecycle,
    require_cluster,
    require_instance,
    start_transition,
)
from localaws.state import STATE, Database

_OF_THE_CLUSTER: Final = {
    "StorageEncrypted": "storage encryption",
    "KmsKeyId": "storage encryption key",
    "MasterUsername": "master user name",
    "MasterUserPassword": "master user password",
    "ManageMasterUserPassword": "managed master user password",
    "DBName": "database name",
    "BackupRetentionPeriod": "backup retention period",
    "DeletionProtection": "deletion protection",
}


@models(
    *("AutoMinorVersionUpgrade", "AvailabilityZone", "CACertificateIdentifier", "CopyTagsToSnapshot"),
    *("DBClusterIdentifier", "DBInstanceClass", "DBInstanceIdentifier", "DBSubnetGroupName", "DatabaseInsightsMode"),
    *("EnablePerformanceInsights", "Engine", "EngineVersion", "MonitoringInterval", "MonitoringRoleArn"),
    *("PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "PreferredMaintenanceWindow"),
    *("PromotionTier", "PubliclyAccessible", "Tags"),
    *_OF_THE_CLUSTER,
)
def create_db_instance(call: Call) -> dict[str, Any]:
    """CreateDBInstance in a cluster that exists or is being created. The cluster determines the encryption.

    `EngineVersion` "doesn't apply to Amazon Aurora DB instances" (botocore's rds model).
    """
    name = parse_identifier(call.params, "DBInstanceIdentifier")
    authorize_with_tags(call, "db", name)
    if build_database_id(call, name) in STATE.instances:
        raise AwsError("DBInstanceAlreadyExists", "DB instance already exists")  # recorded; nothing changes
    if not call.params.get("DBClusterIdentifier"):
        raise not_modelled_error("DB instances without an Aurora cluster")
    for given, words in _OF_THE_CLUSTER.items():
        if call.params.get(given) is not None:  # we found a recording of this message only for KmsKeyId
            what = f"its {words} should not be set directly."
            raise invalid_combination_error(f"The requested DB Instance will be a member of a DB Cluster and {what}")
    cluster = require_cluster(call, call.params["DBClusterIdentifier"])
    _must_take_instances(call, cluster)
    check_tags(call.params.get("Tags", []))
    check_performance_insights(call.params)
    _check_subnet_group(call, cluster)
    insights = authorize_insights_key(call)
    output = build_instance_output(call, name, cluster)
    if insights:
        output["PerformanceInsightsKMSKeyId"] = insights
    instance = Database(output, call.caller.account, call.region, new_lifecycle())
    STATE.instances[build_database_id(call, name)] = instance
    return {"DBInstance": render_instance(instance)}


@models("DBInstanceIdentifier", "Filters", "MaxRecords", "Marker")
def describe_db_instances(call: Call) -> dict[str, Any]:
    """DescribeDBInstances: return one instance by name, or all matching instances in the account and Region."""
    name = call.params.get("DBInstanceIdentifier")
    authorize_with_tags(call, "db", name or "*")
    found = [require_instance(call, name)] if name else list(STATE.instances.values())
    names = {"db-instance-id": ("DBInstanceIdentifier", "DBInstanceArn"), "db-cluster-id": ("DBClusterIdentifier",)}
    names |= {"engine": ("Engine",), "dbi-resource-id": ("DbiResourceId",)}
    found = filter_databases(call, found, names)
    return paginate(call, "DBInstances", [render_instance(instance) for instance in found])


@models("DBInstanceIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups")
def delete_db_instance(call: Call) -> dict[str, Any]:
    """DeleteDBInstance: delete an instance without a final snapshot, because the storage belongs to the cluster."""
    refuse_kept_backups(call)
    instance = require_instance(call, call.params["DBInstanceIdentifier"])
    authorize_with_tags(call, "db", get_identifier(instance))
    if call.params.get("FinalDBSnapshotIdentifier"):  # recorded
        raise invalid_combination_error(
            "FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance"
        )
    # A cluster that lost access to its key does not prevent the deletion of its instances (recorded, aws-nuke 951).
    status = get_instance_status(instance)
    if status in {DatabaseStatus.CREATING, DatabaseStatus.DELETING, DatabaseStatus.STARTING, DatabaseStatus.STOPPING}:
        message = f"Instance {get_identifier(instance)} is {status} and cannot be deleted now."
        raise AwsError("InvalidDBInstanceState", message)
    start_transition(instance, DatabaseStatus.DELETING)
    return {"DBInstance": render_instance(instance)}


def _check_subnet_group(call: Call, cluster: Database) -> None:
    """Check that the subnet group in the call, if any, is the cluster's subnet group.

    We found no recording of AWS's error for a different subnet group.
    """
    name = call.params.get("DBSubnetGroupName")
    require_subnet_group(call, name)
    if name and name.lower() != cluster.output["DBSubnetGroup"].lower():
        raise not_modelled_error("an instance whose subnet group is not its cluster's")


def _must_take_instances(call: Call, cluster: Database) -> None:
    name, status = get_identifier(cluster), get_cluster_status(cluster)
    if status not in {DatabaseStatus.CREATING, DatabaseStatus.AVAILABLE}:
        message = f"DbCluster {name} is in {status} state, which does not allow adding an instance."
        raise AwsError("InvalidDBClusterStateFault", message)
    if call.params["Engine"] != cluster.output["Engine"]:
        message = (
            f"The engine name requested for your DB instance ({call.params['Engine']}) doesn't match the engine name "
        )
        raise invalid_combination_error(f"{message}of your DB cluster ({cluster.output['Engine']}).")
    if (
        call.params["DBInstanceClass"] == SERVERLESS_INSTANCE_CLASS
        and "ServerlessV2ScalingConfiguration" not in cluster.output
    ):
        message = (
            "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 "
        )
        raise AwsError("InvalidDBClusterStateFault", f"{message}DB instance.")  # recorded


HANDLERS: Final[dict[str, Operation]] = {
    "CreateDBInstance": create_db_instance,
    "DescribeDBInstances": describe_db_instances,
    "DeleteDBInstance": delete_db_instance,
}
