"""RDS's records in the format of the API: DBCluster, DBInstance, DBClusterSnapshot."""

import secrets
import string
import time
from datetime import UTC, datetime
from typing import Any, Final

from localaws.call import Call
from localaws.rds.input import ENGINE_DEFAULTS
from localaws.rds.permissions import build_resource_arn
from localaws.rds.state import (
    find_cluster,
    get_cluster_status,
    get_identifier,
    get_instance_status,
    list_members,
    new_lifecycle,
)
from localaws.state import Database

# Input members of CreateDBCluster that DescribeDBClusters returns under the same name.
_ECHOED: Final = (
    "BackupRetentionPeriod",
    "DatabaseName",
    "DatabaseInsightsMode",
    "EngineLifecycleSupport",
    "MasterUsername",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "NetworkType",
    "PerformanceInsightsRetentionPeriod",
    "ServerlessV2ScalingConfiguration",
    "StorageType",
)
# Input members of CreateDBInstance that DescribeDBInstances returns under the same name.
_INSTANCE_ECHOED: Final = (
    "CACertificateIdentifier",
    "DatabaseInsightsMode",
    "MonitoringInterval",
    "MonitoringRoleArn",
    "PerformanceInsightsRetentionPeriod",
)
# Values that an instance inherits from its cluster.
_INHERITED: Final = (
    "BackupRetentionPeriod",
    "Engine",
    "EngineVersion",
    "KmsKeyId",
    "MasterUsername",
    "StorageEncrypted",
    "StorageEncryptionType",
    "IAMDatabaseAuthenticationEnabled",
    "VpcSecurityGroups",
    "PreferredBackupWindow",
)
_SNAPSHOT_OF_CLUSTER: Final = (
    "AvailabilityZones",
    "ClusterCreateTime",
    "DBClusterIdentifier",
    "DbClusterResourceId",
    "Engine",
    "EngineVersion",
    "IAMDatabaseAuthenticationEnabled",
    "KmsKeyId",
    "MasterUsername",
    "Port",
    "StorageEncrypted",
    "StorageEncryptionType",
)


def build_cluster_output(call: Call, identifier: str, key_arn: str | None) -> dict[str, Any]:
    """Build the DBCluster of a new cluster, without the values that are computed on every read.

    For an AWS owned key (`key_arn` is None), `StorageEncryptionType` and `StorageEncrypted` have the values documented
    in botocore's RDS model (`DBCluster`).
    """
    params = call.params
    version, port = ENGINE_DEFAULTS[params["Engine"]]
    now = datetime.now(UTC)
    host = f"{secrets.token_hex(6)}.{call.region}.rds.amazonaws.com"
    output: dict[str, Any] = {
        "DBClusterIdentifier": identifier,
        "DBClusterArn": build_resource_arn(call, "cluster", identifier),
        "DbClusterResourceId": _resource_id("cluster"),
        "Engine": params["Engine"],
        "EngineVersion": params.get("EngineVersion", version),
        "EngineMode": "provisioned",
        "Endpoint": f"{identifier}.cluster-{host}",
        "ReaderEndpoint": f"{identifier}.cluster-ro-{host}",
        "Port": params.get("Port", port),
        "AllocatedStorage": 1,
        "AvailabilityZones": params.get("AvailabilityZones") or [f"{call.region}{zone}" for zone in "abc"],
        "BackupRetentionPeriod": 1,
        "ClusterCreateTime": now,
        "EarliestRestorableTime": now,
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", False),
        "CrossAccountClone": False,
        "DBClusterParameterGroup": params.get("DBClusterParameterGroupName", f"default.{params['Engine']}"),
        "DBSubnetGroup": params.get("DBSubnetGroupName", "default"),
        "DeletionProtection": params.get("DeletionProtection", False),
        "HttpEndpointEnabled": params.get("EnableHttpEndpoint", False),
        "IAMDatabaseAuthenticationEnabled": params.get("EnableIAMDatabaseAuthentication", False),
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "PerformanceInsightsEnabled": params.get("EnablePerformanceInsights", False),
        "PreferredBackupWindow": params.get("PreferredBackupWindow", "03:00-03:30"),
        "PreferredMaintenanceWindow": params.get("PreferredMaintenanceWindow", "sun:04:00-sun:04:30"),
        "EngineLifecycleSupport": "open-source-rds-extended-support",
        "NetworkType": "IPV4",
        "StorageEncrypted": key_arn is not None,
        "StorageEncryptionType": "sse-kms" if key_arn else "sse-rds",
        "MultiAZ": False,
        "ReadReplicaIdentifiers": [],
        "AssociatedRoles": [],
        "VpcSecurityGroups": [
            {"VpcSecurityGroupId": group, "Status": "active"} for group in params.get("VpcSecurityGroupIds", [])
        ],
        "TagList": [dict(tag) for tag in params.get("Tags", [])],
    }
    if params.get("EnableCloudwatchLogsExports"):
        output["EnabledCloudwatchLogsExports"] = list(params["EnableCloudwatchLogsExports"])
    output |= {name: params[name] for name in _ECHOED if params.get(name) is not None}
    if key_arn:
        output["KmsKeyId"] = key_arn
    return output


