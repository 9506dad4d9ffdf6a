"""RDS: Aurora clusters that are encrypted with a customer's key.

CreateDBCluster creates nothing if KMS denies the use of a key. While clusters exist, every RDS call checks whether the
clusters' keys are still usable. Instances, snapshots, restores, tags and subnet groups have separate modules. Every
other RDS operation is rejected as not modelled.
"""

import time
import uuid
from typing import Any, Final

from byok.domain.arns import partition_of_region
from localaws.call import AwsError, Call, Operation, models, not_modelled_error
from localaws.rds import instances, resources, restores
from localaws.rds.input import (
    check_new_cluster,
    check_new_password,
    check_serverless_capacity,
    invalid_combination_error,
    invalid_value_error,
    parse_identifier,
    parse_snapshot_identifier,
)
from localaws.rds.keys import (
    authorize_insights_key,
    authorize_master_secret_key,
    authorize_storage_key,
    create_storage_grant,
    require_key_enabled,
)
from localaws.rds.lifecycle import DatabaseStatus
from localaws.rds.pages import paginate
from localaws.rds.permissions import authorize_with_tags
from localaws.rds.records import build_cluster_output, build_snapshot, render_cluster
from localaws.rds.resources import filter_databases, require_subnet_group
from localaws.rds.state import (
    build_database_id,
    get_cluster_status,
    get_identifier,
    get_instance_status,
    list_members,
    new_lifecycle,
    refresh_statuses,
    require_cluster,
    start_transition,
)
from localaws.state import STATE, Database

# Input members of ModifyDBCluster that have the same name in the output.
_SHOWN: Final = frozenset(
    [
        "AutoMinorVersionUpgrade",
        "BackupRetentionPeriod",
        "CopyTagsToSnapshot",
        "DeletionProtection",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "ServerlessV2ScalingConfiguration",
    ]
)
# Input members of ModifyDBCluster that have a different name in the output, each with its output name.
_RENAMED: Final = {
    "DBClusterParameterGroupName": "DBClusterParameterGroup",
    "EnableHttpEndpoint": "HttpEndpointEnabled",
    "EnableIAMDatabaseAuthentication": "IAMDatabaseAuthenticationEnabled",
}


@models(
    *("AutoMinorVersionUpgrade", "AvailabilityZones", "BackupRetentionPeriod", "CopyTagsToSnapshot"),
    *("DBClusterIdentifier", "DBClusterParameterGroupName", "DBSubnetGroupName", "DatabaseInsightsMode"),
    *("DatabaseName", "DeletionProtection", "EnableCloudwatchLogsExports", "EnableHttpEndpoint"),
    *("EnableIAMDatabaseAuthentication", "EnablePerformanceInsights", "Engine", "EngineLifecycleSupport", "EngineMode"),
    *("EngineVersion", "KmsKeyId", "ManageMasterUserPassword", "MasterUserAuthenticationType", "MasterUserPassword"),
    *("MasterUserSecretKmsKeyId", "MasterUsername", "MonitoringInterval", "MonitoringRoleArn", "NetworkType"),
    *("PerformanceInsightsKMSKeyId", "PerformanceInsightsRetentionPeriod", "Port", "PreferredBackupWindow"),
    *("PreferredMaintenanceWindow", "ServerlessV2ScalingConfiguration", "StorageEncrypted", "StorageType", "Tags"),
    "VpcSecurityGroupIds",
)
def create_db_cluster(call: Call) -> dict[str, Any]:
    """CreateDBCluster. The name, the input, the subnet group and the keys are checked before anything is created."""
    name = parse_identifier(call.params, "DBClusterIdentifier")
    authorize_with_tags(call, "cluster", name)
    if build_database_id(call, name) in STATE.clusters:
        raise AwsError("DBClusterAlreadyExistsFault", "DB Cluster already exists")  # recorded; nothing changes
    check_new_cluster(call.params)
    require_subnet_group(call, call.params.get("DBSubnetGroupName"))
    storage, secret, insights = (
        authorize_storage_key(call),
        authorize_master_secret_key(call),
        authorize_insights_key(call),
    )
    output = build_cluster_output(call, name, storage)
    if insights:
        output["PerformanceInsightsKMSKeyId"] = insights
    if secret:
        managed = f"rds!cluster-{uuid.uuid4()}"
        place = f"{partition_of_region(call.region)}:secretsmanager:{call.region}:{call.caller.account}"
        output["MasterUserSecret"] = {
            "SecretArn": f"arn:{place}:secret:{managed}",
            "SecretStatus": "active",
            "KmsKeyId": secret,
        }
    cluster = Database(output, call.caller.account, call.region, new_lifecycle(), create_storage_grant(call, storage))
    STATE.clusters[build_database_id(call, name)] = cluster
    return {"DBCluster": render_cluster(cluster)}


