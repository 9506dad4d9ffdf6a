"""Restores: a new cluster from a snapshot, or from the automated backups of a cluster.

The new cluster uses the key of its source. A restore creates an Aurora resource, so the caller needs the same
permissions on the key as for CreateDBCluster (Aurora user guide, "AWS KMS key management"), and the key must be usable.
A restore with a different key is not modelled.
"""

import dataclasses
from typing import Any, Final

from localaws.call import AwsError, Call, Operation, models
from localaws.rds.input import check_tags, invalid_combination_error, parse_identifier
from localaws.rds.keys import authorize_storage_key, create_storage_grant
from localaws.rds.lifecycle import DatabaseStatus
from localaws.rds.permissions import authorize_with_tags
from localaws.rds.records import build_cluster_output, render_cluster
from localaws.rds.resources import require_subnet_group
from localaws.rds.state import (
    build_database_id,
    get_cluster_status,
    get_identifier,
    new_lifecycle,
    require_cluster,
    require_snapshot,
)
from localaws.state import STATE, Database

# Values that the new cluster inherits from its source.
_RESTORED: Final = ("DatabaseName", "Engine", "EngineVersion", "KmsKeyId", "MasterUsername", "Port", "StorageEncrypted")


@models(
    *("DBClusterIdentifier", "SnapshotIdentifier", "Engine", "DBSubnetGroupName", "DeletionProtection"),
    *("EnableIAMDatabaseAuthentication", "ServerlessV2ScalingConfiguration", "Tags", "VpcSecurityGroupIds"),
)
def restore_from_snapshot(call: Call) -> dict[str, Any]:
    """RestoreDBClusterFromSnapshot."""
    name = parse_identifier(call.params, "DBClusterIdentifier")
    authorize_with_tags(call, "cluster", name)
    snapshot = require_snapshot(call, call.params["SnapshotIdentifier"])
    if call.params["Engine"] != snapshot.output["Engine"]:
        raise invalid_combination_error("The engine of the snapshot and the requested engine differ.")
    return _restore(call, name, snapshot)


@models(
    *("DBClusterIdentifier", "SourceDBClusterIdentifier", "UseLatestRestorableTime", "DBSubnetGroupName"),
    *("DeletionProtection", "EnableIAMDatabaseAuthentication", "ServerlessV2ScalingConfiguration", "Tags"),
    "VpcSecurityGroupIds",
)
def restore_to_point_in_time(call: Call) -> dict[str, Any]:
    """RestoreDBClusterToPointInTime: restore a cluster from automated backups, only to the latest restorable time.

    The source may be a cluster that has lost access to its key, even permanently (AWS re:Post Knowledge Center, "How do
    I resolve an Amazon RDS instance or Amazon Aurora cluster that's in an inaccessible encryption state?").

    Raises:
        AwsError: `InvalidParameterCombination` without `UseLatestRestorableTime`, or `InvalidDBClusterStateFault` for a
            source that is being created or deleted. We found no recording of these messages.
    """
    name = parse_identifier(call.params, "DBClusterIdentifier")
    authorize_with_tags(call, "cluster", name)
    source = require_cluster(call, call.params["SourceDBClusterIdentifier"])
    if not call.params.get("UseLatestRestorableTime"):
        raise invalid_combination_error("RestoreToTime or UseLatestRestorableTime is required.")
    status = get_cluster_status(source)
    if status in {DatabaseStatus.CREATING, DatabaseStatus.DELETING}:
        message = f"DbCluster {get_identifier(source)} is in {status} state, which does not allow this operation."
        raise AwsError("InvalidDBClusterStateFault", message)
    return _restore(call, name, source)


def _restore(call: Call, name: str, source: Database) -> dict[str, Any]:
    """Create the new cluster, unless the name, the input or the key is rejected."""
    if build_database_id(call, name) in STATE.clusters:
        raise AwsError("DBClusterAlreadyExistsFault", "DB Cluster already exists")
    require_subnet_group(call, call.params.get("DBSubnetGroupName"))
    check_tags(call.params.get("Tags", []))
    restored: dict[str, Any] = {member: source.output[member] for member in _RESTORED if member in source.output}
    creation = dataclasses.replace(call, params=restored | call.params)
    storage = authorize_storage_key(creation)
    output = build_cluster_output(creation, name, storage)
    grant = create_storage_grant(creation, storage)
    cluster = Database(output, call.caller.account, call.region, new_lifecycle(), grant)
    STATE.clusters[build_database_id(call, name)] = cluster
    return {"DBCluster": render_cluster(cluster)}


HANDLERS: Final[dict[str, Operation]] = {
    "RestoreDBClusterFromSnapshot": restore_from_snapshot,
    "RestoreDBClusterToPointInTime": restore_to_point_in_time,
}
