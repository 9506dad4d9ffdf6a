"""RDS requests and responses.

This module finds clusters and instances, builds request parameters, and reads the responses.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from activities.aws_errors import none_if_absent
from activities.failures import ActivityContext
from activities.ownership import has_environment_tag
from byok.domain import rds_statuses
from byok.domain.arns import KeyPurpose
from byok.domain.blueprint import DatabaseBlueprint, MasterAuthentication
from byok.domain.models import (
    ClusterResource,
    ClusterSnapshot,
    DatabaseEvidence,
    DatabaseTask,
    Environment,
    WriterResource,
)
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef, FilterTypeDef

_ENGINE: Final = "aurora-postgresql"

MAX_RECORDS: Final = 100
"""The maximum number of databases that one call can describe. RDS splits a longer response into pages (RDS API
reference, DescribeDBClusters, MaxRecords)."""


def find_cluster(rds: "RDSClient", identifier: str) -> "DBClusterTypeDef | None":
    """Return a cluster by name, or None if it does not exist."""
    return none_if_absent(lambda: rds.describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0])


def is_encrypted_with_own_key(cluster: "DBClusterTypeDef", environment: Environment) -> bool:
    """Return whether RDS reports that the environment's Aurora key encrypts a cluster.

    Since February 2026, if no KMS key is given, AWS encrypts the cluster with an AWS-owned key and reports
    StorageEncrypted false and StorageEncryptionType `sse-rds` ("Encrypting Amazon Aurora resources").
    """
    reported = (cluster.get("StorageEncrypted"), cluster.get("StorageEncryptionType"), cluster.get("KmsKeyId"))
    return reported == (True, "sse-kms", environment.expected_key_arn(KeyPurpose.RDS, cluster.get("KmsKeyId")))


def find_instance(rds: "RDSClient", identifier: str) -> "DBInstanceTypeDef | None":
    """Return an instance by name, or None if it does not exist."""
    return none_if_absent(lambda: rds.describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"][0])


def find_clusters(rds: "RDSClient", names: Sequence[str]) -> "dict[str, DBClusterTypeDef]":
    """Look up at most `MAX_RECORDS` clusters, if possible with one call. Return the clusters that exist, by name."""
    if len(names) > 1:
        by_name: list[FilterTypeDef] = [{"Name": "db-cluster-id", "Values": list(names)}]
        found = none_if_absent(lambda: rds.describe_db_clusters(Filters=by_name, MaxRecords=MAX_RECORDS)["DBClusters"])
        if found is not None:
            return {one["DBClusterIdentifier"]: one for one in found}
    return {name: one for name in names if (one := find_cluster(rds, name)) is not None}


def find_instances(rds: "RDSClient", names: Sequence[str]) -> "dict[str, DBInstanceTypeDef]":
    """Look up at most `MAX_RECORDS` instances, if possible with one call. Return the instances that exist, by name."""
    if len(names) > 1:
        by_name: list[FilterTypeDef] = [{"Name": "db-instance-id", "Values": list(names)}]
        found = none_if_absent(
            lambda: rds.describe_db_instances(Filters=by_name, MaxRecords=MAX_RECORDS)["DBInstances"]
        )
        if found is not None:
            return {one["DBInstanceIdentifier"]: one for one in found}
    return {name: one for name in names if (one := find_instance(rds, name)) is not None}


def find_cluster_snapshot(rds: "RDSClient", name: str) -> ClusterSnapshot | None:
    """Return a cluster snapshot by name, or None if it does not exist."""
    found = none_if_absent(
        lambda: rds.describe_db_cluster_snapshots(DBClusterSnapshotIdentifier=name)["DBClusterSnapshots"][0]
    )
    if found is None:
        return None
    return ClusterSnapshot(
        identifier=found["DBClusterSnapshotIdentifier"],
        arn=found["DBClusterSnapshotArn"],
        status=found.get("Status", "unknown"),
        key_arn=found.get("KmsKeyId", "none"),
    )


def describe_lost_key(name: str, status: str) -> str:
    """Return the message about a cluster that has lost access to its key."""
    return f"{name} is {status}: the cluster can no longer use its key."


def require_key_access(step: ActivityContext, name: str, status: str) -> None:
    """Stop if a cluster has lost access to its key.

    Raises:
        ApplicationError: `rds.<status>`.
    """
    if status in rds_statuses.KEY_LOST:
        message = describe_lost_key(name, status)
        raise step.non_retryable_error(f"rds.{status}", message, Remedy.CLUSTER_LOST_KEY, customer_key=True)


def require_snapshot_possible(step: ActivityContext, found: "DBClusterTypeDef", final_snapshot: str | None) -> None:
    """If a final snapshot of a cluster is requested, check that RDS can take the snapshot.

    Raises:
        ApplicationError: `rds.<status>`, if a final snapshot is requested and the cluster has lost access to its key.
    """
    if final_snapshot is None or found.get("Status", "") not in rds_statuses.KEY_LOST:
        return
    step = replace(step, environment=step.environment.with_keys(rds_key_arn=found.get("KmsKeyId")))
    message = f"{found['DBClusterIdentifier']} is {found['Status']}, so RDS cannot take a final snapshot."
    raise step.non_retryable_error(f"rds.{found['Status']}", message, Remedy.NO_FINAL_SNAPSHOT, customer_key=True)


def is_tagged_for(found: "DBClusterTypeDef | DBInstanceTypeDef", environment: Environment) -> bool:
    """Return whether a cluster or instance has the environment's tag."""
    return has_environment_tag(found.get("TagList", []), environment)