@models("DBClusterIdentifier", "Filters", "MaxRecords", "Marker")
def describe_db_clusters(call: Call) -> dict[str, Any]:
    """DescribeDBClusters: return one cluster by name, or all matching clusters in the account and Region."""
    name = call.params.get("DBClusterIdentifier")
    authorize_with_tags(call, "cluster", name or "*")
    found = [require_cluster(call, name)] if name else list(STATE.clusters.values())
    names = {"db-cluster-id": ("DBClusterIdentifier", "DBClusterArn"), "engine": ("Engine",)}
    names |= {"db-cluster-resource-id": ("DbClusterResourceId",)}
    found = filter_databases(call, found, names)
    return paginate(call, "DBClusters", [render_cluster(cluster) for cluster in found])


@models("DBClusterIdentifier", "ApplyImmediately", "MasterUserPassword", *_SHOWN, *_RENAMED)
def modify_db_cluster(call: Call) -> dict[str, Any]:
    """ModifyDBCluster. A cluster's key cannot change (contract 8).

    Of the modelled parameters, only EnableIAMDatabaseAuthentication waits for the maintenance window unless
    ApplyImmediately is set (Aurora user guide, "Modifying an Amazon Aurora DB cluster"). Maintenance windows are not
    modelled, so EnableIAMDatabaseAuthentication is rejected without ApplyImmediately.
    """
    cluster = require_cluster(call, call.params["DBClusterIdentifier"])
    authorize_with_tags(call, "cluster", get_identifier(cluster))
    if not call.params.get("ApplyImmediately") and "EnableIAMDatabaseAuthentication" in call.params:
        raise not_modelled_error("EnableIAMDatabaseAuthentication of rds:ModifyDBCluster without ApplyImmediately")
    check_new_password(call.params, managed="MasterUserSecret" in cluster.output)
    check_serverless_capacity(call.params.get("ServerlessV2ScalingConfiguration"))
    protection_alone = set(call.params) <= {"DBClusterIdentifier", "ApplyImmediately", "DeletionProtection"}
    if get_cluster_status(cluster) is not DatabaseStatus.AVAILABLE and not protection_alone:
        raise _wrong_state(cluster)
    days = call.params.get("BackupRetentionPeriod", 1)
    if not 1 <= days <= 35:  # noqa: PLR2004 - botocore's rds model
        raise invalid_value_error(f"Invalid backup retention period: {days}. Must be between 1 and 35 days.")
    cluster.output |= {name: call.params[name] for name in _SHOWN if call.params.get(name) is not None}
    cluster.output |= {
        shown: call.params[name] for name, shown in _RENAMED.items() if call.params.get(name) is not None
    }
    return {"DBCluster": render_cluster(cluster)}