def render_cluster(cluster: Database) -> dict[str, Any]:
    """Return the DBCluster with its current status and members."""
    instances = [
        {
            "DBInstanceIdentifier": get_identifier(instance),
            "IsClusterWriter": index == 0,
            "DBClusterParameterGroupStatus": "in-sync",
            "PromotionTier": instance.output["PromotionTier"],
        }
        for index, instance in enumerate(list_members(cluster))
    ]
    computed = {"Status": str(get_cluster_status(cluster)), "DBClusterMembers": instances}
    return cluster.output | computed | {"LatestRestorableTime": datetime.now(UTC)}


def build_instance_output(call: Call, identifier: str, cluster: Database) -> dict[str, Any]:
    """Build the DBInstance of a new instance in `cluster`. The instance inherits the encryption of the cluster."""
    params = call.params
    output: dict[str, Any] = {name: cluster.output[name] for name in _INHERITED if name in cluster.output}
    output |= {
        "DBInstanceIdentifier": identifier,
        "DBInstanceArn": build_resource_arn(call, "db", identifier),
        "DbiResourceId": _resource_id("db"),
        "DBClusterIdentifier": get_identifier(cluster),
        "DBInstanceClass": params["DBInstanceClass"],
        "AllocatedStorage": 1,
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", True),
        "AvailabilityZone": params.get("AvailabilityZone", cluster.output["AvailabilityZones"][0]),
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", cluster.output["CopyTagsToSnapshot"]),
        "DeletionProtection": False,
        "InstanceCreateTime": datetime.now(UTC),
        "LicenseModel": "postgresql-license" if "postgres" in cluster.output["Engine"] else "general-public-license",
        "MultiAZ": False,
        "PerformanceInsightsEnabled": params.get("EnablePerformanceInsights", False),
        "PreferredMaintenanceWindow": params.get("PreferredMaintenanceWindow", "sun:04:00-sun:04:30"),
        "PromotionTier": params.get("PromotionTier", 1),
        # In AWS, the default of PubliclyAccessible depends on the subnet group. In the local AWS emulator, no subnet
        # group has Internet access.
        "PubliclyAccessible": params.get("PubliclyAccessible", False),
        "StorageType": "aurora",
        "TagList": [dict(tag) for tag in params.get("Tags", [])],
    }
    return output | {name: params[name] for name in _INSTANCE_ECHOED if params.get(name) is not None}


def render_instance(instance: Database) -> dict[str, Any]:
    """Return the DBInstance with its current status. While the instance is being created, it has no address."""
    status = get_instance_status(instance)
    output = instance.output | {"DBInstanceStatus": str(status)}
    cluster = find_cluster(instance)
    if cluster and status != "creating":
        host = cluster.output["Endpoint"].partition(".cluster-")[2]
        address = f"{get_identifier(instance)}.{host}"
        output["Endpoint"] = {"Address": address, "Port": cluster.output["Port"], "HostedZoneId": "Z2R2ITUGPM61AM"}
    return output


def build_snapshot(cluster: Database, identifier: str, tags: list[dict[str, str]] | None) -> Database:
    """Build a manual snapshot of `cluster`, encrypted with the same key (contract 122).

    `tags`, if given, replace the tags that CopyTagsToSnapshot would copy.
    """
    output: dict[str, Any] = {name: cluster.output[name] for name in _SNAPSHOT_OF_CLUSTER if name in cluster.output}
    copied = cluster.output["TagList"] if cluster.output["CopyTagsToSnapshot"] else []
    output |= {
        "DBClusterSnapshotIdentifier": identifier,
        "DBClusterSnapshotArn": f"{cluster.output['DBClusterArn'].rsplit(':', 2)[0]}:cluster-snapshot:{identifier}",
        "SnapshotCreateTime": datetime.now(UTC),
        "SnapshotType": "manual",
        "AllocatedStorage": 1,
        "TagList": [dict(tag) for tag in (copied if tags is None else tags)],
    }
    return Database(output, cluster.account, cluster.region, new_lifecycle())


def render_snapshot(snapshot: Database) -> dict[str, Any]:
    """Return the DBClusterSnapshot with its current status."""
    status = str(snapshot.life.status(time.time()) or "deleted")
    return snapshot.output | {"Status": status, "PercentProgress": 0 if status == "creating" else 100}


def _resource_id(prefix: str) -> str:
    """Generate an immutable id in RDS's format: a prefix, followed by 26 capital letters and digits."""
    letters = string.ascii_uppercase + string.digits
    return f"{prefix}-{''.join(secrets.choice(letters) for _ in range(26))}"
