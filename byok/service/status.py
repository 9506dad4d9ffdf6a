"""Builds an environment's status from Temporal's description of its workflow, without a worker or a query.

This module defines the JSON that `--json` prints, and decides whether a workflow reported its outcome before it ended.
The module makes no calls to Temporal; other modules of `byok.service` make them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self, TypeVar

from pydantic import Field, ValidationError
from temporalio.client import WorkflowExecution, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from byok.contracts import (
    PROBLEM_CODE_ATTRIBUTE,
    PROGRESS_MEMO,
    REQUESTER_MEMO,
    TENANT_MEMO,
    environment_id_from_workflow_id,
    first_phase,
)
from byok.domain.customer_aws import DEFAULT_PROFILE
from byok.domain.models import (
    DeletionResult,
    EnvironmentProgress,
    Evidence,
    Problem,
    RecordModel,
    Requester,
    Resources,
    TenantOutcome,
    TenantProgress,
    TimelineEntry,
)
from byok.domain.phases import Encryption, Phase
from byok.service.pending import PendingStep, list_pending_steps
from byok.service.unreported_ends import FailureLoaders, problem_of_end, problem_of_unreported_end

_Memo = TypeVar("_Memo", bound=RecordModel)


class EnvironmentSummary(RecordModel):
    """An entry in the list of environments."""

    environment_id: str
    organisation: str | None = None
    phase: Phase
    region: str | None = None
    encryption: Encryption | None = None
    problem_code: str | None = None
    tenant_name: str | None = None
    started_at: datetime
    closed_at: datetime | None = None
    awaits_name: bool = Field(default=False, exclude=True, repr=False)
    """Whether the environment is complete, and stopped only because its keys could not be named."""

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
            started_at=execution.start_time,
            closed_at=execution.close_time,
            awaits_name=_awaits_name(phase, progress.evidence, progress.problems) if progress else False,
        )

    def as_ready_if_named_at(self, at: datetime | None) -> Self:
        """Return the summary, with the phase READY if only the tenant name was missing and has been set since.

        `at` is the time when the keys were named.
        """
        if not self.awaits_name or at is None or self.closed_at is None or at < self.closed_at:
            return self
        return self.model_copy(update={"phase": Phase.READY, "problem_code": None, "awaits_name": False})


@dataclass(frozen=True)
class TenantRun:
    """A run of the tenant workflow.

    Attributes:
        closed_at: When the run ended; None while it is running.
        problems: The problems that stopped the run.
    """

    progress: TenantProgress
    completed: bool
    closed_at: datetime | None
    problems: tuple[Problem, ...]

    @classmethod
    async def from_execution(cls, execution: WorkflowExecution) -> Self | None:
        """Build the run from Temporal's description or listing; None if the run has not reported anything."""
        progress = await _memo(execution, TENANT_MEMO, TenantProgress)
        if progress is None:
            return None
        problems = progress.problems
        all_well = execution.status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)
        if not problems and not all_well:
            again = "Request the tenant name again with the same values: existing aliases and tags are not rewritten."
            problems = (problem_of_end(execution, None, Phase.RECONCILING_TENANT, progress.request.region, again),)
        return cls(progress, execution.status is WorkflowExecutionStatus.COMPLETED, execution.close_time, problems)

    def is_running_or_ended_after(self, moment: datetime | None) -> bool:
        """Return whether the run is still running or ended at or after this moment."""
        return self.closed_at is None or moment is None or self.closed_at >= moment


_REQUEST_FIELDS: Final = (
    "organisation",
    "region",
    "encryption",
    "s3_key_arn",
    "rds_key_arn",
    "tenant_role_arn",
    "profile",
    "stack_name",
)


