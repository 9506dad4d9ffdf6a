"""Clusters, instances and final snapshots in RDS's format. Constant fields are rendered only once."""

import secrets
import string
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from bench.stand_in.messages import render_xml
from byok.domain.arns import partition_of_region
from localaws.state import PLATFORM_ACCOUNT

_VERSION: Final = "17.5"
_PORT: Final = 5432
_Params = Mapping[str, str]
_INHERITED: Final = (
    *("BackupRetentionPeriod", "Engine", "EngineVersion", "KmsKeyId", "MasterUsername", "StorageEncrypted"),
    *("StorageEncryptionType", "IAMDatabaseAuthenticationEnabled", "VpcSecurityGroups", "PreferredBackupWindow"),
)
_OF_A_SNAPSHOT: Final = (
    *("AvailabilityZones", "ClusterCreateTime", "DBClusterIdentifier", "DbClusterResourceId", "Engine"),
    *("EngineVersion", "IAMDatabaseAuthenticationEnabled", "KmsKeyId", "MasterUsername", "Port", "StorageEncrypted"),
    "StorageEncryptionType",
)


@dataclass(slots=True)
class DatabaseRecord:
    """A cluster, an instance or a snapshot.

    Attributes:
        fields: The fields of the response that never change.
        written: The same fields, rendered as XML.
        number: The record's sequence number, which increases with every new record. A page's marker is the number of
            the last record on the page.
        until: The time at which the creation or deletion is complete.
        members: The instances of a cluster.
    """

    name: str
    fields: dict[str, Any]
    number: int
    until: float
    cluster: "DatabaseRecord | None" = None
    deleting: bool = False
    protected: bool = False
    members: dict[str, "DatabaseRecord"] = field(default_factory=dict)
    written: str = ""

    def __post_init__(self) -> None:
        self.written = render_xml(self.fields)

    def status(self, now: float) -> str | None:
        """Return the status at `now`, or None if the deletion is complete."""
        if now < self.until:
            return "deleting" if self.deleting else "creating"
        return None if self.deleting else "available"


def build_cluster_fields(region: str, name: str, params: _Params) -> dict[str, Any]:
    """Build the fields of a new cluster from the parameters of CreateDBCluster."""
    key, now = params.get("KmsKeyId"), _now()
    host = f"{secrets.token_hex(6)}.{region}.rds.amazonaws.com"
    logs, scaling = _read_list(params, "EnableCloudwatchLogsExports.member"), "ServerlessV2ScalingConfiguration"
    groups = _read_list(params, "VpcSecurityGroupIds.VpcSecurityGroupId")
    capacity = {bound: params.get(f"{scaling}.{bound}") for bound in ("MinCapacity", "MaxCapacity")}
    return {
        "AllocatedStorage": 1,
        "AvailabilityZones": ("AvailabilityZone", [f"{region}{zone}" for zone in "abc"]),
        "BackupRetentionPeriod": params.get("BackupRetentionPeriod", "1"),
        "DatabaseName": params.get("DatabaseName"),
        "DBClusterIdentifier": name,
        "DBClusterParameterGroup": f"default.{params['Engine']}",
        "DBSubnetGroup": params.get("DBSubnetGroupName", "default"),
        "EarliestRestorableTime": now,
        "Endpoint": f"{name}.cluster-{host}",
        "ReaderEndpoint": f"{name}.cluster-ro-{host}",
        "MultiAZ": "false",
        "Engine": params["Engine"],
        "EngineVersion": params.get("EngineVersion", _VERSION),
        "Port": _PORT,
        "MasterUsername": params.get("MasterUsername"),
        "PreferredBackupWindow": "03:00-03:30",
        "PreferredMaintenanceWindow": "sun:04:00-sun:04:30",
        "ReadReplicaIdentifiers": ("ReadReplicaIdentifier", []),
        "VpcSecurityGroups": (
            "VpcSecurityGroupMembership",
            [{"VpcSecurityGroupId": group, "Status": "active"} for group in groups],
        ),
        "StorageEncrypted": "true" if key else "false",
        "StorageEncryptionType": "sse-kms" if key else "sse-rds",
        "KmsKeyId": key,
        "DbClusterResourceId": _resource_id("cluster"),
        "DBClusterArn": _arn(region, "cluster", name),
        "AssociatedRoles": ("DBClusterRole", []),
        "IAMDatabaseAuthenticationEnabled": params.get("EnableIAMDatabaseAuthentication", "false"),
        "ClusterCreateTime": now,
        "EnabledCloudwatchLogsExports": ("member", logs) if logs else None,
        "EngineMode": "provisioned",
        "AutoMinorVersionUpgrade": "true",
        "HttpEndpointEnabled": "false",
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", "false"),
        "CrossAccountClone": "false",
        "TagList": ("Tag", _tags(params)),
        "NetworkType": "IPV4",
        "ServerlessV2ScalingConfiguration": capacity if any(capacity.values()) else None,
        "PerformanceInsightsEnabled": "false",
        "EngineLifecycleSupport": params.get("EngineLifecycleSupport", "open-source-rds-extended-support"),
    }


