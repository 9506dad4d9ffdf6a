"""Activities that create, adopt, wait for, verify and delete the Aurora cluster and its writer."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities import rds_resources
from activities.clients import AwsClients
from activities.describe_batcher import DescribeBatcher
from activities.encryption import require_same_encryption
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
    """All RDS activities.

    Attributes:
        poll: The interval between two status polls of a database.
        describer: Describes the databases that activities wait for.
    """

    clients: AwsClients
    platform: Platform
    poll: timedelta
    describer: DescribeBatcher

    @activity.defn(no_thread_cancel_exception=True)
    def ensure_cluster(self, task: DatabaseTask) -> ClusterResource:
        """Adopt or create the environment's cluster. CreateDBCluster proves that the Aurora key works (contract 91-93).

        The activity claims both keys first. If the workflow stops, it releases the claims on keys that do not encrypt
        any resource.

        Raises:
            ApplicationError: `rds.KMSKeyNotAccessibleFault`, if RDS still cannot use the key after the grace period; or
                `byok.KeyInUse`, `byok.NameTaken`, `byok.EncryptionCannotChange` or `byok.OtherKey`, immediately. For
                other errors, see the error table.
        """
        step, rds = self._step(task, Phase.CREATING_CLUSTER), self._rds(task)
        with step.translate_aws_errors():
            KeyClaims(self.clients, self.platform, step).acquire(*KeyPurpose)
            found = rds_resources.find_cluster(rds, task.cluster.identifier)
        if found is None:
            with step.translate_aws_errors():
                made = rds.create_db_cluster(**rds_resources.create_cluster_params(task))["DBCluster"]
            return rds_resources.build_cluster_resource(_require_own_cluster(step, made, task), created=True)
        if rds_resources.is_tagged_for(found, task.environment):
            if found.get("Status") == rds_statuses.DELETING:
                raise self._still_deleting_error(step, task.cluster.identifier)
            require_same_encryption(step, f"The cluster {task.cluster.identifier}", found.get("KmsKeyId"))
        return rds_resources.build_cluster_resource(_require_own_cluster(step, found, task))

    @activity.defn
    async def ensure_writer(self, task: DatabaseTask) -> WriterResource:
        """Adopt or create the cluster's writer once the cluster is available.

        Raises:
            ApplicationError: `rds.NotReady`, retried after `poll`, until the cluster is available; `byok.NameTaken`, if
                the cluster or the writer does not belong to the environment; or `rds.<status>`, if the database cannot
                become available on its own, for example because the cluster lost access to the customer's key. For
                other RDS errors, see the error table.
        """
        step = self._step(task, Phase.AWAITING_DATABASE)
        await self._find_available_cluster(step, task)
        return await run_to_completion(lambda: self._adopt_or_make_writer(step, task))

    @activity.defn
    async def await_writer(self, task: DatabaseTask) -> WriterResource:
        """Check once whether the writer is available. Temporal retries the check until it succeeds.

        Raises:
            ApplicationError: The same errors that `ensure_writer` raises while it waits for the cluster.
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
        """Read the cluster and the writer back and compare them with the request (contract 98).

        Raises:
            ApplicationError: `byok.VerificationFailed`, if the cluster or the writer no longer exists, or if a field
                differs from the request. If a field differs, the error contains the field's name, the expected value
                and the actual value. If the cluster or the writer is no longer available, the errors are the same as in
                `ensure_writer`.
        """
        step, rds = self._step(task, Phase.VERIFYING), self._rds(task)
        with step.translate_aws_errors():
            cluster = rds_resources.find_cluster(rds, task.cluster.identifier)
            writer = rds_resources.find_instance(rds, task.cluster.writer_identifier)
        if cluster is None or writer is None:
            missing = task.cluster.identifier if cluster is None else task.cluster.writer_identifier
            message = f"{missing} no longer exists."
            raise step.non_retryable_error("byok.VerificationFailed", message, Remedy.UNPROVED)
        # Check the statuses again: RDS is eventually consistent, so an earlier "available" may have been premature.
        self._require_available(step, task.cluster.identifier, cluster.get("Status", ""), rds_statuses.CLUSTER_PENDING)
        instance = writer.get("DBInstanceStatus", "")
        self._require_available(step, task.cluster.writer_identifier, instance, rds_statuses.INSTANCE_PENDING)
        proof = rds_resources.build_database_evidence(cluster, writer)
        step.require_match(task.cluster.identifier, proof, rds_resources.expected_evidence_fields(task, proof))
        return proof

    @activity.defn
    async def remove_writer(self, task: DatabaseRemovalTask) -> RemovalResult:
        """Delete the writer if byok is allowed to remove it. Temporal retries until the writer is gone.

        Raises:
            ApplicationError: `rds.NotReady`, while RDS deletes the writer. For other RDS errors, see the error table.
        """
        step = self._step(task, task.phase)
        with step.translate_aws_errors():
            found = await self.describer.describe_instance(task.environment.region, task.cluster.writer_identifier)
        return await run_to_completion(lambda: self._delete_writer(step, task, found))

    @activity.defn
    async def remove_cluster(self, task: DatabaseRemovalTask) -> RemovalResult:
        """Delete the cluster if byok is allowed to remove it. Temporal retries until the cluster is gone.

        A rollback does not take a final snapshot, because the cluster was never handed over to the customer.

        Raises:
            ApplicationError: The same errors as in `remove_writer`; also `rds.<status>`, if a final snapshot is
                requested and the cluster has lost access to its key.
        """
        step = self._step(task, task.phase)
        with step.translate_aws_errors():
            found = await self.describer.describe_cluster(task.environment.region, task.cluster.identifier)
        return await run_to_completion(lambda: self._delete_cluster(step, task, found))

    def _step(self, task: DatabaseTask, phase: Phase) -> ActivityContext:
        request_kind = request_kind_for_phase(phase)
        return ActivityContext(task.environment, self.platform.vendor, phase, KeyPurpose.RDS, request_kind=request_kind)

    def _rds(self, task: DatabaseTask) -> "RDSClient":
        return self.clients.on_behalf_of(task.environment.organisation).rds(task.environment.region)

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
                "byok.NameTaken", f"The instance {name} does not belong to this environment.", Remedy.NAME_TAKEN
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
                return RemovalResult(resource=name, removed=True)
            why = reason_to_keep(found.get("TagList", []), task.environment, task.phase)
            if why is not None:
                return RemovalResult(resource=name, removed=False, why_kept=why)
            if found.get("Status") != rds_statuses.DELETING:
                rds_resources.require_snapshot_possible(step, found, task.final_snapshot)
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
        """Return the database if it is available, or raise an error, which may be retryable."""
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
        """Build a retryable error for a database that RDS is still deleting.

        After the deletion, a retry of the activity creates the database again.
        """
        message = f"{name} is still being deleted. Once the deletion is complete, byok will create {name} again."
        return self._not_ready_error(step, message)

    def _not_ready_error(self, step: ActivityContext, message: str) -> ApplicationError:
        return step.retry_later_error("rds.NotReady", message, self.poll)

    def _missing_error(self, step: ActivityContext, name: str) -> ApplicationError:
        # RDS is eventually consistent, so a new database can be missing from the first responses.
        if activity.info().attempt <= _READERS_BEHIND:
            return step.retry_later_error("rds.NotReady", f"{name} is not visible yet.", _SOON)
        return step.non_retryable_error("byok.Vanished", f"{name} no longer exists.", Remedy.UNPROVED)


