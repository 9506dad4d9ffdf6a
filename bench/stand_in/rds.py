"""RDS's operations on Aurora clusters, their instances and final snapshots."""

import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from bench.stand_in.copies import CopyTexts
from bench.stand_in.databases import (
    DatabaseRecord,
    build_cluster_fields,
    build_instance_fields,
    build_snapshot_fields,
    render_cluster,
    render_instance,
    render_snapshot,
)
from bench.stand_in.messages import AwsError, not_modelled_error, render_xml

XML_NAMESPACE: Final = "http://rds.amazonaws.com/doc/2014-10-31/"

_Params = Mapping[str, str]
_Table = dict[str, DatabaseRecord]
_LISTING: Final = ("Filters", "MaxRecords", "Marker")
_PARAMETERS: Final = {
    "CreateDBCluster": (
        *("DBClusterIdentifier", "Engine", "EngineMode", "EngineVersion", "ServerlessV2ScalingConfiguration"),
        *("DatabaseName", "MasterUsername", "MasterUserAuthenticationType", "StorageEncrypted", "KmsKeyId"),
        *("EnableIAMDatabaseAuthentication", "DeletionProtection", "BackupRetentionPeriod", "CopyTagsToSnapshot"),
        *("EnableCloudwatchLogsExports", "EngineLifecycleSupport", "DBSubnetGroupName", "VpcSecurityGroupIds", "Tags"),
    ),
    "CreateDBInstance": (
        *("DBInstanceIdentifier", "DBClusterIdentifier", "Engine", "DBInstanceClass", "PubliclyAccessible"),
        *("AutoMinorVersionUpgrade", "CopyTagsToSnapshot", "EnablePerformanceInsights", "Tags"),
    ),
    "DescribeDBClusters": ("DBClusterIdentifier", *_LISTING),
    "DescribeDBInstances": ("DBInstanceIdentifier", *_LISTING),
    "DescribeDBClusterSnapshots": ("DBClusterSnapshotIdentifier",),
    "ModifyDBCluster": ("DBClusterIdentifier", "DeletionProtection", "ApplyImmediately"),
    "DeleteDBCluster": ("DBClusterIdentifier", "SkipFinalSnapshot", "FinalDBSnapshotIdentifier"),
    "DeleteDBInstance": ("DBInstanceIdentifier", "SkipFinalSnapshot"),
}


