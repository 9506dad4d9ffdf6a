"""Deletes one environment and proves that none of its resources remain."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.database import DatabaseActivities
    from activities.planning import PlanActivities
    from activities.storage import StorageActivities
    from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, environment_workflow_id
    from byok.domain.models import (
        BucketPlan,
        DatabaseRemovalTask,
        DeleteRequest,
        DeletionResult,
        EnvironmentPlan,
        OwnedResources,
        Problem,
        ProvisionRequest,
    )
    from byok.domain.phases import Phase, RequestKind
    from byok.domain.problems.build import build_problem
    from byok.domain.problems.remediation import Remedy, RemedyContext
    from byok.domain.vendor import VendorProfile
from workflows.activity_options import PLAN_OPTIONS, READ_OPTIONS
from workflows.failures import PhaseStoppedError, extract_problems, is_cancellation, to_workflow_failure
from workflows.progress import ProgressPublisher
from workflows.removal import Leftover, remove_resources
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=DELETE_ENVIRONMENT_WORKFLOW)
class DeleteEnvironment:
    """Removes everything that has an environment's tag. The workflow id is `environment/<environment id>`.

    DELETING -> DELETED, or STOPPED with a list of the remaining resources and the reasons. Provisioning uses the same
    workflow id, so provisioning and deletion never run at the same time. byok never changes the keys, but releases the
    environment's claims on the keys, so that another environment may use them.

    If a bucket contains objects that provisioning did not write, the workflow keeps and reports the bucket, because
    those objects are the customer's data.
    """

    @workflow.run
    async def run(self, request: DeleteRequest) -> DeletionResult:
        """List the environment's resources, remove them in order, and list again to prove that nothing remains."""
        expected = environment_workflow_id(request.environment_id)
        require_workflow_id(expected, f"the workflow id of environment {request.environment_id}")
        self._request = request
        self._record = ProgressPublisher(_as_provision_request(request))
        self._record.enter_phase(Phase.DELETING)
        self._final_snapshot = _snapshot_name(request) if request.final_snapshot else None
        plan: EnvironmentPlan | None = None
        try:
            plan = await self._plan()
            before = await self._list(plan)
            left = await remove_resources(
                plan,
                request,
                phase=Phase.DELETING,
                buckets=[_bucket(plan, name) for name in before.buckets],
                final_snapshot=self._final_snapshot if before.clusters else None,
            )
            after = await self._list(plan)
            self._require_gone(left, after)
        except (PhaseStoppedError, ActivityError, asyncio.CancelledError) as error:
            raise await self._stop(error, plan) from error
        deletion = DeletionResult(
            environment_id=request.environment_id,
            removed=before.names,
            final_snapshot=after.final_snapshot,
            collected_at=workflow.now(),
        )
        self._record.enter_phase(Phase.DELETED, deletion=deletion)
        return deletion

    async def _plan(self) -> EnvironmentPlan:
        return await workflow.execute_activity_method(PlanActivities.plan_deletion, self._request, **PLAN_OPTIONS)

    async def _list(self, plan: EnvironmentPlan) -> OwnedResources:
        task = DatabaseRemovalTask(
            environment=plan.environment,
            cluster=plan.cluster,
            phase=Phase.DELETING,
            final_snapshot=self._final_snapshot,
        )
        databases = await workflow.execute_activity_method(DatabaseActivities.list_databases, task, **READ_OPTIONS)
        storage = await workflow.execute_activity_method(
            StorageActivities.list_buckets, plan.environment, **READ_OPTIONS
        )
        return databases.model_copy(update={"buckets": storage.buckets})

    def _require_gone(self, left: tuple[Leftover, ...], after: OwnedResources) -> None:
        """Check that nothing remains (contract 98, for deletions).

        Raises:
            PhaseStoppedError: Something remains. The exception's problems are the errors that AWS returned, or one
                problem that lists the remaining resources.
        """
        told = {item.name for item in left}
        untold = (f"{name}: AWS still lists it" for name in after.names if name not in told)
        self._left_behind = (*(item.description for item in left), *untold)
        problems = [item.problem for item in left if item.problem is not None]
        if problems or self._left_behind:
            raise PhaseStoppedError(problems or [self._leftover_problem()])

    def _leftover_problem(self) -> Problem:
        subject = RemedyContext(
            self._request.region,
            None,
            VendorProfile(),
            request_kind=RequestKind.DELETION,
            profile=self._request.profile,
        )
        message = f"{len(self._left_behind)} left behind: {'; '.join(self._left_behind)}."
        return build_problem(
            "byok.LeftBehind", message, Remedy.LEFT_BEHIND, subject, phase=Phase.DELETING, at=workflow.now()
        )

    async def _stop(
        self, error: PhaseStoppedError | ActivityError | asyncio.CancelledError, plan: EnvironmentPlan | None
    ) -> BaseException:
        """Publish what remains, and return the exception that ends the workflow."""
        problems = extract_problems(error, self._request, Phase.DELETING, workflow.now())
        left = self._left_behind if isinstance(error, PhaseStoppedError) else ()
        if is_cancellation(error):
            belongings = await self._list(plan or await self._plan())
            left = tuple(f"{name}: not removed yet" for name in belongings.names)
        self._record.enter_phase(Phase.STOPPED, problems=problems, left_behind=left)
        return to_workflow_failure(error, f"Deletion of environment {self._request.environment_id}", problems)


def _as_provision_request(request: DeleteRequest) -> ProvisionRequest:
    """Return a provisioning request with the fields of the deletion request, so that the status can show them."""
    return ProvisionRequest(
        environment_id=request.environment_id,
        region=request.region,
        encryption=request.encryption,
        s3_key_arn=request.s3_key_arn,
        rds_key_arn=request.rds_key_arn,
        key_grace_seconds=request.key_grace_seconds,
        profile=request.profile,
    )


def _snapshot_name(request: DeleteRequest) -> str:
    """Return a name for the final snapshot that no earlier deletion of an environment with the same id has used."""
    return f"{request.environment_id}-final-{workflow.info().start_time:%Y%m%d%H%M%S}"


def _bucket(plan: EnvironmentPlan, name: str) -> BucketPlan:
    """Return the plan of a bucket.

    A bucket that is no longer in the blueprint gets a plan without objects, so that the bucket is removed too.
    """
    known = {bucket.name: bucket for bucket in plan.buckets}
    return known.get(name) or BucketPlan(purpose="former", name=name, objects=())