def _require_pending(step: ActivityContext, name: str, status: str, pending: frozenset[str]) -> None:
    """Stop if the database is not available and will not become available on its own."""
    if status == rds_statuses.AVAILABLE or status in pending:
        return
    rds_resources.require_key_access(step, name, status)
    message = f"{name} is {status}. A database with this status does not become available on its own."
    raise step.non_retryable_error(f"rds.{status}", message, Remedy.PLATFORM_OPERATOR)


def _require_own_cluster(step: ActivityContext, found: "DBClusterTypeDef", task: DatabaseTask) -> "DBClusterTypeDef":
    """Return the cluster, or stop if the cluster does not have the environment's tag and key.

    A matching name alone does not prove that the cluster belongs to the environment.
    """
    name, environment = task.cluster.identifier, task.environment
    if not rds_resources.is_tagged_for(found, environment):
        raise step.non_retryable_error(
            "byok.NameTaken", f"The cluster {name} does not belong to this environment.", Remedy.NAME_TAKEN
        )
    if not rds_resources.is_encrypted_with_own_key(found, environment):
        message = f"The cluster {name} is encrypted with {found.get('KmsKeyId') or 'no customer key'}."
        raise step.non_retryable_error("byok.OtherKey", message, Remedy.OTHER_KEY, customer_key=True)
    return found
