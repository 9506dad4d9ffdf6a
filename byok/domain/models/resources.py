"""The resources of an environment as AWS reports them, and the evidence that the correct keys encrypt them."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, Self

from byok.domain import rds_statuses
from byok.domain.models.base import RecordModel
from byok.domain.phases import Encryption


class ClusterResource(RecordModel):
    """The cluster as AWS reports it.

    Attributes:
        created: Whether this run created the cluster; False if the run adopted an existing cluster.
    """

    identifier: str
    arn: str
    status: str
    key_arn: str
    created: bool = False


class WriterResource(RecordModel):
    """The cluster's writer instance as AWS reports it."""

    identifier: str
    arn: str
    status: str
    created: bool = False


class BucketResource(RecordModel):
    """One of the environment's buckets.

    Attributes:
        objects: The keys of the initial objects that exist in the bucket.
    """

    purpose: str
    name: str
    arn: str
    key_arn: str
    created: bool = False
    objects: tuple[str, ...] = ()


class Resources(RecordModel):
    """An environment's existing resources."""

    cluster: ClusterResource | None = None
    writer: WriterResource | None = None
    buckets: tuple[BucketResource, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether the environment has neither a cluster nor a bucket. Without a cluster, there is no writer either."""
        return self.cluster is None and not self.buckets

    def with_cluster(self, cluster: ClusterResource) -> Self:
        """Return a copy with the cluster's current state. If `created` was true, it stays true."""
        created = cluster.created or (self.cluster is not None and self.cluster.created)
        return self.model_copy(update={"cluster": cluster.model_copy(update={"created": created})})

    def with_available_cluster(self) -> Self:
        """Return a copy in which the cluster is available.

        Call this method after RDS has accepted a writer for the cluster.
        """
        if self.cluster is None:
            return self
        return self.with_cluster(self.cluster.model_copy(update={"status": rds_statuses.AVAILABLE}))

    def with_writer(self, writer: WriterResource) -> Self:
        """Return a copy with the writer's current state."""
        created = writer.created or (self.writer is not None and self.writer.created)
        return self.model_copy(update={"writer": writer.model_copy(update={"created": created})})

    def with_bucket(self, bucket: BucketResource) -> Self:
        """Return a copy with the current state of a bucket. Buckets remain in the order in which they were created."""
        buckets = {item.name: item for item in self.buckets}
        created = bucket.created or (bucket.name in buckets and buckets[bucket.name].created)
        buckets[bucket.name] = bucket.model_copy(update={"created": created})
        return self.model_copy(update={"buckets": tuple(buckets.values())})

    def only_named(self, names: Iterable[str]) -> Self:
        """Return a copy with only the resources that have one of the given names."""
        kept = frozenset(names)
        return self.model_copy(
            update={
                "cluster": self.cluster if self.cluster and self.cluster.identifier in kept else None,
                "writer": self.writer if self.writer and self.writer.identifier in kept else None,
                "buckets": tuple(bucket for bucket in self.buckets if bucket.name in kept),
            }
        )


class DatabaseEvidence(RecordModel):
    """What RDS reports about the encryption of the cluster and its writer (contract 98).

    Attributes:
        endpoint: The host name of the cluster's writer endpoint, to which applications connect.
        port: The port of the endpoint.
    """

    cluster_arn: str
    key_arn: str
    storage_encrypted: bool
    storage_encryption_type: str
    engine: str
    engine_version: str
    deletion_protection: bool
    backup_retention_days: int
    iam_database_authentication: bool
    writer_arn: str
    writer_storage_encrypted: bool
    writer_key_arn: str
    writer_publicly_accessible: bool
    performance_insights: bool
    endpoint: str | None = None
    port: int | None = None


class ObjectEvidence(RecordModel):
    """What S3 reports about the encryption of one object."""

    key: str
    algorithm: str
    key_arn: str


class BucketEvidence(RecordModel):
    """What S3 reports about one bucket's default encryption and about its initial objects."""

    name: str
    algorithm: str
    key_arn: str
    bucket_key_enabled: bool
    objects: tuple[ObjectEvidence, ...]


class EncryptedResource(NamedTuple):
    """A resource in the evidence.

    Attributes:
        kind: `cluster`, `writer`, `bucket` or `object`.
        name: The name of the resource in AWS.
        note: The engine of a cluster, or the encryption algorithm of a bucket or an object; empty for a writer.
    """

    kind: str
    name: str
    note: str


class Evidence(RecordModel):
    """The evidence that an environment is encrypted with its keys, as read back from AWS.

    Attributes:
        encryption: Whether AWS reports the customer's keys or keys in the platform's account.
    """

    encryption: Encryption
    database: DatabaseEvidence
    buckets: tuple[BucketEvidence, ...]
    collected_at: datetime

    def group_by_key(self) -> dict[str, list[EncryptedResource]]:
        """Return the resources by the ARN of the key that encrypts them."""
        database, found = self.database, defaultdict[str, list[EncryptedResource]](list)
        cluster, writer = (arn.rpartition(":")[2] for arn in (database.cluster_arn, database.writer_arn))
        found[database.key_arn].append(EncryptedResource("cluster", cluster, database.engine))
        found[database.writer_key_arn].append(EncryptedResource("writer", writer, ""))
        for bucket in self.buckets:
            found[bucket.key_arn].append(EncryptedResource("bucket", bucket.name, bucket.algorithm))
            for item in bucket.objects:
                found[item.key_arn].append(EncryptedResource("object", item.key, item.algorithm))
        return found


class ClusterSnapshot(RecordModel):
    """The final snapshot of a cluster, as RDS reports it."""

    identifier: str
    arn: str
    status: str
    key_arn: str


class OwnedResource(RecordModel):
    """A resource with an environment's tag, as AWS lists it.

    Attributes:
        name: The identifier of a database, or the name of a bucket.
        key_arn: The ARN of the KMS key that AWS reports for the resource; None if AWS reports no key. For a bucket that
            is encrypted with the AWS managed key, `key_arn` is the key's alias, because S3 reports no ARN.
    """

    name: str
    region: str
    key_arn: str | None = None


class OwnedResources(RecordModel):
    """All resources with an environment's tag, as AWS lists them.

    Databases are listed in all Regions in use, and buckets in all Regions.

    Attributes:
        instances: The database instances.
        clusters: The clusters.
        buckets: The buckets, including those in Regions that are not in use.
        final_snapshot: The requested final snapshot, which is kept when the environment is deleted; None if there is no
            such snapshot.
    """

    instances: tuple[OwnedResource, ...] = ()
    clusters: tuple[OwnedResource, ...] = ()
    buckets: tuple[OwnedResource, ...] = ()
    final_snapshot: ClusterSnapshot | None = None

    @property
    def all_resources(self) -> tuple[OwnedResource, ...]:
        """All resources, in the order in which byok removes them."""
        return (*self.instances, *self.clusters, *self.buckets)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all resources, in the order in which byok removes them."""
        return tuple(one.name for one in self.all_resources)

    @property
    def s3_key_arns(self) -> tuple[str, ...]:
        """The keys that encrypt the buckets."""
        return _key_arns(self.buckets)

    @property
    def rds_key_arns(self) -> tuple[str, ...]:
        """The keys that encrypt the databases."""
        return _key_arns((*self.clusters, *self.instances))


def _key_arns(resources: Iterable[OwnedResource]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.key_arn for one in resources if one.key_arn is not None))


class BucketWithForeignObjects(RecordModel):
    """A bucket that contains objects that provisioning did not write.

    Attributes:
        keys: The object keys of a few objects that provisioning did not write.
    """

    bucket: str
    keys: tuple[str, ...]


class ForeignObjects(RecordModel):
    """The buckets of an environment that contain objects that provisioning did not write."""

    buckets: tuple[BucketWithForeignObjects, ...] = ()


class DeletionResult(RecordModel):
    """The result of `DeleteEnvironment`, which proves that no resource with the environment's tag remains.

    Attributes:
        removed: Names of the removed resources.
        final_snapshot: The final snapshot of the cluster, which is kept; None if no snapshot was taken.
        collected_at: When byok confirmed that AWS no longer lists any of the environment's resources.
    """

    environment_id: str
    removed: tuple[str, ...]
    final_snapshot: ClusterSnapshot | None = None
    collected_at: datetime


class RemovalResult(RecordModel):
    """The result of removing one resource.

    Attributes:
        resource: The resource's name in AWS.
        removed: Whether the resource no longer exists; also true if the resource never existed.
        why_kept: Why the resource was kept, or None if it was removed.
    """

    resource: str
    removed: bool
    why_kept: str | None = None