def create_cluster_params(task: DatabaseTask) -> dict[str, Any]:
    """Return the parameters of CreateDBCluster."""
    settings, environment = task.cluster.settings, task.environment
    chosen: dict[str, Any] = {
        "DBClusterIdentifier": task.cluster.identifier,
        "Engine": _ENGINE,
        "EngineMode": "provisioned",
        "ServerlessV2ScalingConfiguration": {
            "MinCapacity": settings.min_capacity,
            "MaxCapacity": settings.max_capacity,
        },
        "DatabaseName": settings.database_name,
        "MasterUsername": settings.master_username,
        "StorageEncrypted": True,
        "KmsKeyId": environment.rds_key_arn,
        "EnableIAMDatabaseAuthentication": True,
        "DeletionProtection": settings.deletion_protection,
        "BackupRetentionPeriod": settings.backup_retention_days,
        "CopyTagsToSnapshot": True,
        "EnableCloudwatchLogsExports": ["postgresql"],
        "EngineLifecycleSupport": "open-source-rds-extended-support-disabled",
        "Tags": _tags(environment),
        **_authentication(settings),
    }
    if settings.engine_version:
        chosen["EngineVersion"] = settings.engine_version
    if settings.subnet_group:
        chosen["DBSubnetGroupName"] = settings.subnet_group
    if settings.security_group_ids:
        chosen["VpcSecurityGroupIds"] = list(settings.security_group_ids)
    return chosen


def _authentication(settings: DatabaseBlueprint) -> dict[str, Any]:
    """Return the parameters for the master user's authentication.

    Neither authentication method uses the customer's key, because the key policies do not allow the key to be used for
    secrets (D15).
    """
    if settings.authentication is MasterAuthentication.IAM:
        return {"MasterUserAuthenticationType": "iam-db-auth"}
    if settings.master_secret_key_arn is None:
        return {"ManageMasterUserPassword": True}
    return {"ManageMasterUserPassword": True, "MasterUserSecretKmsKeyId": settings.master_secret_key_arn}


def create_writer_params(task: DatabaseTask) -> dict[str, Any]:
    """Return the parameters of CreateDBInstance."""
    return {
        "DBInstanceIdentifier": task.cluster.writer_identifier,
        "DBClusterIdentifier": task.cluster.identifier,
        "Engine": _ENGINE,
        "DBInstanceClass": "db.serverless",
        "PubliclyAccessible": False,
        "AutoMinorVersionUpgrade": True,
        "CopyTagsToSnapshot": True,
        # If Performance Insights were on, AWS would encrypt its data with a platform key, which the customer does not
        # control (D15).
        "EnablePerformanceInsights": False,
        "Tags": _tags(task.environment),
    }


def _tags(environment: Environment) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in environment.tags.items()]


def final_snapshot_params(final_snapshot: str | None) -> dict[str, Any]:
    """Return the parameters of DeleteDBCluster that request or skip a final snapshot."""
    if final_snapshot is None:
        return {"SkipFinalSnapshot": True}
    return {"SkipFinalSnapshot": False, "FinalDBSnapshotIdentifier": final_snapshot}


def build_cluster_resource(found: "DBClusterTypeDef", *, created: bool = False) -> ClusterResource:
    """Build byok's record of a cluster from RDS's response."""
    return ClusterResource(
        identifier=found["DBClusterIdentifier"],
        arn=found["DBClusterArn"],
        status=found["Status"],
        key_arn=found["KmsKeyId"],
        created=created,
    )


def build_writer_resource(found: "DBInstanceTypeDef", *, created: bool = False) -> WriterResource:
    """Build byok's record of a writer from RDS's response."""
    return WriterResource(
        identifier=found["DBInstanceIdentifier"],
        arn=found["DBInstanceArn"],
        status=found["DBInstanceStatus"],
        created=created,
    )


def build_database_evidence(cluster: "DBClusterTypeDef", writer: "DBInstanceTypeDef") -> DatabaseEvidence:
    """Build the evidence from RDS's responses for the cluster and the writer."""
    return DatabaseEvidence(
        cluster_arn=cluster["DBClusterArn"],
        key_arn=cluster.get("KmsKeyId", ""),
        storage_encrypted=cluster.get("StorageEncrypted", False),
        storage_encryption_type=cluster.get("StorageEncryptionType", ""),
        engine=cluster.get("Engine", ""),
        engine_version=cluster.get("EngineVersion", ""),
        deletion_protection=cluster.get("DeletionProtection", False),
        backup_retention_days=cluster.get("BackupRetentionPeriod", 0),
        iam_database_authentication=cluster.get("IAMDatabaseAuthenticationEnabled", False),
        writer_arn=writer["DBInstanceArn"],
        writer_storage_encrypted=writer.get("StorageEncrypted", False),
        writer_key_arn=writer.get("KmsKeyId", ""),
        writer_publicly_accessible=writer.get("PubliclyAccessible", True),
        performance_insights=writer.get("PerformanceInsightsEnabled", False),
        endpoint=cluster.get("Endpoint"),
        port=cluster.get("Port"),
    )


def expected_evidence_fields(task: DatabaseTask, found: DatabaseEvidence) -> dict[str, object]:
    """Return the value that each field of the evidence must have."""
    settings = task.cluster.settings
    key_arn = task.environment.expected_key_arn(KeyPurpose.RDS, found.key_arn)
    return {
        "key_arn": key_arn,
        "storage_encrypted": True,
        "storage_encryption_type": "sse-kms",
        "engine": _ENGINE,
        "deletion_protection": settings.deletion_protection,
        "backup_retention_days": settings.backup_retention_days,
        "iam_database_authentication": True,
        "writer_storage_encrypted": True,
        "writer_key_arn": key_arn,
        "writer_publicly_accessible": False,
        "performance_insights": False,
    }