def build_instance_fields(region: str, name: str, params: _Params, cluster: DatabaseRecord) -> dict[str, Any]:
    """Build the fields of a new instance from the parameters of CreateDBInstance and from the fields of its cluster."""
    return {inherited: cluster.fields[inherited] for inherited in _INHERITED} | {
        "DBInstanceIdentifier": name,
        "DBInstanceArn": _arn(region, "db", name),
        "DbiResourceId": _resource_id("db"),
        "DBClusterIdentifier": cluster.name,
        "DBInstanceClass": params["DBInstanceClass"],
        "AllocatedStorage": 1,
        "AutoMinorVersionUpgrade": params.get("AutoMinorVersionUpgrade", "true"),
        "AvailabilityZone": f"{region}a",
        "CopyTagsToSnapshot": params.get("CopyTagsToSnapshot", cluster.fields["CopyTagsToSnapshot"]),
        "DeletionProtection": "false",
        "InstanceCreateTime": _now(),
        "LicenseModel": "postgresql-license",
        "MultiAZ": "false",
        "PerformanceInsightsEnabled": params.get("EnablePerformanceInsights", "false"),
        "PreferredMaintenanceWindow": "sun:04:00-sun:04:30",
        "PromotionTier": 1,
        "PubliclyAccessible": params.get("PubliclyAccessible", "false"),
        "StorageType": "aurora",
        "TagList": ("Tag", _tags(params)),
    }


def build_snapshot_fields(region: str, name: str, cluster: DatabaseRecord) -> dict[str, Any]:
    """Build the fields of a final snapshot of a cluster. The snapshot is encrypted with the cluster's key."""
    copied = cluster.fields["CopyTagsToSnapshot"] == "true"
    return {shared: cluster.fields[shared] for shared in _OF_A_SNAPSHOT} | {
        "DBClusterSnapshotIdentifier": name,
        "DBClusterSnapshotArn": _arn(region, "cluster-snapshot", name),
        "SnapshotCreateTime": _now(),
        "SnapshotType": "manual",
        "AllocatedStorage": 1,
        "TagList": cluster.fields["TagList"] if copied else ("Tag", []),
    }


def render_cluster(cluster: DatabaseRecord) -> str:
    """Render a cluster in its current state as DBCluster. The first instance is the writer."""
    now = time.time()
    members = "".join(
        f"<DBClusterMember><DBInstanceIdentifier>{instance.name}</DBInstanceIdentifier><IsClusterWriter>"
        f"{'false' if index else 'true'}</IsClusterWriter><DBClusterParameterGroupStatus>in-sync"
        "</DBClusterParameterGroupStatus><PromotionTier>1</PromotionTier></DBClusterMember>"
        for index, instance in enumerate(one for one in cluster.members.values() if one.status(now))
    )
    return (
        f"<DBCluster>{cluster.written}<Status>{cluster.status(now)}</Status><LatestRestorableTime>{_now()}"
        f"</LatestRestorableTime><DBClusterMembers>{members}</DBClusterMembers><DeletionProtection>"
        f"{'true' if cluster.protected else 'false'}</DeletionProtection></DBCluster>"
    )


def render_instance(instance: DatabaseRecord) -> str:
    """Render an instance in its current state as DBInstance. A new instance has no address until it is available."""
    status, address = instance.status(time.time()), ""
    if status != "creating" and instance.cluster is not None:
        host = instance.cluster.fields["Endpoint"].partition(".cluster-")[2]
        endpoint = {"Address": f"{instance.name}.{host}", "Port": _PORT, "HostedZoneId": "Z2R2ITUGPM61AM"}
        address = render_xml({"Endpoint": endpoint})
    return f"<DBInstance>{instance.written}<DBInstanceStatus>{status}</DBInstanceStatus>{address}</DBInstance>"


def render_snapshot(snapshot: DatabaseRecord) -> str:
    """Render a snapshot in its current state as DBClusterSnapshot."""
    status = snapshot.status(time.time())
    changing = render_xml({"Status": status, "PercentProgress": 0 if status == "creating" else 100})
    return f"<DBClusterSnapshot>{snapshot.written}{changing}</DBClusterSnapshot>"


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _arn(region: str, kind: str, name: str) -> str:
    partition = partition_of_region(region)
    return f"arn:{partition}:rds:{region}:{PLATFORM_ACCOUNT}:{kind}:{name}"


def _resource_id(prefix: str) -> str:
    letters = string.ascii_uppercase + string.digits
    return f"{prefix}-{''.join(secrets.choice(letters) for _ in range(26))}"


def _read_list(params: _Params, prefix: str) -> list[str]:
    """Return the items of a list in order: prefix.1, prefix.2, …."""
    found: list[str] = []
    while (item := params.get(f"{prefix}.{len(found) + 1}")) is not None:
        found.append(item)
    return found


def _tags(params: _Params) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    while (key := params.get(f"Tags.Tag.{len(found) + 1}.Key")) is not None:
        found.append({"Key": key, "Value": params.get(f"Tags.Tag.{len(found) + 1}.Value", "")})
    return found
