"""Deletes one environment and proves that none of its resources remain."""

import asyncio
from collections.abc import Sequence

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.claims import ClaimActivities
    from activities.inventory import InventoryActivities
    from activities.planning import PlanActivities
    from activities.storage import StorageActivities
    from byok.contracts import DELETE_ENVIRONMENT_WORKFLOW, STOP_SIGNAL, environment_workflow_id
    from byok.domain.arns import KeyPurpose
    from byok.domain.encryption import (
        ENCRYPTION_CANNOT_CHANGE_CODE,
        explain_encryption_conflict,
        find_encryption_of_key,
    )
    from byok.domain.models import (
        BucketPlan,
        DeleteRequest,
        DeletionPlan,
        DeletionResult,
        ForeignObjectsTask,
        InventoryTask,
        OwnedResource,
        OwnedResources,
        Problem,
        StoppedAttempt,
    )
    from byok.domain.phases import Phase, RequestKind
    from byok.domain.problems.build import build_problem
    from byok.domain.problems.remediation import Remedy, RemedyContext
    from byok.domain.vendor import VendorProfile
from workflows.activity_options import PLAN_OPTIONS, READ_OPTIONS
from workflows.attempts import AttemptRecorder
from workflows.cancellation import finish_despite_cancellation, raise_if_cancelled
from workflows.failures import PhaseStoppedError, extract_problems, is_cancellation, to_workflow_failure
from workflows.progress import ProgressPublisher
from workflows.removal import Leftover, remove_resources
from workflows.reports import RunReporter
from workflows.workflow_id import require_workflow_id


