"""The record of an environment: what byok remembers about it for as long as the environment exists (contract 134)."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Self

from pydantic import AwareDatetime

from byok.domain.arns import KeyPurpose
from byok.domain.models.attempts import Attempt, number_attempts
from byok.domain.models.base import RecordModel
from byok.domain.models.health import HealthReport, HealthSummary, RecordedHealth
from byok.domain.models.key_deletions import KeyDeletion, KeyDeletionReport, is_disproved
from byok.domain.models.progress import Problem, TenantOutcome
from byok.domain.models.recorded_progress import RecordedProgress
from byok.domain.models.requester import Requester
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

    progress: RecordedProgress
    attempt: Attempt
    requester: Requester | None = None

    @property
    def environment_id(self) -> str:
        """The environment that the report is about."""
        return self.progress.request.environment_id


class TenantReport(RecordModel):
    """What a run of the tenant workflow reports at its end.

    Attributes:
        role_arn: The role that the run used, if the worker could assume it.
        outcome: The result of the run, if it has one.
        problems: The problems that stopped the run.
        completed: Whether the run did what it was asked to do.
        ended_at: When the run ended.
    """

    environment_id: str
    organisation: str | None = None
    role_arn: str | None = None
    outcome: TenantOutcome | None = None
    problems: tuple[Problem, ...] = ()
    completed: bool
    ended_at: AwareDatetime


RecordReport = RunReport | TenantReport | HealthReport | KeyDeletionReport
"""What a record receives."""


class RecordSummary(RecordModel):
    """The part of a record that lists of environments show.

    Attributes:
        created_at: When the environment was first requested.
        started_at: When the run was started that reported last.
        closed_at: When that run ended; None if it has not reported its end.
        health: The last reported health of a READY environment; otherwise None.
        deletions: The keys of a READY environment that KMS deletes, as the customer's account reported it.
    """

    environment_id: str
    organisation: str | None = None
    phase: Phase
    region: str
    encryption: Encryption | None = None
    s3_key_arn: str | None = None
    rds_key_arn: str | None = None
    problem_code: str | None = None
    tenant_name: str | None = None
    created_at: datetime
    started_at: datetime
    closed_at: datetime | None = None
    health: HealthSummary | None = None
    deletions: tuple[KeyDeletion, ...] = ()

    def get_key_arn(self, key: KeyPurpose) -> str | None:
        """Return the ARN of one of the customer's keys."""
        return self.s3_key_arn if key is KeyPurpose.S3 else self.rds_key_arn


class RecordConflict(RecordModel):
    """Why a run must not provision an environment: another environment has its id.

    Attributes:
        problem: The problem with which the run stops; None if there is no conflict.
    """

    problem: Problem | None = None


