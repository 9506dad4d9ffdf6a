"""Proves an Aurora key by creating a cluster without instances, and removes that cluster.

RDS checks the key and creates a grant on it during CreateDBCluster, so a successful response to that call is the proof
(Aurora user guide, "Encrypting Amazon Aurora resources"). A cluster without instances incurs no compute charges. RDS
refuses to delete a cluster that is still being created, so the removal takes longer than the proof. The workflow
`ProveAuroraKey` runs both steps.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError
from temporalio import activity
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import Priority, WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from activities.aws_errors import decide_error_outcome
from activities.clients import AwsClients
from activities.failures import ActivityContext, retried_later
from activities.ownership import has_tags
from activities.rds_resources import create_cluster_params, find_clusters, is_encrypted_with_own_key
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
"""The age at which byok treats a proof cluster as left behind by a workflow that has ended.

Removing a proof cluster normally takes minutes.
"""

_AGAIN_AFTER_A_STOP: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class AuroraProofActivities:
    """The activities that create and remove the clusters for proving Aurora keys.

    Attributes:
        poll: The interval between two attempts to remove the clusters.
    """

    clients: AwsClients
    platform: Platform
    poll: timedelta

    @activity.defn
    async def await_aurora_proof(self, environment: Environment) -> CheckedKey:
        """Start `ProveAuroraKey` for the Aurora key, or join the run in progress, and return the verdict of that run.

        Temporal retries the activity after an error from the SDK or from the Temporal server. If the workflow ends
        before it returns a verdict, the next attempt starts a new run.
        """
        start: WithStartWorkflowOperation[Any, CheckedKey] = WithStartWorkflowOperation(
            PROVE_AURORA_KEY_WORKFLOW,
            environment,
            id=aurora_proof_workflow_id(environment.region, environment.rds_key_arn),
            task_queue=activity.info().task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            priority=Priority(fairness_key=environment.organisation),
        )
        verdict: CheckedKey = await activity.client().execute_update_with_start_workflow(
            AURORA_PROOF_UPDATE, environment, start_workflow_operation=start, result_type=CheckedKey
        )
        return verdict

    @activity.defn(no_thread_cancel_exception=True)
    def ensure_proof_cluster(self, task: AuroraProofTask) -> CheckedKey:
        """Create a cluster encrypted with the Aurora key, or find the cluster that an earlier attempt created.

        The number of cluster names is limited, and one organisation may use only some of them, so that other
        organisations can still prove their keys. An attempt tries the first free name. If that name is taken in the
        meantime, the attempt lists the clusters again. An organisation can therefore exceed its limit only if the
        cluster of another proof is removed while two of the organisation's checks are choosing names.

        Returns:
            The verdict. The key is not proved if the maximum number of proof clusters already exists, either in total
            or for the organisation.

        Raises:
            ApplicationError: `rds.KMSKeyNotAccessibleFault`, after the grace period. For other RDS errors, see the
                error table.
        """
        environment = task.environment
        step, rds = self._step(environment), self.clients.on_behalf_of(environment.organisation).rds(environment.region)
        planned = plan_aurora_proof(task, self.platform)
        with step.translate_aws_errors():
            existing = self._find_clusters(rds)
            own = {"Key": environment.run_tag, "Value": task.proof_id}
            for name in naming.proof_cluster_identifiers(self.platform.vendor):
                for cluster in existing.values():
                    if own in cluster.get("TagList", []):  # an earlier attempt lost the response
                        return self._proved(step, cluster, cluster["ClusterCreateTime"], None)
                if self._has_reached_limit(existing, environment):
                    break
                if name in existing:
                    continue
                try:
                    answer = rds.create_db_cluster(**create_cluster_params(_with_name(planned, name)))
                except ClientError as error:
                    if decide_error_outcome(error) is not ErrorOutcome.EXISTS:
                        raise
                    existing = self._find_clusters(rds)  # another proof has just taken this name
                    continue
                request_id = answer["ResponseMetadata"].get("RequestId")
                return self._proved(step, answer["DBCluster"], datetime.now(UTC), request_id)
        reason = self._describe_limit(existing, environment)
        return CheckedKey.not_proved(KeyPurpose.RDS, environment.rds_key_arn, reason)

    @activity.defn(no_thread_cancel_exception=True)
    def remove_proof_clusters(self, environment: Environment) -> None:
        """Remove the clusters that prove this key, and all proof clusters that earlier workflows left behind.

        The activity succeeds once these clusters are gone.

        Raises:
            ApplicationError: `rds.NotReady`, until the clusters are gone; Temporal retries after `poll`. Temporal
                retries the activity after every error, because otherwise the clusters could be left behind.
        """
        step, rds = self._step(environment), self.clients.on_behalf_of(environment.organisation).rds(environment.region)
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
            raise step.retry_later_error("rds.NotReady", f"Not removed yet: {states}.", self.poll)

    def _find_clusters(self, rds: "RDSClient") -> "dict[str, DBClusterTypeDef]":
        return find_clusters(rds, naming.proof_cluster_identifiers(self.platform.vendor))

    def _has_reached_limit(self, existing: "Mapping[str, DBClusterTypeDef]", environment: Environment) -> bool:
        """Return whether the organisation has reached its limit of proof clusters.

        Only the total limit applies to the vendor's own proofs.
        """
        wanted = naming.organisation_tags(self.platform.vendor, environment.organisation)
        own = [one for one in existing.values() if wanted and has_tags(one.get("TagList", []), wanted)]
        return len(own) >= naming.MAX_PROOF_CLUSTERS_PER_ORGANISATION

    def _describe_limit(self, existing: "Mapping[str, DBClusterTypeDef]", environment: Environment) -> str:
        """Return why no cluster was created, without revealing the names of other organisations."""
        number, owner, limited = naming.MAX_PROOF_CLUSTERS, "", "the maximum"
        if self._has_reached_limit(existing, environment):
            number, owner = naming.MAX_PROOF_CLUSTERS_PER_ORGANISATION, f" of {environment.organisation}"
            limited = "the maximum for one organisation"
        return (
            f"{number} clusters for proving Aurora keys{owner} already exist in {environment.region}. This is "
            f"{limited}. Check again in a few minutes."
        )

    def _must_go(self, cluster: "DBClusterTypeDef", environment: Environment) -> bool:
        tags = {tag.get("Key"): tag.get("Value") for tag in cluster.get("TagList", [])}
        proves = tags.get(naming.proof_tag_key(self.platform.vendor))
        if proves is None:  # not a proof cluster, although it has the name of one
            return False
        return proves == environment.rds_key_arn or cluster["ClusterCreateTime"] < datetime.now(UTC) - LEFTOVER_AGE

    def _proved(
        self, step: ActivityContext, cluster: "DBClusterTypeDef", at: datetime, request_id: str | None
    ) -> CheckedKey:
        """Return the verdict, or stop if RDS reports that another key encrypts the cluster (contract 99)."""
        arn = step.environment.rds_key_arn
        if not is_encrypted_with_own_key(cluster, step.environment):
            reported = cluster.get("KmsKeyId") or "no customer key"
            message = f"The cluster was created with {arn}, but RDS reports {reported}."
            raise step.non_retryable_error("byok.ProbeMismatch", message, Remedy.UNPROVED)
        return CheckedKey.proved(KeyPurpose.RDS, arn, at, request_id)

    def _step(self, environment: Environment) -> ActivityContext:
        phase, kind = Phase.VALIDATING_KEYS, environment.request_kind
        return ActivityContext(environment, self.platform.vendor, phase, KeyPurpose.RDS, kind)


def _with_name(planned: DatabaseTask, name: str) -> DatabaseTask:
    return planned.model_copy(update={"cluster": planned.cluster.model_copy(update={"identifier": name})})
