"""Finds an environment's missing resources and claims, and its changed tags and settings."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from temporalio.exceptions import ApplicationError

from activities import rds_resources
from activities.bucket_owner import refuse_foreign_bucket
from activities.bucket_settings import bucket_exists, read_bucket_tags, required_bucket_settings
from activities.clients import AwsClients
from activities.failures import ActivityContext
from activities.key_claims import KeyClaims
from activities.ownership import has_environment_tag
from byok.domain.arns import parse_key_arn
from byok.domain.models import BucketPlan, DatabaseTask, EnvironmentPlan, Problem
from byok.domain.planning import Platform
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef

DRIFT_CODE = "byok.Drift"
"""The problem code for a resource or claim that is missing, or that differs from the environment's plan."""


@dataclass(frozen=True)
class DriftCheck:
    """Compares the resources of one environment with its plan."""

    clients: AwsClients
    platform: Platform
    step: ActivityContext
    plan: EnvironmentPlan

    def find(self, cluster: "DBClusterTypeDef | None") -> Iterator[Problem]:
        """Yield a problem for each difference.

        Args:
            cluster: The environment's cluster as RDS describes it; None if it does not exist.

        Raises:
            ApplicationError: AWS did not respond, or rejected a call.
        """
        with self.step.translate_aws_errors():
            yield from self._find_in_database(cluster)
            for bucket in self.plan.buckets:
                yield from self._find_in_bucket(bucket)
            yield from self._find_in_claims()

    def build_missing_cluster_problem(self) -> Problem:
        """Build the problem for a cluster that does not exist, without calling AWS."""
        return self._problem(f"The cluster {self.plan.cluster.identifier} does not exist.")

    def _find_in_database(self, cluster: "DBClusterTypeDef | None") -> Iterator[Problem]:
        planned = self.plan.cluster
        if cluster is None:
            yield self.build_missing_cluster_problem()
            return
        if not rds_resources.is_tagged_for(cluster, self.plan.environment):
            yield self._problem(f"The cluster {planned.identifier} does not have the environment's tags.")
        rds = self.clients.rds(self.plan.environment.region)
        writer = rds_resources.find_instance(rds, planned.writer_identifier)
        if writer is None:
            yield self._problem(f"The writer {planned.writer_identifier} does not exist.")
            return
        found = rds_resources.build_database_evidence(cluster, writer)
        task = DatabaseTask(environment=self.plan.environment, cluster=planned)
        try:
            self.step.require_match(planned.identifier, found, rds_resources.expected_evidence_fields(task, found))
        except ApplicationError as difference:
            yield self._problem(difference.message)

    def _find_in_bucket(self, bucket: BucketPlan) -> Iterator[Problem]:
        s3 = self.clients.on_behalf_of(self.plan.environment.organisation).s3(self.plan.environment.region)
        with refuse_foreign_bucket(self.step, s3, bucket.name):
            if not bucket_exists(s3, bucket.name):
                yield self._problem(f"The bucket {bucket.name} does not exist.")
                return
            if not has_environment_tag(read_bucket_tags(s3, bucket.name), self.plan.environment):
                yield self._problem(f"The bucket {bucket.name} does not have the environment's tags.")
            for setting in required_bucket_settings(bucket.name, self.plan.environment):
                if not setting.is_applied(s3, bucket.name):
                    yield self._problem(f"The {setting.name} of the bucket {bucket.name} is not the one that byok set.")

    def _find_in_claims(self) -> Iterator[Problem]:
        environment = self.plan.environment
        if not environment.customer_keys:
            return
        held = {
            parse_key_arn(arn).global_id for arn in KeyClaims(self.clients, self.platform, self.step).read_own_claims()
        }
        for which in environment.customer_keys:
            if parse_key_arn(environment.key_arn(which)).global_id not in held:
                yield self._problem(
                    f"The environment does not hold the claim on {environment.key_arn(which)}, so another environment "
                    "could use the key."
                )

    def _problem(self, message: str) -> Problem:
        return self.step.build_problem(DRIFT_CODE, message, Remedy.DRIFT)
