"""Provisions one environment, encrypted with two of the customer's keys or with platform-managed keys."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.claims import ClaimActivities
    from activities.database import DatabaseActivities
    from activities.evidence import EvidenceActivities
    from activities.planning import PlanActivities
    from activities.storage import StorageActivities
    from byok.contracts import PROVISION_ENVIRONMENT_WORKFLOW, STOP_SIGNAL, environment_workflow_id
    from byok.domain.models import (
        BucketPlan,
        BucketResource,
        BucketTask,
        DatabaseTask,
        EnvironmentPlan,
        Evidence,
        Problem,
        ProvisionRequest,
        StoppedAttempt,
    )
    from byok.domain.phases import OnFailure, Phase
from workflows.activity_options import (
    AWAIT_WRITER_OPTIONS,
    ENSURE_WRITER_OPTIONS,
    LOCAL_PLAN_OPTIONS,
    READ_OPTIONS,
    RELEASE_OPTIONS,
    WRITE_OPTIONS,
    with_summary,
)
from workflows.attempts import AttemptRecorder
from workflows.cancellation import (
    cancel_and_wait,
    finish_despite_cancellation,
    raise_if_cancelled,
    shield_until_done,
)
from workflows.failures import (
    PhaseStoppedError,
    extract_partial_result,
    extract_problem,
    extract_problems,
    is_cancellation,
    is_non_retryable,
    to_workflow_failure,
)
from workflows.key_validation import examine_other_key, validate_keys
from workflows.progress import ProgressPublisher
from workflows.quotas import require_quota
from workflows.removal import Leftover, remove_resources
from workflows.reports import RunReporter
from workflows.tenant_names import reconcile_keys
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=PROVISION_ENVIRONMENT_WORKFLOW)
class ProvisionEnvironment:
    """The state machine of an environment. The workflow id is `environment/<environment id>`.

    VALIDATING_KEYS -> CREATING_CLUSTER -> CREATING_STORAGE in parallel with AWAITING_DATABASE -> VERIFYING ->
    RECONCILING_TENANT (if a tenant is given) -> READY. A problem in any phase leads to STOPPED, and the workflow fails
    with the problem. The workflow keeps the resources that it created, unless the request specifies that they are
    removed first (ROLLING_BACK). The workflow never removes a verified environment: after verification, only the tenant
    name can fail, and the environment works without it. The workflow also never removes a resource that an earlier run
    created.

    The workflow creates the cluster first, because only creating a cluster proves that the Aurora key works. If the
    Aurora key does not work, the workflow stops within seconds, and there is nothing to undo. The workflow never makes
    two writes that depend on a key at the same time, so that resetting the workflow to the failed write does not repeat
    any other write.
    """

    def __init__(self) -> None:
        self._record: ProgressPublisher
        self._request: ProvisionRequest
        self._plan: EnvironmentPlan | None = None
        self._database_available = False
        self._evidence: Evidence | None = None
        self._attempts = AttemptRecorder()
        self._reporter = RunReporter(self._attempts)

    @workflow.run
    async def run(self, request: ProvisionRequest) -> Evidence:
        """Run all phases in order, and return the evidence that was read back from AWS."""
        expected = environment_workflow_id(request.environment_id)
        require_workflow_id(expected, f"the workflow id of environment {request.environment_id}")
        self._request = request
        self._record = ProgressPublisher(request)
        self._attempts.follow(self._record)
        try:
            plan = await self._validate_keys(request)
            await self._create_cluster(plan)
            await self._create_storage_beside_database(plan)
            evidence = self._evidence = await self._verify(plan)
            self._record.assign_tenant_name(plan.tenant_name)
            await self._name_keys(plan)
        except (PhaseStoppedError, ActivityError, asyncio.CancelledError) as error:
            raise await self._stop(error) from error
        ready = self._record.advance(Phase.READY, evidence=evidence)
        await self._reporter.report_end(ready)
        self._record.publish(ready)
        return evidence

    @workflow.signal(
        name=STOP_SIGNAL, description="Receives this workflow's own report of a stop. Do not send this signal yourself."
    )
    def record_stop(self, stop: StoppedAttempt) -> None:
        """Receive the report of a stop.

        The report is this attempt's own report or, after a reset, the report of the attempt that stopped earlier.
        """
        if self._attempts.receive(stop):
            self._reporter.report_resumption(self._record.progress)

    async def _validate_keys(self, request: ProvisionRequest) -> EnvironmentPlan:
        self._begin(Phase.VALIDATING_KEYS)
        plan = await workflow.execute_local_activity_method(
            PlanActivities.plan_environment, request, **LOCAL_PLAN_OPTIONS
        )
        await require_quota(request)
        await self._reporter.report_start(self._record.progress)
        findings = await validate_keys(request, plan)
        if findings:
            raise PhaseStoppedError(findings)
        self._plan = plan
        return plan

    async def _create_cluster(self, plan: EnvironmentPlan) -> None:
        self._begin(Phase.CREATING_CLUSTER)
        try:
            cluster = await shield_until_done(
                workflow.start_activity_method(
                    DatabaseActivities.ensure_cluster,
                    _database(plan),
                    **with_summary(WRITE_OPTIONS, plan.cluster.identifier),
                )
            )
        except ActivityError as error:
            if is_cancellation(error):
                raise
            problems = extract_problems(error, self._request, self._record.phase, workflow.now())
            others = await examine_other_key(self._request, plan, problems)
            raise PhaseStoppedError([*problems, *others]) from error
        self._record.resources = self._record.resources.with_cluster(cluster)

    async def _create_storage_beside_database(self, plan: EnvironmentPlan) -> None:
        self._begin(Phase.CREATING_STORAGE)
        branches = [asyncio.create_task(self._create_storage(plan)), asyncio.create_task(self._await_database(plan))]
        try:
            first, _ = await workflow.wait(branches, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError:
            await cancel_and_wait(branches)
            raise
        await cancel_and_wait(branches)
        problems = self._problems_of(first)
        if problems:
            others = [branch for branch in branches if branch not in first]
            raise PhaseStoppedError([*problems, *self._problems_of(others, cut_short=True)])

    async def _create_storage(self, plan: EnvironmentPlan) -> None:
        for bucket in plan.buckets:
            await self._create_bucket(plan, bucket)
        if not self._database_available:
            self._begin(Phase.AWAITING_DATABASE)

    async def _create_bucket(self, plan: EnvironmentPlan, bucket: BucketPlan) -> None:
        raise_if_cancelled()
        task = BucketTask(environment=plan.environment, bucket=bucket)
        try:
            made = await shield_until_done(
                workflow.start_activity_method(
                    StorageActivities.ensure_bucket, task, **with_summary(WRITE_OPTIONS, bucket.name)
                )
            )
        except ActivityError as error:
            kept = extract_partial_result(error, BucketResource)
            if kept is not None:
                self._record.resources = self._record.resources.with_bucket(kept)
            raise
        self._record.resources = self._record.resources.with_bucket(made)

    async def _await_database(self, plan: EnvironmentPlan) -> None:
        task, names = _database(plan), plan.cluster
        writer = await shield_until_done(
            workflow.start_activity_method(
                DatabaseActivities.ensure_writer, task, **with_summary(ENSURE_WRITER_OPTIONS, names.writer_identifier)
            )
        )
        self._record.resources = self._record.resources.with_available_cluster().with_writer(writer)
        raise_if_cancelled()
        available = await workflow.execute_activity_method(
            DatabaseActivities.await_writer, task, **with_summary(AWAIT_WRITER_OPTIONS, names.writer_identifier)
        )
        self._record.resources = self._record.resources.with_writer(available)
        self._database_available = True

    async def _verify(self, plan: EnvironmentPlan) -> Evidence:
        self._begin(Phase.VERIFYING)
        return await workflow.execute_activity_method(EvidenceActivities.collect_evidence, plan, **READ_OPTIONS)

    async def _name_keys(self, plan: EnvironmentPlan) -> None:
        if plan.tenant is None:
            return
        self._begin(Phase.RECONCILING_TENANT)
        await reconcile_keys(self._request, plan.environment, plan.tenant, self._record.record_tenant_outcome)

    async def _stop(self, error: PhaseStoppedError | ActivityError | asyncio.CancelledError) -> BaseException:
        """Roll back if requested, publish the final state, and return the exception that ends the workflow."""
        problems = extract_problems(error, self._request, self._record.phase, workflow.now())
        left_behind: tuple[str, ...] = ()
        # `_plan` is set once the keys have passed validation. Before validation succeeds, the workflow creates none of
        # the environment's resources, so there is nothing to remove.
        unfinished = self._plan if self._evidence is None else None
        if unfinished is not None and self._request.on_failure is OnFailure.ROLLBACK:
            self._record.enter_phase(Phase.ROLLING_BACK, problems=problems)
            left = await self._roll_back(unfinished)
            left_behind = tuple(item.description for item in left)
            self._record.resources = self._record.resources.only_named(item.name for item in left)
        if unfinished is not None and unfinished.environment.customer_keys:
            await self._release_unused_claims(unfinished)
        await self._attempts.report_stop(problems)
        stopped = self._record.advance(
            Phase.STOPPED, problems=problems, left_behind=left_behind, evidence=self._evidence
        )
        self._record.publish(await self._reporter.report_end(stopped, cancelled=is_cancellation(error)))
        return to_workflow_failure(error, f"Environment {self._request.environment_id}", problems)

    async def _roll_back(self, plan: EnvironmentPlan) -> tuple[Leftover, ...]:
        """Remove everything that this run created. A second cancellation request during the rollback is ignored."""
        return await finish_despite_cancellation(remove_resources(plan, self._request, phase=Phase.ROLLING_BACK))

    async def _release_unused_claims(self, plan: EnvironmentPlan) -> None:
        """Release the claims on keys that encrypt nothing (contract 138).

        If AWS does not respond, the claims remain, and `byok claims` lists them.
        """
        release = workflow.start_activity_method(
            ClaimActivities.release_unused_claims, plan.environment, **RELEASE_OPTIONS
        )
        try:
            await finish_despite_cancellation(release)
        except ActivityError as error:
            workflow.logger.warning("the claims on the keys were not given back", exc_info=error)

    def _problem_of(self, error: BaseException) -> Problem:
        return extract_problem(error, self._request, self._record.phase, workflow.now())

    def _problems_of(self, branches: Sequence[asyncio.Task[None]], *, cut_short: bool = False) -> list[Problem]:
        """Return the problems with which the parallel branches failed.

        Args:
            branches: The branches, all of which have ended.
            cut_short: Whether the branches were cancelled. For cancelled branches, retryable errors are left out,
                because only the cancellation prevented a retry.
        """
        failures = [error for branch in branches if (error := _failure(branch)) is not None]
        return [self._problem_of(error) for error in failures if not cut_short or is_non_retryable(error)]

    def _begin(self, phase: Phase) -> None:
        raise_if_cancelled()
        self._record.enter_phase(phase, evidence=self._evidence)


def _failure(branch: asyncio.Task[None]) -> BaseException | None:
    """Return the exception that a branch failed with, or None if the branch completed or was cancelled."""
    if branch.cancelled():
        return None
    error = branch.exception()
    return None if error is None or is_cancelled_exception(error) else error


def _database(plan: EnvironmentPlan) -> DatabaseTask:
    return DatabaseTask(environment=plan.environment, cluster=plan.cluster)
