"""A run of the tenant workflow, as Temporal describes or lists it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from temporalio.client import WorkflowExecution, WorkflowExecutionStatus

from byok.contracts import TENANT_MEMO
from byok.domain.models import Problem, TenantOutcome, TenantProgress
from byok.domain.phases import Phase
from byok.domain.remediation import Remediation, RetryRequest
from byok.service.memos import read_memo
from byok.service.unreported_ends import problem_of_end


@dataclass(frozen=True)
class TenantRun:
    """A run of the tenant workflow.

    Attributes:
        outcome: The result of the run, if it has one.
        confirmed_role_arn: See `TenantProgress.confirmed_role_arn`.
        closed_at: When the run ended; None while it is running.
        problems: The problems that stopped the run.
    """

    organisation: str | None
    outcome: TenantOutcome | None
    confirmed_role_arn: str | None
    completed: bool
    closed_at: datetime | None
    problems: tuple[Problem, ...]

    @classmethod
    async def from_execution(cls, execution: WorkflowExecution) -> Self | None:
        """Build the run from Temporal's description or listing; None if the run has not reported anything."""
        progress = await read_memo(execution, TENANT_MEMO, TenantProgress)
        if progress is None:
            return None
        problems = progress.problems
        all_well = execution.status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)
        if not problems and not all_well:
            again = Remediation.of_retry(
                "The request for the tenant name ended before it was finished",
                "Request the tenant name again with the same values: existing aliases and tags are not rewritten.",
                RetryRequest.SET_TENANT_NAME,
            )
            problems = (problem_of_end(execution, None, Phase.RECONCILING_TENANT, progress.request.region, again),)
        return cls(
            progress.request.organisation,
            progress.outcome,
            progress.confirmed_role_arn,
            execution.status is WorkflowExecutionStatus.COMPLETED,
            execution.close_time,
            problems,
        )

    def is_running_or_ended_after(self, moment: datetime | None) -> bool:
        """Return whether the run is still running, or ended at or after a given time."""
        return self.closed_at is None or moment is None or self.closed_at >= moment
