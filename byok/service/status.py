"""Builds an environment's status from Temporal's description of its workflow, without a worker or a query.

This module defines the JSON that `-o json` prints, and decides whether a workflow reported its outcome before it ended.
The module does not call Temporal itself; other modules of `byok.service` do.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Self

from pydantic import Field
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus

from byok.contracts import (
    CREATED_AT_ATTRIBUTE,
    EARLIER_ATTEMPTS_MEMO,
    PROBLEM_CODE_ATTRIBUTE,
    PROGRESS_MEMO,
    REFUSAL_CODES,
    REQUESTER_MEMO,
    environment_id_from_workflow_id,
    first_phase,
)
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.models import (
    Attempt,
    DeletionResult,
    EarlierAttempts,
    EnvironmentHealth,
    EnvironmentProgress,
    EnvironmentRecordState,
    Evidence,
    HealthState,
    Problem,
    Progress,
    RecordedProgress,
    RecordModel,
    Requester,
    Resources,
    TenantOutcome,
    TimelineEntry,
)
from byok.domain.models.progress import is_only_unnamed
from byok.domain.models.records import find_creation
from byok.domain.phases import Encryption, Phase
from byok.service.memos import read_memo
from byok.service.pending import Holding, PendingStep, find_holding, list_pending_steps
from byok.service.pollers import Workers, build_unfit_problem
from byok.service.resets import is_resuming
from byok.service.tenant_runs import TenantRun
from byok.service.unreported_ends import HistoryLoaders, problem_of_unreported_end


class EnvironmentSummary(RecordModel):
    """An entry in the list of environments.

    Attributes:
        created_at: When the environment was first requested, to the millisecond. Replays do not change this time.
        started_at: When the workflow was started. A reset does not change this time.
        health: The health of a READY environment; otherwise None.
    """

    environment_id: str
    organisation: str | None = None
    phase: Phase
    health: HealthState | None = None
    region: str | None = None
    encryption: Encryption | None = None
    problem_code: str | None = None
    tenant_name: str | None = None
    created_at: datetime
    started_at: datetime
    closed_at: datetime | None = None
    awaits_name: bool = Field(default=False, exclude=True, repr=False)
    """Whether the environment is complete, and stopped only because the tenant name could not be set on its keys."""

    @classmethod
    async def from_execution(cls, execution: WorkflowExecution) -> Self:
        """Build the summary from an entry in Temporal's list of workflows."""
        progress = await _progress(execution)
        phase = _phase(execution, progress)
        problem = progress.first_problem if progress else None
        return cls(
            environment_id=environment_id_from_workflow_id(execution.id),
            organisation=progress.request.organisation if progress else None,
            phase=phase,
            region=progress.request.region if progress else None,
            encryption=progress.request.encryption if progress else None,
            problem_code=problem.code if problem else execution.typed_search_attributes.get(PROBLEM_CODE_ATTRIBUTE),
            tenant_name=progress.tenant_name if progress else None,
            created_at=_created_at(execution, await _earlier_attempts(execution), _started_at(execution, progress)),
            started_at=_started_at(execution, progress),
            closed_at=execution.close_time,
            awaits_name=progress is not None and progress.awaits_name,
        )

    def as_ready_if_named_at(self, at: datetime | None) -> Self:
        """Return the summary, with the phase READY if only the tenant name was missing and has been set since.

        `at` is the time when the tenant name was set on the keys.
        """
        if not self.awaits_name or at is None or self.closed_at is None or at < self.closed_at:
            return self
        return self.model_copy(update={"phase": Phase.READY, "problem_code": None, "awaits_name": False})


_REQUEST_FIELDS: Final = (
    "organisation",
    "region",
    "encryption",
    "s3_key_arn",
    "rds_key_arn",
    "tenant_role_arn",
    "profile",
    "stack_name",
    "final_snapshot",
)


