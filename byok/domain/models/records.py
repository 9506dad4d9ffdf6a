"""The record of an environment: what byok remembers about it for as long as the environment exists (contract 134)."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Self

from pydantic import ConfigDict

from byok.domain.models.attempts import Attempt
from byok.domain.models.base import RecordModel, RequestModel
from byok.domain.models.progress import EnvironmentProgress, Problem, TenantProgress
from byok.domain.models.requester import Requester
from byok.domain.models.requests import ProvisionRequest
from byok.domain.models.resources import ClusterResource
from byok.domain.phases import Encryption, Phase

MAX_RECORDED_ATTEMPTS: Final = 200
"""The maximum number of attempts in a record. Beyond it, the record keeps the first attempt and the latest ones."""


class RunReport(RecordModel):
    """What a run of an environment's workflow reports to the environment's record, at its start and at its end.

    Attributes:
        progress: The run's progress.
        attempt: The run as an attempt; `ended_at` is None in the report at the start.
        requester: Who requested the run; None if a user started it in Temporal.
    """

    progress: EnvironmentProgress
    attempt: Attempt
    requester: Requester | None = None


class TenantReport(RecordModel):
    """What a run of the tenant workflow reports at its end.

    Attributes:
        completed: Whether the run did what it was asked to do.
        ended_at: When the run ended.
    """

    progress: TenantProgress
    completed: bool
    ended_at: datetime


class RecordSummary(RecordModel):
    """The part of a record that lists of environments show.

    Attributes:
        created_at: When the environment was first requested.
        started_at: When the run was started that reported last.
        closed_at: When that run ended; None if it has not reported its end.
    """

    environment_id: str
    organisation: str | None = None
    phase: Phase
    region: str
    encryption: Encryption | None = None
    problem_code: str | None = None
    tenant_name: str | None = None
    created_at: datetime
    started_at: datetime
    closed_at: datetime | None = None


class RecordConflict(RecordModel):
    """Why a run must not provision an environment: another environment has its id.

    Attributes:
        problem: The problem with which the run stops; None if there is no conflict.
    """

    problem: Problem | None = None


class RebuildRequest(RequestModel):
    """The input of `RebuildRecords`.

    Attributes:
        after: The environment id after which the search begins; None to search all environments.
        rebuilt: The records that earlier runs of this workflow have rebuilt.
        skipped: The number of environments that already had a record.
    """

    after: str | None = None
    rebuilt: tuple["RebuiltRecord", ...] = ()
    skipped: int = 0


class UnrecordedEnvironment(RecordModel):
    """An environment that has resources in AWS, but no record.

    Attributes:
        request: The request, as far as AWS shows it; None if AWS does not show both keys.
        cluster: The environment's cluster.
        created_at: When the cluster was created.
        reason: Why there is no request.
    """

    environment_id: str
    region: str
    request: ProvisionRequest | None = None
    cluster: ClusterResource
    created_at: datetime
    reason: str | None = None


class UnrecordedPage(RecordModel):
    """Some of the environments that have resources in AWS but no record.

    Attributes:
        skipped: The number of environments on this page that have a record or are being changed.
        after: The environment id after which the next page begins; None on the last page.
    """

    environments: tuple[UnrecordedEnvironment, ...] = ()
    skipped: int = 0
    after: str | None = None


class RebuiltRecord(RecordModel):
    """What byok made of an environment that had no record.

    Attributes:
        phase: The phase in the new record; None if there is no new record.
        problem: Why the environment is stopped, or why there is no new record.
    """

    environment_id: str
    region: str
    phase: Phase | None = None
    problem: str | None = None


class RebuildResult(RecordModel):
    """The result of `RebuildRecords`.

    Attributes:
        skipped: The number of environments that already had a record.
    """

    rebuilt: tuple[RebuiltRecord, ...] = ()
    skipped: int = 0


class EnvironmentRecordState(RequestModel):
    """Everything that the record of an environment contains.

    The state is a workflow's input, so an invalid state fails the workflow (`byok.temporal_inputs`). It ignores unknown
    fields, because an older worker can continue a record that a newer worker has written.

    Attributes:
        latest: The last report of the environment's latest run; None in a new record.
        attempts: All attempts that runs have reported, oldest first.
        tenant: The last report of the tenant workflow.
        named: The last report of a tenant run that completed.
        region: The Region in which the environment has resources; None if provisioning has reported no resource. A
            request to delete the environment in another Region does not change this.
    """

    model_config = ConfigDict(extra="ignore")

    latest: RunReport | None = None
    attempts: tuple[Attempt, ...] = ()
    tenant: TenantReport | None = None
    named: TenantReport | None = None
    region: str | None = None

    def receive(self, report: RunReport | TenantReport, environment_id: str) -> Self:
        """Return the state after a report, or the same state if the report is about another environment."""
        return self.apply(report) if report.progress.request.environment_id == environment_id else self

    def apply(self, report: RunReport | TenantReport) -> Self:
        """Return the state after a report. A repeated report, or a late one from an earlier run, changes nothing else.

        Reports can arrive twice, because Temporal repeats the activity that sends them.
        """
        if isinstance(report, TenantReport):
            return self._with_tenant(report)
        attempt = report.attempt
        known = next((one for one in self.attempts if one.run_id == attempt.run_id), None)
        if known is not None and known.ended_at is not None and attempt.ended_at is None:
            return self
        others = [one for one in self.attempts if one.run_id != attempt.run_id]
        attempts = _number(sorted([*others, attempt], key=lambda one: one.started_at))
        newer = self.latest is None or attempt.started_at >= self.latest.attempt.started_at
        return self.model_copy(
            update={
                "latest": report if newer else self.latest,
                "region": _find_region_of_resources(report.progress) or self.region,
                "attempts": (*attempts[:1], *attempts[1:][-(MAX_RECORDED_ATTEMPTS - 1) :]),
            }
        )

    def _with_tenant(self, report: TenantReport) -> Self:
        if self.tenant is not None and report.ended_at < self.tenant.ended_at:
            return self
        return self.model_copy(update={"tenant": report, "named": report if report.completed else self.named})

    def _was_named_since(self, moment: datetime | None) -> bool:
        return self.named is not None and moment is not None and self.named.ended_at >= moment

    @property
    def is_deleted(self) -> bool:
        """Whether the environment's deletion is complete."""
        return self.latest is not None and self.latest.progress.phase is Phase.DELETED

    @property
    def possible_region(self) -> str | None:
        """The only Region in which the environment may have resources; None if it has none.

        A run that reported no end may have created resources.
        """
        if self.region is not None or self.latest is None or self.latest.attempt.ended_at is not None:
            return self.region
        return self.latest.progress.request.region

    @property
    def created_at(self) -> datetime | None:
        """When the environment was first requested; None in a new record."""
        if self.latest is None:
            return None
        earlier = [one for one in self.attempts if one.run_id != self.latest.attempt.run_id]
        return find_creation(earlier, find_start(self.latest))

    def summarise(self) -> RecordSummary | None:
        """Return the part that lists show; None in a new record."""
        if self.latest is None:
            return None
        progress, attempt = self.latest.progress, self.latest.attempt
        request, problem, phase = progress.request, progress.first_problem, progress.phase
        named = self.tenant.progress.outcome if self.tenant is not None else None
        if progress.awaits_name and self._was_named_since(attempt.ended_at):
            phase, problem = Phase.READY, None
        return RecordSummary(
            environment_id=request.environment_id,
            organisation=request.organisation,
            phase=phase,
            region=request.region,
            encryption=request.encryption,
            problem_code=problem.code if problem else None,
            tenant_name=named.tenant if named else progress.tenant_name,
            created_at=self.created_at or attempt.started_at,
            started_at=find_start(self.latest),
            closed_at=attempt.ended_at,
        )


def _find_region_of_resources(progress: EnvironmentProgress) -> str | None:
    created = progress.resources.cluster is not None or bool(progress.resources.buckets)
    return progress.request.region if created and isinstance(progress.request, ProvisionRequest) else None


def find_start(report: RunReport) -> datetime:
    """Return when a run's workflow was started; for a workflow that was reset, its original start."""
    return min([report.attempt.started_at, *(entry.entered_at for entry in report.progress.timeline[:1])])


def find_creation(earlier: Iterable[Attempt], started_at: datetime) -> datetime:
    """Return when an environment was created: at its first attempt, or at its first attempt after a deletion.

    Args:
        earlier: The attempts before the current workflow's start, in order.
        started_at: When the current workflow was started.
    """
    created: datetime | None = None
    for one in earlier:
        created = None if one.phase is Phase.DELETED else created or one.started_at
    return min(created or started_at, started_at)


def _number(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """Number the attempts. An attempt keeps a higher number that it already has, so a gap shows missing attempts."""
    numbered: list[Attempt] = []
    for one in attempts:
        following = numbered[-1].number + 1 if numbered else 1
        numbered.append(one.model_copy(update={"number": max(following, one.number)}))
    return tuple(numbered)
