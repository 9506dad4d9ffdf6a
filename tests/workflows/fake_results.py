"""The results that the real activities return on success."""

from byok.domain.models import (
    BucketEvidence,
    BucketResource,
    BucketTask,
    ClusterResource,
    DatabaseEvidence,
    DatabaseTask,
    EnvironmentPlan,
    ObjectEvidence,
    WriterResource,
)


def build_cluster_result(task: DatabaseTask, status: str, *, created: bool = False) -> ClusterResource:
    return ClusterResource(
        identifier=task.cluster.identifier,
        arn=f"arn:aws:rds:{task.environment.region}:111122223333:cluster:{task.cluster.identifier}",
        status=status,
        key_arn=task.environment.rds_key_arn,
        created=created,
    )


def build_database_result(given: DatabaseTask) -> DatabaseEvidence:
    return DatabaseEvidence(
        cluster_arn=build_cluster_result(given, "available").arn,
        key_arn=given.environment.rds_key_arn,
        storage_encrypted=True,
        storage_encryption_type="sse-kms",
        engine="aurora-postgresql",
        engine_version="16.6",
        deletion_protection=True,
        backup_retention_days=7,
        iam_database_authentication=True,
        writer_arn=build_writer_result(given, "available").arn,
        writer_storage_encrypted=True,
        writer_key_arn=given.environment.rds_key_arn,
        writer_publicly_accessible=False,
        performance_insights=False,
        endpoint=f"{given.cluster.identifier}.cluster-c1x2.{given.environment.region}.rds.amazonaws.com",
        port=5432,
    )


def build_buckets_result(given: EnvironmentPlan) -> tuple[BucketEvidence, ...]:
    key = given.environment.s3_key_arn
    return tuple(
        BucketEvidence(
            name=bucket.name,
            algorithm="aws:kms",
            key_arn=key,
            bucket_key_enabled=True,
            objects=tuple(ObjectEvidence(key=item.key, algorithm="aws:kms", key_arn=key) for item in bucket.objects),
        )
        for bucket in given.buckets
    )


def build_writer_result(task: DatabaseTask, status: str, *, created: bool = False) -> WriterResource:
    identifier = task.cluster.writer_identifier
    arn = f"arn:aws:rds:{task.environment.region}:111122223333:db:{identifier}"
    return WriterResource(identifier=identifier, arn=arn, status=status, created=created)


def build_bucket_resource(task: BucketTask, *, created: bool = False) -> BucketResource:
    return BucketResource(
        purpose=task.bucket.purpose,
        name=task.bucket.name,
        arn=f"arn:aws:s3:::{task.bucket.name}",
        key_arn=task.environment.s3_key_arn,
        created=created,
    )