@models("DBClusterIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups")
def delete_db_cluster(call: Call) -> dict[str, Any]:
    """DeleteDBCluster, with or without a final snapshot.

    RDS rejects DeleteDBCluster if the cluster has deletion protection, still has instances, or is being created or
    deleted.
    """
    resources.refuse_kept_backups(call)
    cluster = require_cluster(call, call.params["DBClusterIdentifier"])
    authorize_with_tags(call, "cluster", get_identifier(cluster))
    skip, final = bool(call.params.get("SkipFinalSnapshot")), call.params.get("FinalDBSnapshotIdentifier")
    if skip and final:
        raise invalid_combination_error(
            "You cannot specify both FinalDBSnapshotIdentifier and SkipFinalSnapshot"
        )  # recorded
    if not skip and not final:
        raise invalid_combination_error("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified.")
    if cluster.output["DeletionProtection"]:  # recorded
        message = "Cannot delete protected Cluster, please disable deletion protection and try again."
        raise invalid_combination_error(message)
    if any(
        get_instance_status(instance) is not DatabaseStatus.DELETING for instance in list_members(cluster)
    ):  # recorded
        message = "Cluster cannot be deleted, it still contains DB instances in non-deleting state."
        raise AwsError("InvalidDBClusterStateFault", message)
    status = get_cluster_status(cluster)
    if status in {DatabaseStatus.CREATING, DatabaseStatus.DELETING} or (
        final and status is not DatabaseStatus.AVAILABLE
    ):
        raise _wrong_state(cluster)
    if final:
        name = parse_snapshot_identifier(call.params, "FinalDBSnapshotIdentifier")
        resources.require_snapshot_name_free(call, name)
        STATE.snapshots[build_database_id(call, name)] = build_snapshot(cluster, name, None)
    start_transition(cluster, DatabaseStatus.DELETING)
    return {"DBCluster": render_cluster(cluster)}


@models("DBClusterIdentifier")
def stop_db_cluster(call: Call) -> dict[str, Any]:
    """StopDBCluster."""
    cluster = require_cluster(call, call.params["DBClusterIdentifier"])
    authorize_with_tags(call, "cluster", get_identifier(cluster))
    if get_cluster_status(cluster) is not DatabaseStatus.AVAILABLE:
        raise _wrong_state(cluster)
    start_transition(cluster, DatabaseStatus.STOPPING)
    return {"DBCluster": render_cluster(cluster)}


@models("DBClusterIdentifier")
def start_db_cluster(call: Call) -> dict[str, Any]:
    """StartDBCluster.

    StartDBCluster also recovers a cluster that lost access to its key, if the key is enabled again within seven days.
    """
    cluster = require_cluster(call, call.params["DBClusterIdentifier"])
    authorize_with_tags(call, "cluster", get_identifier(cluster))
    if get_cluster_status(cluster) not in {DatabaseStatus.STOPPED, DatabaseStatus.KEY_LOST}:
        raise _wrong_state(cluster)
    if cluster.grant_id:
        require_key_enabled(cluster.output["KmsKeyId"])
    cluster.life.start_recovery(time.time(), STATE.database_seconds)
    return {"DBCluster": render_cluster(cluster)}


@models("GlobalClusterIdentifier", "Filters")
def describe_global_clusters(call: Call) -> dict[str, Any]:
    """DescribeGlobalClusters: return an empty list, regardless of the filters.

    Terraform calls DescribeGlobalClusters whenever it reads a cluster.
    """
    name = call.params.get("GlobalClusterIdentifier")
    authorize_with_tags(call, "global-cluster", name or "*")
    if name:
        raise AwsError("GlobalClusterNotFoundFault", f"Global cluster {name} not found.", 404)
    return {"GlobalClusters": []}


def _wrong_state(cluster: Database) -> AwsError:
    message = (
        f"DbCluster {get_identifier(cluster)} is in {get_cluster_status(cluster)} state, "
        "which does not allow this operation."
    )
    return AwsError("InvalidDBClusterStateFault", message)


def _with_current_state(operation: Operation) -> Operation:
    """Wrap a handler, so that the statuses of all databases are refreshed before every call."""

    def handle(call: Call) -> dict[str, Any]:
        refresh_statuses()
        return operation(call)

    return Operation(handle, operation.params)


HANDLERS: Final[dict[str, Operation]] = {
    name: _with_current_state(operation)
    for name, operation in {
        "CreateDBCluster": create_db_cluster,
        "DescribeDBClusters": describe_db_clusters,
        "ModifyDBCluster": modify_db_cluster,
        "DeleteDBCluster": delete_db_cluster,
        "StopDBCluster": stop_db_cluster,
        "StartDBCluster": start_db_cluster,
        "DescribeGlobalClusters": describe_global_clusters,
        **instances.HANDLERS,
        **resources.HANDLERS,
        **restores.HANDLERS,
    }.items()
}
