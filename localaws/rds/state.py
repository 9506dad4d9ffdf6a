"""Finding databases in the world, and the status they have now.

moto's RDS is not used: it overwrites a cluster when the name is taken, and knows no time, no key and no
StorageEncryptionType. A record keeps the answer in the shape of the API; only the status is computed, here.
"""

import time

from localaws.call import AwsError, Call
from localaws.kms.authorization import propagated_facts
from localaws.rds.lifecycle import WITHOUT_KEY, Lifecycle, Status
from localaws.state import WORLD, Database

Id = tuple[str, str, str]
"""Account, Region and lower-case name."""


def id_of(call: Call, name: str) -> Id:
    """Names are unique per account and Region. An ARN is taken where a name is, as RDS does."""
    return (call.caller.account, call.region, name.rpartition(":")[2].lower())


def name_of(database: Database) -> str:
    """The identifier of a cluster or instance."""
    return str(database.output.get("DBInstanceIdentifier") or database.output["DBClusterIdentifier"])


def new_lifecycle(order: Status = Status.CREATING) -> Lifecycle:
    """A life that begins now with `order`."""
    return Lifecycle(order, time.time() + WORLD.database_seconds)


def start_transition(database: Database, status: Status) -> None:
    """Give a database an order; it is done after `WORLD.database_seconds`."""
    database.life.transition_to(status, time.time(), WORLD.database_seconds)


def cluster_named(call: Call, name: str) -> Database:
    """The caller's cluster.

    Raises:
        AwsError: `DBClusterNotFoundFault`, recorded text.
    """
    cluster = WORLD.clusters.get(id_of(call, name))
    if cluster is None:
        raise AwsError("DBClusterNotFoundFault", f"DBCluster {name} not found.", 404)
    return cluster


def instance_named(call: Call, name: str) -> Database:
    """The caller's instance.

    Raises:
        AwsError: `DBInstanceNotFound` (the wire code of DBInstanceNotFoundFault), recorded text.
    """
    instance = WORLD.instances.get(id_of(call, name))
    if instance is None:
        raise AwsError("DBInstanceNotFound", f"DBInstance {name} not found.", 404)
    return instance


def snapshot_named(call: Call, name: str) -> Database:
    """The caller's snapshot.

    Raises:
        AwsError: `DBClusterSnapshotNotFoundFault`.
    """
    snapshot = WORLD.snapshots.get(id_of(call, name))
    if snapshot is None:
        raise AwsError("DBClusterSnapshotNotFoundFault", f"DBClusterSnapshot {name} not found.", 404)
    return snapshot


def cluster_of(instance: Database) -> Database | None:
    """The cluster an instance is a member of."""
    return WORLD.clusters.get((instance.account, instance.region, instance.output["DBClusterIdentifier"]))


def members(cluster: Database) -> list[Database]:
    """The cluster's instances; the first is the writer."""
    return [instance for instance in WORLD.instances.values() if cluster_of(instance) is cluster]


def cluster_status(cluster: Database) -> Status:
    """The cluster's status. What is gone was swept before anyone asks."""
    return cluster.life.status(time.time()) or Status.DELETING


def instance_status(instance: Database) -> Status:
    """The instance's own status, unless its cluster is down: that takes it along."""
    own = instance.life.status(time.time()) or Status.DELETING
    cluster = cluster_of(instance)
    if cluster is None or own is Status.DELETING:
        return own
    shared = cluster_status(cluster)
    down = shared in WITHOUT_KEY or shared in {Status.STOPPING, Status.STOPPED, Status.STARTING}
    return shared if down else own


def key_is_usable(cluster: Database) -> bool:
    """Whether the cluster's storage can be decrypted: its key is enabled and RDS's grant on it stands.

    The key's policy has no say: the grant outlives the caller's permission ("Encrypting Amazon Aurora resources").
    """
    if cluster.grant_id is None:
        return True
    key = WORLD.keys.get(cluster.output["KmsKeyId"])
    if key is None or cluster.grant_id not in key.grants:
        return False
    return (propagated_facts(key) or key.now).state == "Enabled"


def refresh_statuses() -> None:
    """Bring all databases up to the present: drop what is gone, retire its grants, and notice lost keys."""
    now = time.time()
    for table in (WORLD.clusters, WORLD.instances, WORLD.snapshots):
        for name in [name for name, database in table.items() if database.life.status(now) is None]:
            _retire_grant(table.pop(name))
    for cluster in WORLD.clusters.values():
        if not key_is_usable(cluster):
            cluster.life.lose_key(now)


def _retire_grant(database: Database) -> None:
    key = WORLD.keys.get(database.output.get("KmsKeyId", ""))
    if key and database.grant_id:
        key.grants.pop(database.grant_id, None)