class EnvironmentStatus(RecordModel):
    """The complete status of an environment.

    Attributes:
        organisation: The organisation that owns the environment; None if the vendor owns it.
        requested_by: Who requested the current run; None if the run was started in Temporal.
        reason: Why, in the requester's words.
        phase: READY, DELETED and STOPPED are final.
        encryption: Whose keys encrypt the environment; None if the request is not known.
        s3_key_arn: The ARN of the customer's S3 key, as entered; None if the keys are platform-managed.
        rds_key_arn: The ARN of the customer's Aurora key, as entered; None if the keys are platform-managed.
        problem: The first of `problems`, if any.
        resources: The existing resources, as the workflow recorded them.
        evidence: The proof that the environment's resources are encrypted with its keys, once collected.
        left_behind: Resources that a rollback or a deletion could not remove.
        tenant_name: The tenant name that the platform assigned; None until the environment is complete.
        tenant: The result of the last request to name the keys, which is either the names on the keys or the commands
            that set them.
        tenant_problems: The problems that stopped the last request to name the keys; the environment works without a
            name.
        deletion: The proof that nothing is left, once the phase is DELETED.
        tenant_role_arn: The role that last named the keys or, if no role has named them yet, the role that will name
            them.
        stack_name: The name of the CloudFormation stack that contains the keys; None if the user did not specify a
            name.
        pending: The steps that the environment currently waits for; empty once its workflow has ended.
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
    workflow_id: str
    run_id: str
    started_at: datetime
    closed_at: datetime | None = None

    @property
    def is_deletion(self) -> bool:
        """Whether this is the status of a deletion, including a deletion that stopped before it began."""
        stopped = self.problem is not None and self.problem.phase is Phase.DELETING
        return stopped or any(entry.phase is Phase.DELETING for entry in self.timeline)

    @property
    def unclaimed_since(self) -> datetime | None:
        """When the oldest unclaimed task began to wait for a worker; None if no task is unclaimed."""
        return min((item.since for item in self.pending if item.unclaimed), default=None)

    @classmethod
    async def from_description(cls, described: WorkflowExecutionDescription, fetch: FailureLoaders) -> Self:
        """Build the status from a workflow's description.

        Args:
            described: Temporal's description of the workflow.
            fetch: Loads failures from the history if the workflow ended without a report, or if its worker is stuck.
        """
        progress = await _progress(described)
        problems = progress.problems if progress else ()
        if _is_unreported_end(described, progress):
            problems = (await problem_of_unreported_end(described, progress, fetch),)
        request = progress.request if progress else None
        requester = await _memo(described, REQUESTER_MEMO, Requester)
        return cls(
            environment_id=environment_id_from_workflow_id(described.id),
            requested_by=requester.subject if requester else None,
            reason=requester.reason if requester else None,
            phase=_phase(described, progress),
            problem=problems[0] if problems else None,
            problems=problems,
            timeline=progress.timeline if progress else (),
            resources=progress.resources if progress else Resources(),
            evidence=progress.evidence if progress else None,
            left_behind=progress.left_behind if progress else (),
            tenant_name=progress.tenant_name if progress else None,
            tenant=progress.tenant if progress else None,
            deletion=progress.deletion if progress else None,
            **({name: getattr(request, name) for name in _REQUEST_FIELDS if hasattr(request, name)}),
            pending=await list_pending_steps(described, fetch.task_failure),
            workflow_id=described.id,
            run_id=described.run_id,
            started_at=described.start_time,
            closed_at=described.close_time,
        )

    def with_tenant_runs(self, runs: Sequence[TenantRun]) -> Self:
        """Merge the results of separate tenant runs into the status. The latest outcome wins.

        Args:
            runs: The known runs, most recent first.
        """
        later = [run.progress for run in runs if run.is_running_or_ended_after(self.closed_at)]
        earlier = [run.progress for run in runs if not run.is_running_or_ended_after(self.closed_at)]
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
        if done is None or not _awaits_name(self.phase, self.evidence, self.problems):
            return status
        ready = TimelineEntry(phase=Phase.READY, entered_at=done)
        update = {"phase": Phase.READY, "problem": None, "problems": (), "timeline": (*self.timeline, ready)}
        return status.model_copy(update=update)


def _awaits_name(phase: Phase, evidence: Evidence | None, problems: Sequence[Problem]) -> bool:
    """Return whether an environment with complete evidence stopped only because its keys could not be named."""
    stopped_there = all(problem.phase is Phase.RECONCILING_TENANT for problem in problems)
    return phase is Phase.STOPPED and evidence is not None and stopped_there


def _is_unreported_end(execution: WorkflowExecution, progress: EnvironmentProgress | None) -> bool:
    return execution.status is not WorkflowExecutionStatus.RUNNING and (progress is None or not progress.phase.is_final)


async def read_organisation(execution: WorkflowExecution) -> str | None:
    """Return the organisation that owns an environment; None if the vendor owns it, or if nothing was published yet."""
    progress = await _progress(execution)
    return progress.request.organisation if progress else None


async def _progress(execution: WorkflowExecution) -> EnvironmentProgress | None:
    return await _memo(execution, PROGRESS_MEMO, EnvironmentProgress)


async def _memo(execution: WorkflowExecution, name: str, kind: type[_Memo]) -> _Memo | None:
    try:
        found: _Memo | None = await execution.memo_value(name, None, type_hint=kind)
    except (ApplicationError, ValidationError):  # another program wrote a memo field with this name
        return None
    return found


def _phase(execution: WorkflowExecution, progress: EnvironmentProgress | None) -> Phase:
    if _is_unreported_end(execution, progress):
        return Phase.STOPPED
    return progress.phase if progress else first_phase(execution.workflow_type)
