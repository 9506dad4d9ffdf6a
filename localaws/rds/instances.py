"""Instances of Aurora clusters. Instances without a cluster are not modelled."""

from typing import Any, Final

from localaws.call import AwsError, Call, Handler
from localaws.rds.input import SERVERLESS_CLASS, check_insights, check_tags, identifier, invalid_combination
from localaws.rds.keys import insights_key
from localaws.rds.lifecycle import Status
from localaws.rds.permissions import authorize_with_tags, refuse_unmodelled_params
from localaws.rds.records import new_instance, render_instance
from localaws.rds.resources import filter_databases, must_have_subnet_group
from localaws.rds.state import (
    cluster_named,
    cluster_status,
    id_of,
    instance_named,
    instance_status,
    name_of,
    new_lifecycle,
    start_transition,
)
from localaws.state import WORLD, Database

_CREATE: Final = frozenset(
    [
        "AutoMinorVersionUpgrade",
        "AvailabilityZone",
        "CACertificateIdentifier",
        "CopyTagsToSnapshot",
        "DBClusterIdentifier",
        "DBInstanceClass",
        "DBInstanceIdentifier",
        "DBSubnetGroupName",
        "DatabaseInsightsMode",
        "EnablePerformanceInsights",
        "Engine",
        "EngineVersion",
        "MonitoringInterval",
        "MonitoringRoleArn",
        "PerformanceInsightsKMSKeyId",
        "PerformanceInsightsRetentionPeriod",
        "PreferredMaintenanceWindow",
        "PromotionTier",
        "PubliclyAccessible",
        "Tags",
    ]
)
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


def create_db_instance(call: Call) -> dict[str, Any]:
    """CreateDBInstance in a cluster that is there or on its way; encryption comes from the cluster."""
    name = identifier(call.params, "DBInstanceIdentifier")
    authorize_with_tags(call, "db", name)
    if id_of(call, name) in WORLD.instances:
        raise AwsError("DBInstanceAlreadyExists", "DB instance already exists")  # recorded; nothing changes
    if not call.params.get("DBClusterIdentifier"):
        raise AwsError("NotImplemented", "The local AWS models DB instances of Aurora clusters only.", 501)
    for given, words in _OF_THE_CLUSTER.items():
        if call.params.get(given) is not None:  # the form is recorded, for the storage encryption key
            what = f"its {words} should not be set directly."
            raise invalid_combination(f"The requested DB Instance will be a member of a DB Cluster and {what}")
    refuse_unmodelled_params(call, _CREATE)
    cluster = cluster_named(call, call.params["DBClusterIdentifier"])
    _must_take_instances(call, cluster)
    check_tags(call.params.get("Tags", []))
    check_insights(call.params)
    must_have_subnet_group(call, call.params.get("DBSubnetGroupName"))
    insights = insights_key(call)
    output = new_instance(call, name, cluster)
    if insights:
        output["PerformanceInsightsKMSKeyId"] = insights
    instance = Database(output, call.caller.account, call.region, new_lifecycle())
    WORLD.instances[id_of(call, name)] = instance
    return {"DBInstance": render_instance(instance)}


def describe_db_instances(call: Call) -> dict[str, Any]:
    """DescribeDBInstances: one by name, or all of the account and Region, filtered."""
    refuse_unmodelled_params(call, ("DBInstanceIdentifier", "Filters", "MaxRecords"))
    name = call.params.get("DBInstanceIdentifier")
    authorize_with_tags(call, "db", name or "*")
    found = [instance_named(call, name)] if name else list(WORLD.instances.values())
    names = {"db-instance-id": ("DBInstanceIdentifier", "DBInstanceArn"), "db-cluster-id": ("DBClusterIdentifier",)}
    names |= {"engine": ("Engine",), "dbi-resource-id": ("DbiResourceId",)}
    return {"DBInstances": [render_instance(instance) for instance in filter_databases(call, found, names)]}


def delete_db_instance(call: Call) -> dict[str, Any]:
    """DeleteDBInstance: a member takes no final snapshot, because the storage is the cluster's."""
    refuse_unmodelled_params(
        call, ("DBInstanceIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier", "DeleteAutomatedBackups")
    )
    instance = instance_named(call, call.params["DBInstanceIdentifier"])
    authorize_with_tags(call, "db", name_of(instance))
    if call.params.get("FinalDBSnapshotIdentifier"):  # recorded
        raise invalid_combination("FinalDBSnapshotIdentifier can not be specified when deleting a cluster instance")
    # A cluster that lost its key does not keep its instances: they can be deleted (recorded, aws-nuke 951).
    status = instance_status(instance)
    if status in {Status.CREATING, Status.DELETING, Status.STARTING, Status.STOPPING}:
        message = f"Instance {name_of(instance)} is {status} and cannot be deleted now."
        raise AwsError("InvalidDBInstanceState", message)
    start_transition(instance, Status.DELETING)
    return {"DBInstance": render_instance(instance)}


def _must_take_instances(call: Call, cluster: Database) -> None:
    name, status = name_of(cluster), cluster_status(cluster)
    if status not in {Status.CREATING, Status.AVAILABLE}:
        message = f"DbCluster {name} is in {status} state, which does not allow adding an instance."
        raise AwsError("InvalidDBClusterStateFault", message)
    if call.params["Engine"] != cluster.output["Engine"]:
        message = (
            f"The engine name requested for your DB instance ({call.params['Engine']}) doesn't match the engine name "
        )
        raise invalid_combination(f"{message}of your DB cluster ({cluster.output['Engine']}).")
    if call.params["DBInstanceClass"] == SERVERLESS_CLASS and "ServerlessV2ScalingConfiguration" not in cluster.output:
        message = (
            "Set the Serverless v2 scaling configuration on the parent DB cluster before creating a Serverless v2 "
        )
        raise AwsError("InvalidDBClusterStateFault", f"{message}DB instance.")  # recorded


HANDLERS: Final[dict[str, Handler]] = {
    "CreateDBInstance": create_db_instance,
    "DescribeDBInstances": describe_db_instances,
    "DeleteDBInstance": delete_db_instance,
}
