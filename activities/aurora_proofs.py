"""Proves an Aurora key by a cluster without instances, and removes that cluster.

RDS checks the key and creates its grant during CreateDBCluster, so the answer to that call is the proof ("Encrypting
Amazon Aurora resources"). A cluster without instances has no compute. RDS refuses to delete it while it is being
created, so the removal takes longer than the proof. The workflow `ProveAuroraKey` runs both.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from activities.aws_errors import decide_error_outcome
from activities.clients import AwsClients
from activities.failures import ActivityContext, retried_later
from activities.rds_resources import create_cluster_params, find_clusters, is_encrypted_with
from byok.contracts import AURORA_PROOF_UPDATE, PROVE_AURORA_KEY_WORKFLOW, aurora_proof_workflow_id
from byok.domain import naming, rds_statuses
from byok.domain.arns import KeyPurpose
from byok.domain.models import AuroraProofTask, CheckedKey, DatabaseTask, Environment
from byok.domain.phases import Phase
from byok.domain.planning import Platform, plan_aurora_proof
from byok.domain.problems.aws_errors import ErrorOutcome
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

LEFTOVER_AGE: Final = timedelta(hours=1)
"""A removal takes minutes. An older cluster was left behind by a proof that no workflow remembers."""

_AGAIN_AFTER_A_STOP: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class AuroraProofActivities:
    """Clusters that prove Aurora keys.

    Attributes:
        poll: The interval between two status polls of such a cluster.
    """

    clients: AwsClients
    platform: Platform
    poll: timedelta

    @activity.defn
    async def await_aurora_proof(self, environment: Environment) -> CheckedKey:
        """Start `ProveAuroraKey` for the Aurora key, or join the one that runs, and return its verdict.

        The SDK's and Temporal's errors are retried: if that workflow ended in between, the next attempt starts another.
        """
        start: WithStartWorkflowOperation[Any, CheckedKey] = WithStartWorkflowOperation(
            PROVE_AURORA_KEY_WORKFLOW,
            environment,
            id=aurora_proof_workflow_id(environment.region, environment.rds_key_arn),
            task_queue=activity.info().task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        verdict: CheckedKey = await activity.client().execute_update_with_start_workflow(
            AURORA_PROOF_UPDATE, environment, start_workflow_operation=start, result_type=CheckedKey
        )
        return verdict

    @activity.defn(no_thread_cancel_exception=True)
    def ensure_proof_cluster(self, task: AuroraProofTask) -> CheckedKey:
        """Create a cluster on the Aurora key, or find the one that an earlier attempt of this proof created.

        Returns:
            The key is proved, or not proved if as many clusters prove keys as may at once.

        Raises:
            ApplicationError: Stops with `rds.KMSKeyNotAccessibleFault` after the grace period. The error table decides
                about other RDS errors.
        """
        environment = task.environment
        step, rds = self._step(environment), self.clients.rds(environment.region)
        planned = plan_aurora_proof(task, self.platform)
        with step.translate_aws_errors():
            existing = self._find_clusters(rds)
            own = {"Key": environment.run_tag, "Value": task.proof_id}
            for cluster in existing.values():
                if own in cluster.get("TagList", []):  # the answer to an earlier attempt was lost
                    return self._proved(step, cluster, cluster["ClusterCreateTime"], None)
            for name in naming.proof_cluster_identifiers(self.platform.vendor):
                if name in existing:
                    continue
                try:
                    answer = rds.create_db_cluster(**create_cluster_params(_with_name(planned, name)))
                except ClientError as error:
                    if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
                        raise
                    continue  # another proof was faster
                request_id = answer["ResponseMetadata"].get("RequestId")
                return self._proved(step, answer["DBCluster"], datetime.now(UTC), request_id)
        reason = (
            f"{naming.MAX_PROOF_CLUSTERS} clusters that prove Aurora keys exist in {environment.region}, the most at "
            "once. Check again in a few minutes."
        )
        return CheckedKey.not_proved(KeyPurpose.RDS, environment.rds_key_arn, reason)

    @activity.defn(no_thread_cancel_exception=True)
    def remove_proof_clusters(self, environment: Environment) -> None:
        """Remove the clusters that prove this key, and those that were left behind; succeed once they are gone.

        Raises:
            ApplicationError: `rds.NotReady`, retried after `poll`, until they are gone. No error ends the retries: what
                this activity gives up would be left behind.
        """
        step, rds = self._step(environment), self.clients.rds(environment.region)
        try:
            with step.translate_aws_errors():
                remaining = [one for one in self._find_clusters(rds).values() if self._must_go(one, environment)]
                for cluster in remaining:
                    if cluster["Status"] not in rds_statuses.CLUSTER_PENDING | {rds_statuses.DELETING}:
                        rds.delete_db_cluster(
                            DBClusterIdentifier=cluster["DBClusterIdentifier"], SkipFinalSnapshot=True
                        )
        except ApplicationError as refusal:
            raise retried_later(refusal, _AGAIN_AFTER_A_STOP) if refusal.non_retryable else refusal from refusal
        if remaining:
            states = ", ".join(f"{one['DBClusterIdentifier']} is {one['Status']}" for one in remaining)
            raise step.retry_later_error("rds.NotReady", f"{states}; byok removes it.", self.poll)

    def _find_clusters(self, rds: "RDSClient") -> "dict[str, DBClusterTypeDef]":
        return find_clusters(rds, naming.proof_cluster_identifiers(self.platform.vendor))

    def _must_go(self, cluster: "DBClusterTypeDef", environment: Environment) -> bool:
        tags = {tag.get("Key"): tag.get("Value") for tag in cluster.get("TagList", [])}
        proves = tags.get(naming.proof_tag_key(self.platform.vendor))
        if proves is None:  # a cluster that proves nothing has the name
            return False
        return proves == environment.rds_key_arn or cluster["ClusterCreateTime"] < datetime.now(UTC) - LEFTOVER_AGE

    def _proved(
        self, step: ActivityContext, cluster: "DBClusterTypeDef", at: datetime, request_id: str | None
    ) -> CheckedKey:
        """Return the verdict on the key, if RDS reports that it encrypts the cluster with it (contract 99)."""
        arn = step.environment.rds_key_arn
        if not is_encrypted_with(cluster, arn):
            message = f"The cluster was created with {arn}; RDS reports {cluster.get('KmsKeyId') or 'no customer key'}."
            raise step.non_retryable_error("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return CheckedKey.proved(KeyPurpose.RDS, arn, at, request_id)

    def _step(self, environment: Environment) -> ActivityContext:
        return ActivityContext(environment, self.platform.vendor, Phase.VALIDATING_KEYS, KeyPurpose.RDS)


def _with_name(planned: DatabaseTask, name: str) -> DatabaseTask:
    return planned.model_copy(update={"cluster": planned.cluster.model_copy(update={"identifier": name})})
