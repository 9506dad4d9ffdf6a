"""Finds databases in the state, and computes their current status.

moto's RDS is not used, because it overwrites an existing cluster with the same name, and does not model time, keys or
StorageEncryptionType. Each database is stored as the Describe operations return it, except for the status, which this
module computes.
"""

import time

from localaws.call import AwsError, Call
from localaws.kms.authorization import find_propagated_revision
from localaws.rds.lifecycle import KEY_LOST_STATUSES, DatabaseStatus, Lifecycle
from localaws.state import STATE, Database

DatabaseId = tuple[str, str, str]
"""The account, the Region and the lower-case name of a database."""


def build_database_id(call: Call, name: str) -> DatabaseId:
    """Build the id of a database. Names are unique per account and Region. As in RDS, `name` may also be an ARN."""
    return (call.caller.account, call.region, name.rpartition(":")[2].lower())


def get_identifier(database: Database) -> str:
    """Return the identifier of a cluster or instance."""
    return str(database.output.get("DBInstanceIdentifier") or database.output["DBClusterIdentifier"])


def new_lifecycle(order: DatabaseStatus = DatabaseStatus.CREATING) -> Lifecycle:
    """Create a lifecycle whose transition starts now. The status is `order` until the transition is complete."""
    return Lifecycle(order, time.time() + STATE.database_seconds)


def start_transition(database: Database, status: DatabaseStatus) -> None:
    """Start a transition of a database. The transition takes `STATE.database_seconds`."""
    database.life.transition_to(status, time.time(), STATE.database_seconds)


def require_cluster(call: Call, name: str) -> Database:
    """Return the cluster with the given name in the caller's account and Region.

    Raises:
        AwsError: `DBClusterNotFoundFault`, with the message recorded from AWS.
    """
    cluster = STATE.clusters.get(build_database_id(call, name))
    if cluster is None:
        raise AwsError("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
    return cluster


def require_instance(call: Call, name: str) -> Database:
    """Return the instance with the given name in the caller's account and Region.

    Raises:
        AwsError: `DBInstanceNotFound` (the wire code of DBInstanceNotFoundFault), with the message recorded from AWS.
    """
    instance = STATE.instances.get(build_database_id(call, name))
    if instance is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return instance


def require_snapshot(call: Call, name: str) -> Database:
    """Return the snapshot with the given name in the caller's account and Region.

    Raises:
        AwsError: `DBClusterSnapshotNotFoundFault`.
    """
    snapshot = STATE.snapshots.get(build_database_id(call, name))
    if snapshot is None:
        raise AwsError("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot {name} not found.", 404)
    return snapshot


def find_cluster(instance: Database) -> Database | None:
    """Return the cluster that an instance belongs to."""
    return STATE.clusters.get((instance.account, instance.region, instance.output["DBClusterIdentifier"]))


def list_members(cluster: Database) -> list[Database]:
    """Return the cluster's instances. The first instance is the writer."""
    return [instance for instance in STATE.instances.values() if find_cluster(instance) is cluster]


def get_cluster_status(cluster: Database) -> DatabaseStatus:
    """Return the cluster's status. `refresh_statuses` removes deleted clusters before any call reads a status."""
    return cluster.life.status(time.time()) or DatabaseStatus.DELETING


def get_instance_status(instance: Database) -> DatabaseStatus:
    """Return the instance's own status, or the cluster's status if the cluster is not running."""
    own = instance.life.status(time.time()) or DatabaseStatus.DELETING
    cluster = find_cluster(instance)
    if cluster is None or own is DatabaseStatus.DELETING:
        return own
    shared = get_cluster_status(cluster)
    down = shared in KEY_LOST_STATUSES or shared in {
        DatabaseStatus.STOPPING,
        DatabaseStatus.STOPPED,
        DatabaseStatus.STARTING,
    }
    return shared if down else own


def is_key_usable(cluster: Database) -> bool:
    """Return whether RDS can decrypt the cluster's storage.

    The key must be enabled, and RDS's grant on the key must exist.

    The key policy does not matter, because the grant outlives the caller's permission ("Encrypting Amazon Aurora
    resources").
    """
    if cluster.grant_id is None:
        return True
    key = STATE.keys.get(cluster.output["KmsKeyId"])
    if key is None or cluster.grant_id not in key.grants:
        return False
    return (find_propagated_revision(key) or key.latest).state == "Enabled"


def refresh_statuses() -> None:
    """Update all databases.

    Remove deleted databases, retire the grants of deleted clusters, and detect clusters that lost access to their keys.
    """
    now = time.time()
    for table in (STATE.clusters, STATE.instances, STATE.snapshots):
        for name in [name for name, database in table.items() if database.life.status(now) is None]:
            _retire_grant(table.pop(name))
    for cluster in STATE.clusters.values():
        if not is_key_usable(cluster):
            cluster.life.mark_key_lost(now)


def _retire_grant(database: Database) -> None:
    key = STATE.keys.get(database.output.get("KmsKeyId", ""))
    if key and database.grant_id:
        key.grants.pop(database.grant_id, None)