class EnvironmentRecordState(RecordModel):
    """Everything that the record of an environment contains.

    Attributes:
        latest: The last report of the environment's latest run; None in a new record.
        attempts: All attempts that runs have reported, oldest first.
        tenant: The last report of the tenant workflow.
        named: The last report of a tenant run that completed.
        region: The Region in which the environment has resources; None if provisioning has reported no resource. A
            request to delete the environment in another Region does not change this.
        health: The last report of a check that is newer than the evidence of the provisioning; None if there is none.
        deletions: The last report about the deletion of each key, also if the key is not deleted: an event that arrives
            twice must not bring back a deletion.
    """

    latest: RunReport | None = None
    attempts: tuple[Attempt, ...] = ()
    tenant: TenantReport | None = None
    named: TenantReport | None = None
    region: str | None = None
    health: RecordedHealth | None = None
    deletions: tuple[KeyDeletion, ...] = ()

    def receive(self, report: RecordReport, environment_id: str) -> Self:
        """Return the state after a report, or the same state if the report is about another environment."""
        return self.apply(report) if report.environment_id == environment_id else self

    def apply(self, report: RecordReport) -> Self:
        """Return the state after a report.

        A repeated report, or a late report from an earlier run, can change only the list of attempts. Reports can
        arrive twice, because Temporal repeats the activity that sends them. The run that reported last for the first
        time is the latest run: runs of one environment follow each other, and the clocks of machines differ.
        """
        if isinstance(report, TenantReport):
            return self._with_tenant(report)
        if isinstance(report, HealthReport):
            return self._with_health(report)
        if isinstance(report, KeyDeletionReport):
            return self._with_deletion(report)
        attempt = report.attempt
        if not self.is_deleted and not self._has_owner(report):
            return self
        known = next((one for one in self.attempts if one.run_id == attempt.run_id), None)
        if known is not None and known.ended_at is not None and attempt.ended_at is None:
            return self
        if known is None and self.is_deleted and report.progress.request.deletion:
            return self
        if known is None and self.is_deleted:  # the environment is created again before its old record has closed
            return type(self)(attempts=self.attempts if self._has_owner(report) else ()).apply(report)
        others = [one for one in self.attempts if one.run_id != attempt.run_id]
        attempts = number_attempts(sorted([*others, attempt], key=lambda one: one.started_at))
        newer = known is None or self.latest is None or self.latest.attempt.run_id == attempt.run_id
        return self.model_copy(
            update={
                "latest": report if newer else self.latest,
                # A run that reported no end may have created resources, so a later run does not change its Region.
                "region": _find_region_of_resources(report.progress)
                or (self.possible_region if known is None else self.region),
                "attempts": (*attempts[:1], *attempts[1:][-(MAX_RECORDED_ATTEMPTS - 1) :]),
                "health": self.health if self._outlasts(report) else None,
            }
        )

    def _outlasts(self, report: RunReport) -> bool:
        """Return whether the last check says more about the environment than a run does.

        A run that was reset can become READY again with the evidence that it collected before the check.
        """
        evidence = report.progress.evidence
        return self.health is None or evidence is None or evidence.collected_at <= self.health.report.checked_at

    def _has_owner(self, report: RunReport) -> bool:
        """Return whether the environment in a report has the same owner as this record."""
        latest = self.latest
        return latest is None or latest.progress.request.organisation == report.progress.request.organisation

    def _with_tenant(self, report: TenantReport) -> Self:
        if self.latest is None or self.latest.progress.request.organisation != report.organisation:
            return self
        if self.tenant is not None and report.ended_at < self.tenant.ended_at:
            return self
        return self.model_copy(update={"tenant": report, "named": report if report.completed else self.named})

    def _with_health(self, report: HealthReport) -> Self:
        """Return the state after a check. Only a READY environment has a health.

        A check that began before the environment became READY, or before the last reported check, changes nothing.
        """
        summary, latest = self.summarise(), self.latest
        if summary is None or latest is None or summary.phase is not Phase.READY:
            return self
        if summary.organisation != report.organisation or latest.attempt.ended_at is None:
            return self
        earlier = self.health.report.checked_at if self.health is not None else latest.attempt.ended_at
        if report.checked_at < earlier:
            return self
        before = None if self.health is None else self.health.report
        deletions = tuple(
            one.model_copy(update={"delete_at": None}) if is_disproved(one, report, before) else one
            for one in self.deletions
        )
        health = RecordedHealth.following(self.health, report)
        return self.model_copy(update={"health": health, "deletions": deletions})

    def _with_deletion(self, report: KeyDeletionReport) -> Self:
        """Return the state after an event about a key. An event that is not newer than the last one changes nothing."""
        summary, new = self.summarise(), report.deletion
        if summary is None or summary.phase is not Phase.READY or summary.organisation != report.organisation:
            return self
        known = [one for one in self.deletions if one.key is new.key and one.key_arn == new.key_arn]
        if summary.get_key_arn(new.key) != new.key_arn or any(one.reported_at >= new.reported_at for one in known):
            return self
        return self.model_copy(update={"deletions": (*(one for one in self.deletions if one.key is not new.key), new)})

    def _name_since(self, attempt: Attempt) -> str | None:
        """Return the tenant name that a tenant run set after an attempt; None if there is none."""
        tenant = self.tenant
        if tenant is None or tenant.outcome is None or attempt.ended_at is None or tenant.ended_at < attempt.ended_at:
            return None
        return tenant.outcome.tenant

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
        return None if self.latest.progress.request.deletion else self.latest.progress.request.region

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
        named = self._name_since(attempt)
        if progress.awaits_name and self._was_named_since(attempt.ended_at):
            phase, problem = Phase.READY, None
        return RecordSummary(
            environment_id=request.environment_id,
            organisation=request.organisation,
            phase=phase,
            region=request.region,
            encryption=request.encryption,
            s3_key_arn=request.s3_key_arn,
            rds_key_arn=request.rds_key_arn,
            problem_code=problem.code if problem else None,
            tenant_name=named or progress.tenant_name,
            created_at=self.created_at or attempt.started_at,
            started_at=find_start(self.latest),
            closed_at=attempt.ended_at,
            health=self._summarise_health(progress) if phase is Phase.READY else None,
            deletions=tuple(
                one
                for one in self.deletions
                if phase is Phase.READY and one.delete_at is not None and one.key_arn == request.get_key_arn(one.key)
            ),
        )

    def _summarise_health(self, progress: RecordedProgress) -> HealthSummary | None:
        """Return the health of a READY environment. Until a check reports, the evidence of its provisioning counts."""
        if self.health is not None:
            return self.health.summarise()
        return None if progress.evidence is None else HealthSummary.from_evidence(progress.evidence)


def _find_region_of_resources(progress: RecordedProgress) -> str | None:
    return None if progress.resources.is_empty or progress.request.deletion else progress.request.region


def find_start(report: RunReport) -> datetime:
    """Return when a run's workflow was started; for a workflow that was reset, its original start."""
    return min([report.attempt.started_at, *(entry.entered_at for entry in report.progress.timeline[:1])])


def find_creation(earlier: Iterable[Attempt], started_at: datetime) -> datetime:
    """Return when an environment was created, to the millisecond below.

    It was created at its first attempt, or at its first attempt after a deletion.

    Args:
        earlier: The attempts before the current workflow's start, in order.
        started_at: When the current workflow was started.
    """
    created: datetime | None = None
    for one in earlier:
        created = None if one.phase is Phase.DELETED else created or one.started_at
    earliest = min(created or started_at, started_at)
    # The stores of Temporal's search attributes round more precise times in different ways.
    return earliest.replace(microsecond=earliest.microsecond // 1000 * 1000)