class EnvironmentStatus(RecordModel):
    """The complete status of an environment.

    Attributes:
        organisation: The organisation that owns the environment; None if the vendor owns it.
        requested_by: Who requested the current run; None if the run was started in Temporal.
        reason: The reason that the requester gave for the current run, if any.
        phase: READY, DELETED and STOPPED are final.
        encryption: Whose keys encrypt the environment; None if the request is not known.
        s3_key_arn: The ARN of the customer's S3 key, as entered; None if the keys are platform-managed.
        rds_key_arn: The ARN of the customer's Aurora key, as entered; None if the keys are platform-managed.
        problem: The first of `problems`, if any.
        resources: The existing resources, as the workflow recorded them.
        evidence: The proof that the environment's resources are encrypted with its keys, once collected.
        left_behind: Resources that a rollback or a deletion could not remove.
        tenant_name: The tenant name that the platform assigned; None until the environment is complete.
        tenant: The result of the last request to set the tenant name, which is either the names on the keys or the
            commands that set them.
        tenant_problems: The problems that stopped the last request to set the tenant name; the environment works
            without this name.
        deletion: The proof that no resource of the environment is left; None until the phase is DELETED.
        tenant_role_arn: The role that last set the tenant name on the keys or, if no role has set it yet, the role that
            will set it.
        stack_name: The name of the CloudFormation stack that contains the keys; None if the user did not specify a
            name.
        pending: The steps that the environment currently waits for; empty once its workflow has ended.
        created_at: When the environment was first requested. Replays do not change this time.
        started_at: When the workflow was started. A reset does not change this time.
        health: The health of a READY environment's keys and resources; None in any other phase.
        holding: The platform fault that prevents the environment from making progress, if any. byok retries
            automatically, and the customer does not need to do anything.
        cancelling: Whether a cancellation of the operation in progress was requested. The current step finishes first.
    """

    environment_id: str
    organisation: str | None = None
    requested_by: str | None = None
    reason: str | None = None
    phase: Phase
    region: str | None = None
    encryption: Encryption | None = None
    s3_key_arn: str | None = None
    rds_key_arn: str | None = None
    problem: Problem | None = None
    problems: tuple[Problem, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    resources: Resources = Resources()
    evidence: Evidence | None = None
    left_behind: tuple[str, ...] = ()
    tenant_name: str | None = None
    tenant: TenantOutcome | None = None
    tenant_problems: tuple[Problem, ...] = ()
    deletion: DeletionResult | None = None
    tenant_role_arn: str | None = None
    profile: str = DEFAULT_PROFILE
    stack_name: str | None = None
    pending: tuple[PendingStep, ...] = ()
    holding: Holding | None = None
    cancelling: bool = False
    health: EnvironmentHealth | None = None
    workflow_id: str
    run_id: str
    created_at: datetime
    started_at: datetime
    closed_at: datetime | None = None
    record: EnvironmentRecordState | None = Field(default=None, exclude=True, repr=False)
    """The environment's record, if Temporal has deleted the environment's workflow."""
    resuming: bool = Field(default=False, exclude=True, repr=False)
    """Whether the run was reset and is still waiting for a worker to continue it. Until then, the timeline ends with
    STOPPED.
    """
    final_snapshot: bool | None = Field(default=None, exclude=True, repr=False)
    """Whether the deletion takes a final snapshot; None if this is not the status of a deletion."""
    earlier_attempts: tuple[Attempt, ...] = Field(default=(), exclude=True, repr=False)
    """The attempts before the workflow started, as listed in its memo. `byok.service.attempts` finds all attempts."""

    @property
    def was_refused(self) -> bool:
        """Whether a quota or the environment's record prevented the run, which therefore changed nothing."""
        return self.problem is not None and self.problem.code in REFUSAL_CODES

    @property
    def is_deletion(self) -> bool:
        """Whether this is the status of a deletion, even if the deletion stopped before it entered DELETING."""
        stopped = self.problem is not None and self.problem.phase is Phase.DELETING
        return stopped or any(entry.phase is Phase.DELETING for entry in self.timeline)

    @property
    def unclaimed_since(self) -> datetime | None:
        """When the oldest unclaimed task began to wait for a worker; None if no task is unclaimed."""
        return min((item.since for item in self.pending if item.unclaimed), default=None)

    def with_unfit_workers(self, workers: Workers) -> Self:
        """Return the status, with `holding` set if a task is waiting and all workers are unfit (contract 151)."""
        since = self.unclaimed_since
        if since is None or workers.fit or not workers.unfit:
            return self
        problem = build_unfit_problem(workers.unfit[0], self.phase, self.region or "", since)
        return self.model_copy(update={"holding": Holding(since=since, problem=problem)})

    @classmethod
    async def from_description(cls, described: WorkflowExecutionDescription, fetch: HistoryLoaders) -> Self:
        """Build the status from a workflow's description.

        Args:
            described: Temporal's description of the workflow.
            fetch: Reads the history if the workflow ended without a report, if its workflow task keeps failing, or if
                the workflow is resuming.
        """
        progress = await _progress(described)
        fields = collect_progress_fields(progress) if progress else {}
        if _is_unreported_end(described, progress):
            ended = await problem_of_unreported_end(described, progress, fetch)
            fields |= {"problem": ended, "problems": (ended,)}
        resuming = is_resuming(described, progress)
        if resuming:
            # The memo was written before the reset point, so it lacks the phases of the stopped attempt after that
            # point.
            fields |= {"timeline": await fetch.stopped_timeline() or fields["timeline"]}
        requester = await read_memo(described, REQUESTER_MEMO, Requester)
        earlier, started_at = await _earlier_attempts(described), _started_at(described, progress)
        pending = await list_pending_steps(described, fetch.task_failure)
        return cls(
            environment_id=environment_id_from_workflow_id(described.id),
            requested_by=requester.subject if requester else None,
            reason=requester.reason if requester else None,
            **{**fields, "phase": _phase(described, progress)},
            pending=pending,
            holding=find_holding(pending),
            cancelling=described.status is WorkflowExecutionStatus.RUNNING
            and described.raw_description.workflow_extended_info.cancel_requested,
            workflow_id=described.id,
            run_id=described.run_id,
            created_at=_created_at(described, earlier, started_at),
            started_at=started_at,
            closed_at=described.close_time,
            earlier_attempts=earlier,
            resuming=resuming,
        )

    def with_tenant_runs(self, runs: Sequence[TenantRun]) -> Self:
        """Merge the results of runs of the tenant workflow into the status. The latest outcome takes precedence.

        Args:
            runs: Runs of the tenant workflow, most recent first.
        """
        runs = [run for run in runs if run.organisation == self.organisation]
        later = [run for run in runs if run.is_running_or_ended_after(self.closed_at)]
        earlier = [run for run in runs if not run.is_running_or_ended_after(self.closed_at)]
        outcomes = [*(one.outcome for one in later), self.tenant, *(one.outcome for one in earlier)]
        roles = [one.confirmed_role_arn for one in later]
        roles += [self.tenant_role_arn, *(one.confirmed_role_arn for one in earlier)]
        tenant = next((one for one in outcomes if one is not None), None)
        status = self.model_copy(
            update={
                "tenant": tenant,
                "tenant_name": tenant.tenant if tenant else self.tenant_name,
                "tenant_role_arn": next((one for one in roles if one is not None), None),
                "tenant_problems": runs[0].problems if later else (),
            }
        )
        done = next(
            (run.closed_at for run in runs if run.completed and run.is_running_or_ended_after(self.closed_at)), None
        )
        awaits_name = self.phase is Phase.STOPPED and self.evidence is not None and is_only_unnamed(self.problems)
        if done is None or not awaits_name:
            return status
        ready = TimelineEntry(phase=Phase.READY, entered_at=done)
        update = {"phase": Phase.READY, "problem": None, "problems": (), "timeline": (*self.timeline, ready)}
        return status.model_copy(update=update)


def collect_progress_fields(progress: EnvironmentProgress | RecordedProgress) -> dict[str, Any]:
    """Return the fields that a status takes from the published progress."""
    names = Progress.model_fields
    request = {name: getattr(progress.request, name) for name in _REQUEST_FIELDS if hasattr(progress.request, name)}
    return {**{name: getattr(progress, name) for name in names}, **request, "problem": progress.first_problem}


def _created_at(execution: WorkflowExecution, earlier: Sequence[Attempt], started_at: datetime) -> datetime:
    """Return when an environment was first requested.

    A run that a person started in Temporal lacks the search attribute until a worker picks up the run.
    """
    return execution.typed_search_attributes.get(CREATED_AT_ATTRIBUTE) or find_creation(earlier, started_at)


def _started_at(execution: WorkflowExecution, progress: EnvironmentProgress | None) -> datetime:
    """Return when a workflow was started.

    For a run that was reset, Temporal's list contains only the time of the reset.
    """
    first = [entry.entered_at for entry in progress.timeline[:1]] if progress else []
    return min([execution.start_time, *first])


async def _earlier_attempts(execution: WorkflowExecution) -> tuple[Attempt, ...]:
    found = await read_memo(execution, EARLIER_ATTEMPTS_MEMO, EarlierAttempts)
    return found.attempts if found else ()


def _is_unreported_end(execution: WorkflowExecution, progress: EnvironmentProgress | None) -> bool:
    return execution.status is not WorkflowExecutionStatus.RUNNING and (progress is None or not progress.phase.is_final)


async def read_organisation(execution: WorkflowExecution) -> str | None:
    """Return the organisation that owns an environment.

    None if the vendor owns the environment, or if the workflow has not published its progress yet.
    """
    progress = await _progress(execution)
    return progress.request.organisation if progress else None


async def _progress(execution: WorkflowExecution) -> EnvironmentProgress | None:
    return await read_memo(execution, PROGRESS_MEMO, EnvironmentProgress)


def _phase(execution: WorkflowExecution, progress: EnvironmentProgress | None) -> Phase:
    if _is_unreported_end(execution, progress):
        return Phase.STOPPED
    return progress.phase if progress else first_phase(execution.workflow_type)