@workflow.defn(name=DELETE_ENVIRONMENT_WORKFLOW)
class DeleteEnvironment:
    """Removes all resources that have an environment's tag. The workflow id is `environment/<environment id>`.

    A deletion goes from DELETING to DELETED. If something prevents the deletion, the workflow ends in STOPPED, with the
    problems and a list of the remaining resources. Provisioning uses the same workflow id, so provisioning and deletion
    never run at the same time. byok never changes the keys, but releases the environment's claims on the keys, so that
    another environment can use the keys.

    Any Temporal client can start this workflow with any arguments, so the workflow relies on what AWS reports to decide
    what to remove. Before the first removal, the workflow lists the resources that have the environment's tag, in all
    Regions in use. The workflow stops if the request's Region, encryption or keys differ from what AWS reports. The
    workflow also stops if a bucket contains objects that provisioning did not write, because such objects are the
    customer's data (contract 137).
    """

    def __init__(self) -> None:
        self._attempts = AttemptRecorder()
        self._reporter = RunReporter(self._attempts)

    @workflow.run
    async def run(self, request: DeleteRequest) -> DeletionResult:
        """List the environment's resources, remove them in order, and list again to prove that nothing remains."""
        expected = environment_workflow_id(request.environment_id)
        require_workflow_id(expected, f"the workflow id of environment {request.environment_id}")
        self._request = request
        self._record = ProgressPublisher(request)
        self._attempts.follow(self._record)
        self._record.enter_phase(Phase.DELETING)
        self._final_snapshot = _snapshot_name(request) if request.final_snapshot else None
        self._left_behind: tuple[str, ...] = ()
        plan: DeletionPlan | None = None
        try:
            await self._reporter.report_start(self._record.progress)
            plan = await self._plan()
            _require_region_in_use(plan)
            before = await self._find_resources(plan, self._final_snapshot)
            self._require_as_requested(plan, before)
            plan = self._take_keys(plan, before)
            await self._require_no_foreign_objects(plan, before)
            left = await remove_resources(
                plan,
                request,
                phase=Phase.DELETING,
                buckets=[_bucket(plan, one.name) for one in before.buckets],
                final_snapshot=self._final_snapshot if before.clusters else None,
            )
            # Once nothing remains, the deletion is complete, and a cancellation no longer has an effect. The record may
            # already contain this outcome, because Temporal repeats the last workflow task if a cancellation arrives
            # during that task.
            after = await finish_despite_cancellation(self._find_resources(plan, self._final_snapshot))
            self._require_gone(left, after)
            await finish_despite_cancellation(self._release_claims(plan))
        except (PhaseStoppedError, ActivityError, asyncio.CancelledError) as error:
            raise await self._stop(error, plan) from error
        deletion = DeletionResult(
            environment_id=request.environment_id,
            removed=before.names,
            final_snapshot=after.final_snapshot,
            collected_at=workflow.now(),
        )
        deleted = self._record.advance(Phase.DELETED, deletion=deletion)
        await self._reporter.report_end(deleted)
        self._record.publish(deleted)
        return deletion

    @workflow.signal(
        name=STOP_SIGNAL, description="Receives this workflow's own report of a stop. Do not send this signal yourself."
    )
    def record_stop(self, stop: StoppedAttempt) -> None:
        """Receive the report of a stop.

        The report is this attempt's own report or, after a reset, the report of the attempt that stopped earlier.
        """
        if self._attempts.receive(stop):
            self._reporter.report_resumption(self._record.progress)

    async def _plan(self) -> DeletionPlan:
        return await workflow.execute_activity_method(PlanActivities.plan_deletion, self._request, **PLAN_OPTIONS)

    async def _find_resources(self, plan: DeletionPlan, final_snapshot: str | None) -> OwnedResources:
        task = InventoryTask(environment=plan.environment, final_snapshot=final_snapshot)
        return await workflow.execute_activity_method(InventoryActivities.find_resources, task, **READ_OPTIONS)

    def _require_as_requested(self, plan: DeletionPlan, found: OwnedResources) -> None:
        """Compare the request's Region, encryption and keys with what AWS reports (contract 9, 137).

        Raises:
            PhaseStoppedError: A value differs. The problem states the requested value and the value that AWS reports.
        """
        name, region = self._request.environment_id, self._request.region
        if {one.region for one in found.all_resources} - {region}:
            message = (
                f"The request to delete {name} specifies the Region {region}, but AWS reports resources of {name} in "
                f"{_describe_regions(found.all_resources)}."
            )
            raise PhaseStoppedError([self._problem("byok.RegionDiffers", message, Remedy.DIFFERS_FROM_AWS)])
        self._require_same_encryption(plan, found)
        problems = [
            self._problem(
                "byok.KeyDiffers",
                f"The request to delete {name} specifies {asked} as {which.field_label}, but AWS reports that its "
                f"{what} encrypted with {' and '.join(reported)}.",
                Remedy.DIFFERS_FROM_AWS,
            )
            for which, asked, reported, what in (
                (KeyPurpose.S3, self._request.s3_key_arn, found.s3_key_arns, "buckets are"),
                (KeyPurpose.RDS, self._request.rds_key_arn, found.rds_key_arns, "database is"),
            )
            if asked is not None and reported and asked not in reported
        ]
        if problems:
            raise PhaseStoppedError(problems)

    def _require_same_encryption(self, plan: DeletionPlan, found: OwnedResources) -> None:
        requested, account = self._request.named_encryption, plan.environment.platform_account
        actual = {one: find_encryption_of_key(one.key_arn, account) for one in found.all_resources}
        if requested is None or requested in actual.values():
            return
        for one, encryption in actual.items():
            if encryption is not None:
                why = explain_encryption_conflict(self._request.environment_id, encryption)
                message = f"{why} AWS reports that {one.name} is encrypted with {one.key_arn}."
                raise PhaseStoppedError(
                    [self._problem(ENCRYPTION_CANNOT_CHANGE_CODE, message, Remedy.ENCRYPTION_CANNOT_CHANGE)]
                )

    def _take_keys(self, plan: DeletionPlan, found: OwnedResources) -> DeletionPlan:
        """Return the plan with the request's keys. If the request omits a key, use the key that AWS reports.

        The encryption and the customer's keys are also added to the progress, so that the status shows them.
        """
        s3_key_arn = self._request.s3_key_arn or next(iter(found.s3_key_arns), None)
        rds_key_arn = self._request.rds_key_arn or next(iter(found.rds_key_arns), None)
        if s3_key_arn is None and rds_key_arn is None:
            return plan
        environment = plan.environment.with_keys(s3_key_arn=s3_key_arn, rds_key_arn=rds_key_arn)
        known: dict[str, object] = {"encryption": environment.encryption}
        if environment.customer_keys:
            known |= {"s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn}
        self._record.correct_request(self._request.model_copy(update=known))
        return plan.model_copy(update={"environment": environment})

    async def _require_no_foreign_objects(self, plan: DeletionPlan, found: OwnedResources) -> None:
        """Check that the buckets contain only objects that provisioning wrote.

        This check runs before the deletion removes any resource, including the database.

        Raises:
            PhaseStoppedError: A bucket contains objects that provisioning did not write.
        """
        if not found.buckets:
            return
        task = ForeignObjectsTask(environment=plan.environment, buckets=tuple(one.name for one in found.buckets))
        foreign = await workflow.execute_activity_method(StorageActivities.find_foreign_objects, task, **READ_OPTIONS)
        if not foreign.buckets:
            return
        self._left_behind = tuple(f"{name}: not removed" for name in found.names)
        listed = "; ".join(f"{one.bucket}: {', '.join(one.keys)}" for one in foreign.buckets)
        message = (
            "Buckets contain objects that provisioning did not write (the first few in each bucket are listed): "
            f"{listed}."
        )
        raise PhaseStoppedError([self._problem("byok.ForeignObjects", message, Remedy.FOREIGN_OBJECTS)])

    def _require_gone(self, left: tuple[Leftover, ...], after: OwnedResources) -> None:
        """Check that none of the environment's resources remain in any Region in use (contract 98, 137).

        Raises:
            PhaseStoppedError: Resources remain. The exception's problems are the errors that AWS returned, or one
                problem that lists the remaining resources.
            asyncio.CancelledError: Resources remain, and the workflow was cancelled.
        """
        if after.names:
            raise_if_cancelled()
        told = {item.name for item in left}
        untold = (f"{name}: AWS still lists it" for name in after.names if name not in told)
        self._left_behind = (*(item.description for item in left), *untold)
        problems = [item.problem for item in left if item.problem is not None]
        if problems or self._left_behind:
            raise PhaseStoppedError(problems or [self._leftover_problem()])

    async def _release_claims(self, plan: DeletionPlan) -> None:
        """Release all claims of the environment (contract 138).

        An environment with platform-managed keys has no claims.
        """
        if plan.environment.customer_keys:
            await workflow.execute_activity_method(ClaimActivities.release_all_claims, plan.environment, **READ_OPTIONS)

    async def _list_remaining(self, plan: DeletionPlan | None) -> tuple[str, ...]:
        """List the resources that remain after a cancelled deletion.

        This method does not check whether a final snapshot is possible, because the deletion takes no snapshot once it
        is cancelled.
        """
        try:
            found = await self._find_resources(plan or await self._plan(), final_snapshot=None)
        except ActivityError as error:
            workflow.logger.warning("the remaining resources could not be listed", exc_info=error)
            return ()
        return tuple(f"{name}: not removed yet" for name in found.names)

    def _leftover_problem(self) -> Problem:
        message = f"{len(self._left_behind)} left behind: {'; '.join(self._left_behind)}."
        return self._problem("byok.LeftBehind", message, Remedy.LEFT_BEHIND)

    def _problem(self, code: str, message: str, remedy: Remedy) -> Problem:
        subject = RemedyContext(
            self._request.region,
            None,
            VendorProfile(),
            request_kind=RequestKind.DELETION,
            profile=self._request.profile,
        )
        return build_problem(code, message, remedy, subject, phase=Phase.DELETING, at=workflow.now())

    async def _stop(
        self, error: PhaseStoppedError | ActivityError | asyncio.CancelledError, plan: DeletionPlan | None
    ) -> BaseException:
        """Publish the problems and the remaining resources, and return the exception that ends the workflow."""
        problems = extract_problems(error, self._request, Phase.DELETING, workflow.now())
        left = self._left_behind if isinstance(error, PhaseStoppedError) else ()
        if is_cancellation(error):
            left = await self._list_remaining(plan)
        await self._attempts.report_stop(problems)
        stopped = self._record.advance(Phase.STOPPED, problems=problems, left_behind=left)
        self._record.publish(await self._reporter.report_end(stopped, cancelled=is_cancellation(error)))
        return to_workflow_failure(error, f"Deletion of environment {self._request.environment_id}", problems)


def _require_region_in_use(plan: DeletionPlan) -> None:
    if plan.findings:
        raise PhaseStoppedError(plan.findings)


def _snapshot_name(request: DeleteRequest) -> str:
    """Return a name for the final snapshot that no earlier deletion of an environment with the same id has used."""
    return f"{request.environment_id}-final-{workflow.info().start_time:%Y%m%d%H%M%S}"


def _describe_regions(resources: Sequence[OwnedResource]) -> str:
    """Return a text that lists the Regions, with the names of the resources in each Region."""
    regions = sorted({one.region for one in resources})
    return "; ".join(
        f"{region} ({', '.join(one.name for one in resources if one.region == region)})" for region in regions
    )


def _bucket(plan: DeletionPlan, name: str) -> BucketPlan:
    """Return the plan for a bucket.

    A bucket that is no longer in the blueprint gets a plan without objects, so that the bucket is removed too.
    """
    known = {bucket.name: bucket for bucket in plan.buckets}
    return known.get(name) or BucketPlan(purpose="former", name=name, objects=())
