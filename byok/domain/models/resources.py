"""What exists, as AWS reports it, and the proof of its encryption."""

from collections.abc import Iterable
from datetime import datetime
from typing import Self

from byok.domain import rds_statuses
from byok.domain.models.base import RecordModel


class ClusterResource(RecordModel):
    """The cluster as AWS reports it.

    Attributes:
        created: Whether this run made it, rather than found it.
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
    """A bucket of the environment.

    Attributes:
        objects: Keys of the initial objects that are in place.
    """

    purpose: str
    name: str
    arn: str
    key_arn: str
    created: bool = False
    objects: tuple[str, ...] = ()


class Resources(RecordModel):
    """What exists of an environment."""

    cluster: ClusterResource | None = None
    writer: WriterResource | None = None
    buckets: tuple[BucketResource, ...] = ()

    def with_cluster(self, cluster: ClusterResource) -> Self:
        """The same with the cluster as it is now; who made it does not change."""
        created = cluster.created or (self.cluster is not None and self.cluster.created)
        return self.model_copy(update={"cluster": cluster.model_copy(update={"created": created})})

    def with_available_cluster(self) -> Self:
        """The same once the cluster is there: a writer was put into it."""
        if self.cluster is None:
            return self
        return self.with_cluster(self.cluster.model_copy(update={"status": rds_statuses.AVAILABLE}))

    def with_writer(self, writer: WriterResource) -> Self:
        """The same with the writer as it is now."""
        created = writer.created or (self.writer is not None and self.writer.created)
        return self.model_copy(update={"writer": writer.model_copy(update={"created": created})})

    def with_bucket(self, bucket: BucketResource) -> Self:
        """The same with this bucket as it is now, in the order in which they were made."""
        buckets = {item.name: item for item in self.buckets}
        created = bucket.created or (bucket.name in buckets and buckets[bucket.name].created)
        buckets[bucket.name] = bucket.model_copy(update={"created": created})
        return self.model_copy(update={"buckets": tuple(buckets.values())})

    def only_named(self, names: Iterable[str]) -> Self:
        """Of the same, what has one of these names."""
        kept = frozenset(names)
        return self.model_copy(
            update={
                "cluster": self.cluster if self.cluster and self.cluster.identifier in kept else None,
                "writer": self.writer if self.writer and self.writer.identifier in kept else None,
                "buckets": tuple(bucket for bucket in self.buckets if bucket.name in kept),
            }
        )


class DatabaseEvidence(RecordModel):
    """What RDS says about the encryption of the cluster and its writer (contract 98)."""

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


class ObjectEvidence(RecordModel):
    """What S3 says about the encryption of one object."""

    key: str
    algorithm: str
    key_arn: str


class BucketEvidence(RecordModel):
    """What S3 says about the default encryption of one bucket and about its initial objects."""

    name: str
    algorithm: str
    key_arn: str
    bucket_key_enabled: bool
    objects: tuple[ObjectEvidence, ...]


class Evidence(RecordModel):
    """The proof that an environment is on the customer's keys, read back from AWS."""

    database: DatabaseEvidence
    buckets: tuple[BucketEvidence, ...]
    collected_at: datetime


class ClusterSnapshot(RecordModel):
    """The final snapshot of a cluster, as RDS reports it."""

    identifier: str
    arn: str
    status: str
    key_arn: str


class OwnedResources(RecordModel):
    """Everything that bears an environment's tag, as AWS lists it.

    Attributes:
        instances: Identifiers of database instances.
        clusters: Identifiers of clusters.
        buckets: Names of buckets.
        final_snapshot: The snapshot that was asked for, which is kept; None where there is none.
    """

    instances: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    final_snapshot: ClusterSnapshot | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What there is, in the order in which it is removed."""
        return (*self.instances, *self.clusters, *self.buckets)


class DeletionResult(RecordModel):
    """Result of `DeleteEnvironment`: nothing that bears the environment's tag is left.

    Attributes:
        removed: What there was, and is no more.
        final_snapshot: What was kept of the database.
        collected_at: When AWS listed nothing more.
    """

    environment_id: str
    removed: tuple[str, ...]
    final_snapshot: ClusterSnapshot | None = None
    collected_at: datetime


class RemovalResult(RecordModel):
    """What became of one resource that was to be removed.

    Attributes:
        resource: Its name, as AWS knows it.
        removed: Whether it is gone, or never was.
        why_kept: Why it was left, None where it was not.
    """

    resource: str
    removed: bool
    why_kept: str | None = None
