"""The Aurora cluster and its writer: found or made, awaited, read back, removed."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import rds_resources
from activities.clients import AwsClients
from activities.describe_batcher import DescribeBatcher
from activities.failures import ActivityContext
from activities.heartbeat import run_to_completion
from activities.key_claims import KeyClaims
from activities.ownership import reason_to_keep
from byok.domain import rds_statuses
from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    ClusterResource,
    DatabaseEvidence,
    DatabaseRemovalTask,
    DatabaseTask,
    OwnedResources,
    RemovalResult,
    WriterResource,
)
from byok.domain.phases import Phase, request_kind_for_phase
from byok.domain.planning import Platform
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef, DBInstanceTypeDef

_READERS_BEHIND: Final = 5
_SOON: Final = timedelta(seconds=1)

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class DatabaseActivities:
    """Everything that is done with RDS.

    Attributes:
        poll: How often the status of a database is polled.
        describer: Describes the databases that are waited for.
    """

    clients: AwsClients
    platform: Platform
    poll: timedelta
    describer: DescribeBatcher

    @activity.defn(no_thread_cancel_exception=True)
    def ensure_cluster(self, task: DatabaseTask) -> ClusterResource:
        """Adopt the environment's cluster, or make it: the call that proves the Aurora key (contract 91-93).

        Raises:
            ApplicationError: `rds.KMSKeyNotAccessibleFault` after the grace, `byok.KeyInUse`, `byok.NameTaken` or
                `byok.OtherKey` at once: stops. Everything else is tried again.
        """
        step, rds = self._step(task, Phase.CREATING_CLUSTER), self._rds(task)
        claims = KeyClaims(self.clients.s3(task.environment.region), step)
        with step.translate_aws_errors():
            claims.acquire_both()
            found = rds_resources.find_cluster(rds, task.cluster.identifier)
        if (
            found is not None
            and found.get("Status") == rds_statuses.DELETING
            and rds_resources.is_tagged_for(found, task.environment)
        ):
            raise self._still_deleting_error(step, task.cluster.identifier)
        if found is None:
            made = self._create_cluster(step, claims, task)
            return rds_resources.build_cluster_resource(_require_own_cluster(step, made, task), created=True)
        try:
            return rds_resources.build_cluster_resource(_require_own_cluster(step, found, task))
        except ApplicationError as refusal:
            with step.translate_aws_errors():  # what the environment will not use is free for another one
                if refusal.type == "byok.NameTaken":
                    claims.release_both()
                else:
                    claims.release_key(task.environment.rds_key_arn)
            raise

    @activity.defn
    async def ensure_writer(self, task: DatabaseTask) -> WriterResource:
        """Adopt the cluster's writer, or make it, once the cluster is available.

        Raises:
            ApplicationError: `rds.NotReady` until the cluster is available, tried again after `poll`; any status that
                does not lead to available by itself stops at once, a lost key as the customer's problem;
                `byok.NameTaken` stops; what RDS refuses, as the table says.
        """
        step = self._step(task, Phase.AWAITING_DATABASE)
        await self._find_available_cluster(step, task)
        return await run_to_completion(lambda: self._adopt_or_make_writer(step, task))

    @activity.defn
    async def await_writer(self, task: DatabaseTask) -> WriterResource:
        """Look once whether the writer is available; Temporal asks again.

        Raises:
            ApplicationError: As `ensure_writer` while it waits for the cluster.
        """
        step, name = self._step(task, Phase.AWAITING_DATABASE), task.cluster.writer_identifier
        found = await self._find_available(
            step,
            name,
            self.describer.describe_instance(task.environment.region, name),
            lambda instance: instance.get("DBInstanceStatus", ""),
            rds_statuses.INSTANCE_PENDING,
        )
        return rds_resources.build_writer_resource(found)

    def read_and_verify_database(self, task: DatabaseTask) -> DatabaseEvidence:
        """Read cluster and writer back and compare them with what was asked for (contract 98).

        Raises:
            ApplicationError: `byok.VerificationFailed`, a stop that names the field, what was asked and what is; as
                `ensure_writer` where one of the two is not available any more.
        """
        step, rds = self._step(task, Phase.VERIFYING), self._rds(task)
        with step.translate_aws_errors():
            cluster = rds_resources.find_cluster(rds, task.cluster.identifier)
            writer = rds_resources.find_instance(rds, task.cluster.writer_identifier)
        if cluster is None or writer is None:
            missing = task.cluster.identifier if cluster is None else task.cluster.writer_identifier
            message = f"{missing} does not exist any more."
            raise step.non_retryable_error("byok.VerificationFailed", message, Remedy.UNPROVED)
        # Available counts when it is seen twice: what was waited for may have been the answer of a reader behind.
        self._require_available(step, task.cluster.identifier, cluster.get("Status", ""), rds_statuses.CLUSTER_PENDING)
        instance = writer.get("DBInstanceStatus", "")
        self._require_available(step, task.cluster.writer_identifier, instance, rds_statuses.INSTANCE_PENDING)
        proof = rds_resources.build_database_evidence(cluster, writer)
        step.require_match(task.cluster.identifier, proof, rds_resources.expected_evidence_fields(task))
        return proof

    @activity.defn
    async def remove_writer(self, task: DatabaseRemovalTask) -> RemovalResult:
        """Delete the writer if it is to be removed, and wait until it is gone.

        Raises:
            ApplicationError: `rds.NotReady` while it is being deleted; what RDS refuses, as the table says.
        """
        step = self._step(task, task.phase)
        with step.translate_aws_errors():
            found = await self.describer.describe_instance(task.environment.region, task.cluster.writer_identifier)
        return await run_to_completion(lambda: self._delete_writer(step, task, found))

    @activity.defn
    async def remove_cluster(self, task: DatabaseRemovalTask) -> RemovalResult:
        """Delete the cluster if it is to be removed, wait until it is gone, and give the keys back.

        What is rolled back gets no final snapshot: it was never handed over.

        Raises:
            ApplicationError: As `remove_writer`; a stop where the key is lost that the final snapshot would need.
        """
        step = self._step(task, task.phase)
        with step.translate_aws_errors():
            found = await self.describer.describe_cluster(task.environment.region, task.cluster.identifier)
        return await run_to_completion(lambda: self._delete_cluster(step, task, found))

    @activity.defn(no_thread_cancel_exception=True)
    def list_databases(self, task: DatabaseRemovalTask) -> OwnedResources:
        """Every cluster and instance that bears the environment's tag, and the final snapshot.

        Raises:
            ApplicationError: What RDS refuses, as the table says; a stop, before anything is removed, where a cluster
                has lost the key that the final snapshot would need.
        """
        step, rds, environment = self._step(task, task.phase), self._rds(task), task.environment
        with step.translate_aws_errors():
            instances = rds.get_paginator("describe_db_instances").paginate()
            pages = rds.get_paginator("describe_db_clusters").paginate()
            clusters = [
                one for page in pages for one in page["DBClusters"] if rds_resources.is_tagged_for(one, environment)
            ]
            for one in clusters:
                _require_snapshot_possible(step, one, task.final_snapshot)
            return OwnedResources(
                instances=tuple(
                    one["DBInstanceIdentifier"]
                    for page in instances
                    for one in page["DBInstances"]
                    if rds_resources.is_tagged_for(one, environment)
                ),
                clusters=tuple(one["DBClusterIdentifier"] for one in clusters),
                final_snapshot=rds_resources.find_cluster_snapshot(rds, task.final_snapshot)
                if task.final_snapshot
                else None,
            )

    def _create_cluster(self, step: ActivityContext, claims: KeyClaims, task: DatabaseTask) -> "DBClusterTypeDef":
        try:
            with step.translate_aws_errors():
                return self._rds(task).create_db_cluster(**rds_resources.create_cluster_params(task))["DBCluster"]
        except ApplicationError as refusal:
            if refusal.non_retryable:
                # Nothing is encrypted with the keys: they are free for another try under another name.
                with step.translate_aws_errors():
                    claims.release_both()
            raise

    def _step(self, task: DatabaseTask, phase: Phase) -> ActivityContext:
        request_kind = request_kind_for_phase(phase)
        return ActivityContext(task.environment, self.platform.vendor, phase, KeyPurpose.RDS, request_kind=request_kind)

    def _rds(self, task: DatabaseTask) -> "RDSClient":
        return self.clients.rds(task.environment.region)

    def _adopt_or_make_writer(self, step: ActivityContext, task: DatabaseTask) -> WriterResource:
        rds, name = self._rds(task), task.cluster.writer_identifier
        with step.translate_aws_errors():
            found = rds_resources.find_instance(rds, name)
        if (
            found is not None
            and found.get("DBInstanceStatus") == rds_statuses.DELETING
            and rds_resources.is_tagged_for(found, task.environment)
        ):
            raise self._still_deleting_error(step, name)
        if found is None:
            with step.translate_aws_errors():
                made = rds.create_db_instance(**rds_resources.create_writer_params(task))["DBInstance"]
            return rds_resources.build_writer_resource(made, created=True)
        if (
            not rds_resources.is_tagged_for(found, task.environment)
            or found.get("DBClusterIdentifier") != task.cluster.identifier
        ):
            raise step.non_retryable_error(
                "byok.NameTaken", f"The instance {name} is not this environment's.", Remedy.NAME_TAKEN
            )
        return rds_resources.build_writer_resource(found)

    def _delete_writer(
        self, step: ActivityContext, task: DatabaseRemovalTask, found: "DBInstanceTypeDef | None"
    ) -> RemovalResult:
        name = task.cluster.writer_identifier
        if found is None:
            return RemovalResult(resource=name, removed=True)
        why = reason_to_keep(found.get("TagList", []), task.environment, task.phase)
        if why is not None:
            return RemovalResult(resource=name, removed=False, why_kept=why)
        if found.get("DBInstanceStatus") != rds_statuses.DELETING:
            with step.translate_aws_errors():
                self._rds(task).delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
        raise self._not_ready_error(step, f"{name} is being deleted.")

    def _delete_cluster(
        self, step: ActivityContext, task: DatabaseRemovalTask, found: "DBClusterTypeDef | None"
    ) -> RemovalResult:
        rds, name = self._rds(task), task.cluster.identifier
        with step.translate_aws_errors():
            if found is None:
                KeyClaims(self.clients.s3(task.environment.region), step).release_both()
                return RemovalResult(resource=name, removed=True)
            why = reason_to_keep(found.get("TagList", []), task.environment, task.phase)
            if why is not None:
                return RemovalResult(resource=name, removed=False, why_kept=why)
            if found.get("Status") != rds_statuses.DELETING:
                _require_snapshot_possible(step, found, task.final_snapshot)
                if found.get("DeletionProtection"):
                    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False, ApplyImmediately=True)
                rds.delete_db_cluster(
                    DBClusterIdentifier=name, **rds_resources.final_snapshot_params(task.final_snapshot)
                )
        raise self._not_ready_error(step, f"{name} is being deleted.")

    async def _find_available_cluster(self, step: ActivityContext, task: DatabaseTask) -> "DBClusterTypeDef":
        name = task.cluster.identifier
        return await self._find_available(
            step,
            name,
            self.describer.describe_cluster(task.environment.region, name),
            lambda cluster: cluster.get("Status", ""),
            rds_statuses.CLUSTER_PENDING,
        )

    async def _find_available(
        self,
        step: ActivityContext,
        name: str,
        found: Awaitable[_Found | None],
        status_of: Callable[[_Found], str],
        pending: frozenset[str],
    ) -> _Found:
        """A database that is available, or the failure to wait or to stop with."""
        with step.translate_aws_errors():
            database = await found
        if database is None:
            raise self._missing_error(step, name)
        self._require_available(step, name, status_of(database), pending)
        return database

    def _require_available(self, step: ActivityContext, name: str, status: str, pending: frozenset[str]) -> None:
        if status != rds_statuses.AVAILABLE:
            _require_pending(step, name, status, pending)
            raise self._not_ready_error(step, f"{name} is {status}.")

    def _still_deleting_error(self, step: ActivityContext, name: str) -> ApplicationError:
        """A deletion that was begun before comes to its end first: what it takes is not adopted, but made anew."""
        return self._not_ready_error(step, f"{name} is still being deleted; it is made anew after that.")

    def _not_ready_error(self, step: ActivityContext, message: str) -> ApplicationError:
        return step.retry_later_error("rds.NotReady", message, self.poll)

    def _missing_error(self, step: ActivityContext, name: str) -> ApplicationError:
        # A reader behind may not know yet what was made a moment ago.
        if activity.info().attempt <= _READERS_BEHIND:
            return step.retry_later_error("rds.NotReady", f"{name} cannot be seen yet.", _SOON)
        return step.non_retryable_error("byok.Vanished", f"{name} does not exist any more.", Remedy.UNPROVED)


def _require_pending(step: ActivityContext, name: str, status: str, pending: frozenset[str]) -> None:
    """Refuse a status that is neither available nor leads there by itself."""
    if status == rds_statuses.AVAILABLE or status in pending:
        return
    if status in rds_statuses.KEY_LOST:
        message = f"{name} is {status}: the cluster cannot use its key any more."
        raise step.non_retryable_error(f"rds.{status}", message, Remedy.CLUSTER_LOST_KEY, customer_key=True)
    message = f"{name} is {status}, and a database in that status does not become available without help."
    raise step.non_retryable_error(f"rds.{status}", message, Remedy.PLATFORM_OPERATOR)


def _require_snapshot_possible(step: ActivityContext, found: "DBClusterTypeDef", final_snapshot: str | None) -> None:
    if final_snapshot is not None and found.get("Status", "") in rds_statuses.KEY_LOST:
        message = f"{found['DBClusterIdentifier']} is {found['Status']}: no final snapshot can be taken of it."
        raise step.non_retryable_error(f"rds.{found['Status']}", message, Remedy.NO_FINAL_SNAPSHOT, customer_key=True)


def _require_own_cluster(step: ActivityContext, found: "DBClusterTypeDef", task: DatabaseTask) -> "DBClusterTypeDef":
    """The cluster, if it is this environment's and on its key; by tag and key, and never by name alone.

    Since February 2026 a cluster without a key of its own is encrypted with one of AWS's, and says StorageEncrypted
    false and `sse-rds` ("Encrypting Amazon Aurora resources").
    """
    name, environment = task.cluster.identifier, task.environment
    if not rds_resources.is_tagged_for(found, environment):
        raise step.non_retryable_error(
            "byok.NameTaken", f"The cluster {name} is not this environment's.", Remedy.NAME_TAKEN
        )
    on = (found.get("StorageEncrypted"), found.get("StorageEncryptionType"), found.get("KmsKeyId"))
    if on != (True, "sse-kms", environment.rds_key_arn):
        message = f"The cluster {name} is encrypted with {found.get('KmsKeyId') or 'no key of the customer'}."
        raise step.non_retryable_error("byok.OtherKey", message, Remedy.OTHER_KEY, customer_key=True)
    return found