class RdsService:
    """The databases by Region and name, and RDS's operations. An operation takes parameters, and returns XML."""

    def __init__(self, seconds: float, page: int) -> None:
        self._seconds, self._page, self._made = seconds, page, 0
        self._clusters: dict[str, _Table] = defaultdict(dict)
        self._instances: dict[str, _Table] = defaultdict(dict)
        self._snapshots: dict[str, _Table] = defaultdict(dict)
        self.handlers: dict[str, Callable[[str, dict[str, str]], str]] = {
            "CreateDBCluster": self.create_cluster,
            "DescribeDBClusters": self.describe_clusters,
            "ModifyDBCluster": self.modify_cluster,
            "DeleteDBCluster": self.delete_cluster,
            "CreateDBInstance": self.create_instance,
            "DescribeDBInstances": self.describe_instances,
            "DeleteDBInstance": self.delete_instance,
            "DescribeDBClusterSnapshots": self.describe_snapshots,
        }

    def create_cluster(self, region: str, params: _Params) -> str:
        """CreateDBCluster."""
        _only("CreateDBCluster", params)
        name, table = params["DBClusterIdentifier"].lower(), self._clusters[region]
        if _living(table, name):
            raise AwsError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
        fields = build_cluster_fields(region, name, params)
        made = self._new(name, fields, protected=params.get("DeletionProtection") == "true")
        table[name] = made
        return render_cluster(made)

    def describe_clusters(self, region: str, params: _Params) -> str:
        """DescribeDBClusters: return one cluster by name, or a page of the clusters that match the filter."""
        _only("DescribeDBClusters", params)
        table, name = self._clusters[region], params.get("DBClusterIdentifier")
        if name:
            return f"<DBClusters>{render_cluster(_cluster_named(table, name))}</DBClusters>"
        names = _filter(params, "db-cluster-id")
        found = list(table.values()) if names is None else _those(table, names)
        shown, marker = self._page_of(table, found, params)
        return f"<DBClusters>{''.join(map(render_cluster, shown))}</DBClusters>{marker}"

    def modify_cluster(self, region: str, params: _Params) -> str:
        """ModifyDBCluster: set the deletion protection."""
        _only("ModifyDBCluster", params)
        cluster = _cluster_named(self._clusters[region], params["DBClusterIdentifier"])
        if "DeletionProtection" in params:
            cluster.protected = params["DeletionProtection"] == "true"
        return render_cluster(cluster)

    def delete_cluster(self, region: str, params: _Params) -> str:
        """DeleteDBCluster.

        The cluster must be available and not protected, and all of its instances must be in the `deleting` state.
        """
        _only("DeleteDBCluster", params)
        cluster = _cluster_named(self._clusters[region], params["DBClusterIdentifier"])
        if cluster.protected:
            message = "Cannot delete protected Cluster, please disable deletion protection and try again."
            raise AwsError("InvalidParameterCombination", message)
        if any(not instance.deleting for instance in cluster.members.values()):
            message = "Cluster cannot be deleted, it still contains DB instances in non-deleting state."
            raise AwsError("InvalidDBClusterStateFault", message)
        status = cluster.status(time.time())
        if status != "available":
            message = f"DbCluster {cluster.name} is in {status} state, which does not allow this operation."
            raise AwsError("InvalidDBClusterStateFault", message)
        snapshot = params.get("FinalDBSnapshotIdentifier")
        if snapshot:
            fields = build_snapshot_fields(region, snapshot.lower(), cluster)
            self._snapshots[region][snapshot.lower()] = self._new(snapshot.lower(), fields)
        self._delete(cluster)
        return render_cluster(cluster)

    def create_instance(self, region: str, params: _Params) -> str:
        """CreateDBInstance: create an instance, which inherits its cluster's encryption."""
        _only("CreateDBInstance", params)
        name, table = params["DBInstanceIdentifier"].lower(), self._instances[region]
        if _living(table, name):
            raise AwsError("DBInstanceAlreadyExists", "DB instance already exists")
        cluster = _cluster_named(self._clusters[region], params.get("DBClusterIdentifier", ""))
        made = table[name] = self._new(name, build_instance_fields(region, name, params, cluster), cluster=cluster)
        cluster.members[name] = made
        return render_instance(made)

    def describe_instances(self, region: str, params: _Params) -> str:
        """DescribeDBInstances: return one instance by name, or a page of the instances that match the filter."""
        _only("DescribeDBInstances", params)
        table, name = self._instances[region], params.get("DBInstanceIdentifier")
        if name:
            return f"<DBInstances>{render_instance(_instance_named(table, name))}</DBInstances>"
        names = _filter(params, "db-instance-id")
        found = list(table.values()) if names is None else _those(table, names)
        shown, marker = self._page_of(table, found, params)
        return f"<DBInstances>{''.join(map(render_instance, shown))}</DBInstances>{marker}"

    def delete_instance(self, region: str, params: _Params) -> str:
        """DeleteDBInstance."""
        _only("DeleteDBInstance", params)
        instance = _instance_named(self._instances[region], params["DBInstanceIdentifier"])
        status = instance.status(time.time())
        if status != "available":
            message = f"Instance {instance.name} is {status} and cannot be deleted now."
            raise AwsError("InvalidDBInstanceState", message)
        self._delete(instance)
        return render_instance(instance)

    def describe_snapshots(self, region: str, params: _Params) -> str:
        """DescribeDBClusterSnapshots: return one snapshot by name."""
        _only("DescribeDBClusterSnapshots", params)
        name = params.get("DBClusterSnapshotIdentifier")
        if name is None:
            raise not_modelled_error("DescribeDBClusterSnapshots without DBClusterSnapshotIdentifier")
        found = _living(self._snapshots[region], name)
        if found is None:
            raise AwsError("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot {name} not found.", 404)
        return f"<DBClusterSnapshots>{render_snapshot(found)}</DBClusterSnapshots>"

    def copy_environment(self, copies: Sequence[CopyTexts]) -> None:
        """Copy the clusters of the original with their instances. The copies are available immediately."""
        for region, clusters in self._clusters.items():
            for cluster in [one for one in clusters.values() if copies[0].changes(one.name)]:
                for texts in copies:
                    made = clusters[texts.replace(cluster.name)] = self._copy(cluster, texts)
                    for member in cluster.members.values():
                        copied = self._copy(member, texts, made)
                        self._instances[region][copied.name] = made.members[copied.name] = copied

    def _copy(
        self, database: DatabaseRecord, texts: CopyTexts, cluster: DatabaseRecord | None = None
    ) -> DatabaseRecord:
        self._made += 1
        name, fields = texts.replace(database.name), texts.replace(database.fields)
        return DatabaseRecord(name, fields, self._made, time.time(), cluster, protected=database.protected)

    def _new(self, name: str, fields: dict[str, Any], **more: Any) -> DatabaseRecord:
        self._made += 1
        return DatabaseRecord(name, fields, self._made, time.time() + self._seconds, **more)

    def _delete(self, database: DatabaseRecord) -> None:
        database.deleting, database.until = True, time.time() + self._seconds

    def _page_of(self, table: _Table, found: list[DatabaseRecord], params: _Params) -> tuple[list[DatabaseRecord], str]:
        """Return one page of databases, and the marker of the next page. Remove deleted databases from the table."""
        begin = bisect_right(found, int(params.get("Marker", 0)), key=_number)
        end = begin + int(params.get("MaxRecords", self._page))
        page = found[begin:end]
        marker = render_xml({"Marker": page[-1].number}) if end < len(found) else ""
        return [one for one in page if _living(table, one.name)], marker


