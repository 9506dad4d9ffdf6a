"""Checks the keys and the settings of one environment.

The check of the S3 key reads or writes an object, and the check of the Aurora key reads the status of the cluster.
"""

from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from activities import rds_resources
from activities.bucket_owner import refuse_foreign_bucket
from activities.clients import AwsClients
from activities.drift import DriftCheck
from activities.failures import ActivityContext
from activities.health_object import HealthObject
from byok.contracts import INVALID_INPUT_PROBLEM_CODE
from byok.domain import rds_statuses
from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    EnvironmentPlan,
    HealthReport,
    HealthState,
    HealthTarget,
    KeyHealth,
    KeyUse,
    Problem,
    ProvisionRequest,
)
from byok.domain.phases import Phase, RequestKind
from byok.domain.planning import Platform, plan_environment, plan_no_environment
from byok.domain.problems.remediation import Remedy

if TYPE_CHECKING:
    from mypy_boto3_rds.type_defs import DBClusterTypeDef


@dataclass
class HealthCheck:
    """The check of one environment.

    Attributes:
        cluster: The environment's cluster as RDS last described it; None if the cluster does not exist.
        at: When the check began.
    """

    clients: AwsClients
    platform: Platform
    target: HealthTarget
    cluster: "DBClusterTypeDef | None"
    at: datetime
    _started: bool = field(default=False, init=False)

    def run(self, *, thoroughly: bool) -> HealthReport:
        """Check the environment. If its cluster has lost access to the key, try to start the cluster before the check.

        Args:
            thoroughly: Whether to also write to S3, and to compare settings, tags and claims.

        Raises:
            ApplicationError: A platform fault prevented the check of the S3 key or of the settings, and no other
                finding shows that a key is lost.
        """
        refusal = self._start_lost_cluster()
        s3, rds = self._check_s3_key(write=thoroughly), self._check_aurora_key()
        problems = [one for one in (s3, rds, refusal) if isinstance(one, Problem)]
        if self._status in rds_statuses.KEY_LOST or any(one.key is not None for one in problems):
            # A lost key must be reported, even if other parts of the check failed.
            return self._report(HealthState.KEY_LOST, s3, rds, problems)
        if isinstance(s3, ApplicationError):
            raise s3
        if self._is_starting():
            return self._report(HealthState.RECOVERING, s3, rds, problems)
        drift = DriftCheck(self.clients, self.platform, self._step(KeyPurpose.RDS), self._plan)
        if thoroughly:
            problems += drift.find(self.cluster)
        elif self.cluster is None:
            problems.append(drift.build_missing_cluster_problem())
        return self._report(HealthState.DEGRADED if problems else HealthState.HEALTHY, s3, rds, problems)

    def _check_s3_key(self, *, write: bool) -> KeyUse | Problem | ApplicationError:
        """Use the S3 key.

        If AWS rejects the use of the key, return a problem. If a platform fault prevents the check, return the error.
        """
        environment = self._plan.environment
        if KeyPurpose.S3 not in environment.customer_keys:
            return KeyUse.PLATFORM_MANAGED
        step = self._step(KeyPurpose.S3)
        s3 = self.clients.on_behalf_of(environment.organisation).s3(environment.region)
        try:
            with step.translate_aws_errors(), refuse_foreign_bucket(step, s3, environment.probe_bucket):
                mismatch = HealthObject(s3, environment).prove_key(write=write)
        except ApplicationError as error:
            problem = Problem.model_validate(error.details[0])
            return problem if error.non_retryable and problem.key is not None else error
        if mismatch is not None:
            return step.non_retryable_error("byok.ProbeMismatch", mismatch, Remedy.UNPROVED)
        return KeyUse.PROVED

    def _check_aurora_key(self) -> KeyUse | Problem:
        """Return the state of the Aurora key, which byok derives from the cluster's status."""
        status = self._status
        if status is None:
            return KeyUse.UNREACHABLE
        step, name = self._step(KeyPurpose.RDS), self._plan.cluster.identifier
        if status in rds_statuses.KEY_LOST:
            message = rds_resources.describe_lost_key(name, status)
            return step.build_problem(f"rds.{status}", message, Remedy.READY_CLUSTER_LOST_KEY, customer_key=True)
        if status != rds_statuses.AVAILABLE and status not in rds_statuses.CLUSTER_PENDING:
            message = f"{name} is {status}. A cluster with this status does not become available on its own."
            return step.build_problem(f"rds.{status}", message, Remedy.DRIFT)
        managed = KeyPurpose.RDS not in self._plan.environment.customer_keys
        return KeyUse.PLATFORM_MANAGED if managed else KeyUse.IN_USE

    @property
    def _status(self) -> str | None:
        """The cluster's status; None if the cluster does not exist."""
        return None if self.cluster is None else self.cluster.get("Status", "")

    def _start_lost_cluster(self) -> Problem | None:
        """Try to start the cluster if it has lost access to its key.

        RDS rejects the start while the key is unusable. A rejected start changes nothing, so every check tries again.
        This method returns a problem only if RDS rejects the start for another reason, for example because the platform
        role lacks a permission.
        """
        if self._status != rds_statuses.KEY_LOST_RECOVERABLE or not self.platform.recover_clusters:
            return None
        rds, name = self.clients.rds(self.target.region), self._plan.cluster.identifier
        try:
            with self._step(KeyPurpose.RDS).translate_aws_errors():
                rds.start_db_cluster(DBClusterIdentifier=name)
                self._started, self.cluster = True, rds_resources.find_cluster(rds, name)
        except ApplicationError as error:
            problem = Problem.model_validate(error.details[0])
            return problem if error.non_retryable and problem.key is None else None
        return None

    def _is_starting(self) -> bool:
        """Return whether RDS is starting the cluster after the cluster lost access to its key."""
        before = None if self.target.last is None else self.target.last.state
        was_lost = self._started or before in (HealthState.KEY_LOST, HealthState.RECOVERING)
        return was_lost and self._status in rds_statuses.CLUSTER_PENDING

    @cached_property
    def _plan(self) -> EnvironmentPlan:
        """The environment's plan, with the grace period for access-denied errors set to zero.

        A health check must not wait until a policy change has propagated.

        Raises:
            ApplicationError: The environment's request is no longer valid, because byok's rules for requests have
                changed.
        """
        fields = ("environment_id", "organisation", "region", "encryption", "s3_key_arn", "rds_key_arn")
        values = {name: getattr(self.target, name) for name in fields if getattr(self.target, name) is not None}
        try:
            request = ProvisionRequest.model_validate({**values, "key_grace_seconds": 0})
        except ValidationError as error:
            step = ActivityContext(
                plan_no_environment(self.platform), self.platform.vendor, Phase.READY, KeyPurpose.S3, RequestKind.HEALTH
            )
            text = str(error.errors(include_input=False, include_url=False))
            raise step.non_retryable_error(INVALID_INPUT_PROBLEM_CODE, text, Remedy.PLATFORM_OPERATOR) from error
        return plan_environment(request, self.platform, self.at, run_id="")

    def _step(self, key: KeyPurpose) -> ActivityContext:
        return ActivityContext(self._plan.environment, self.platform.vendor, Phase.READY, key, RequestKind.HEALTH)

    def _report(
        self,
        state: HealthState,
        s3: KeyUse | Problem | ApplicationError,
        rds: KeyUse | Problem,
        problems: list[Problem],
    ) -> HealthReport:
        uses = {KeyPurpose.S3: _use_of(s3), KeyPurpose.RDS: _use_of(rds)}
        environment = self._plan.environment
        return HealthReport(
            environment_id=self.target.environment_id,
            organisation=self.target.organisation,
            checked_at=self.at,
            state=state,
            cluster_status=self._status,
            keys=tuple(
                KeyHealth(key=which, key_arn=environment.key_arn(which) or None, use=use) for which, use in uses.items()
            ),
            problems=tuple(problems),
        )


def _use_of(found: KeyUse | Problem | ApplicationError) -> KeyUse:
    if isinstance(found, KeyUse):
        return found
    return KeyUse.REFUSED if isinstance(found, Problem) and found.key is not None else KeyUse.UNREACHABLE