def _number(database: DatabaseRecord) -> int:
    return database.number


def _only(operation: str, params: _Params) -> None:
    unknown = {name.partition(".")[0] for name in params}.difference(_PARAMETERS[operation])
    if unknown:
        raise not_modelled_error(f"{', '.join(sorted(unknown))} of {operation}")


def _living(table: _Table, name: str) -> DatabaseRecord | None:
    """Return the database with this name or ARN, or None. A deleted database is removed from the table."""
    name = name.rpartition(":")[2].lower()
    found = table.get(name)
    if found is not None and found.status(time.time()) is None:
        del table[name]
        if found.cluster is not None:
            found.cluster.members.pop(name, None)
        return None
    return found


def _cluster_named(table: _Table, name: str) -> DatabaseRecord:
    found = _living(table, name)
    if found is None:
        raise AwsError("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
    return found


def _instance_named(table: _Table, name: str) -> DatabaseRecord:
    found = _living(table, name)
    if found is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return found


def _those(table: _Table, names: Iterable[str]) -> list[DatabaseRecord]:
    """Return the existing databases that have these names, in order of creation."""
    found = {one.number: one for one in (_living(table, name) for name in names) if one}
    return [found[number] for number in sorted(found)]


def _filter(params: _Params, by: str) -> list[str] | None:
    """Return the names in the call's filter, or None if the call has no filter.

    Args:
        params: The parameters of the call.
        by: The name of the only filter that the stand-in supports.

    Raises:
        AwsError: The call has several filters, or a filter with another name.
    """
    given = {name: value for name, value in params.items() if name.startswith("Filters.")}
    if not given:
        return None
    if given.pop("Filters.Filter.1.Name", None) != by or not all(
        name.startswith("Filters.Filter.1.Values.Value.") for name in given
    ):
        raise not_modelled_error(f"filters except a single filter by {by}")
    return list(given.values())
