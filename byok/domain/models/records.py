"""The record of an environment, which byok keeps for as long as the environment exists (contract 134)."""

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
"""The maximum number of attempts in a record. If there are more attempts, the record keeps the first attempt and the
latest attempts."""


class RunReport(RecordModel):
    """A run's report to the environment's record, which the run sends when it starts and again when it ends.

    Attributes:
        progress: The run's progress.
        attempt: The attempt that corresponds to the run; `ended_at` is None in the report at the start.
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
    """The report that a run of the tenant workflow sends when it ends.

    Attributes:
        role_arn: The role that the run used, if the worker could assume it.
        outcome: The result of the run, if it has one.
        problems: The problems that stopped the run.
        completed: Whether the run completed the request.
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
"""The reports that a record receives."""


class RecordSummary(RecordModel):
    """A summary of a record, used in lists of environments.

    Attributes:
        created_at: When the environment was first requested.
        started_at: When the latest run started.
        closed_at: When the latest run ended; None if the run has not reported its end.
        health: The last reported health of a READY environment; otherwise None.
        deletions: The scheduled key deletions that the customer's account reported, if the environment is READY.
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
    """The conflict that prevents a run from provisioning an environment whose id is already in use.

    Attributes:
        problem: The problem that stops the run; None if there is no conflict.
    """

    problem: Problem | None = None


class EnvironmentRecordState(RecordModel):
    """The complete contents of an environment's record.

    Attributes:
        latest: The last report from the environment's latest run; None in a new record.
        attempts: All attempts that runs have reported, oldest first.
        tenant: The last report from the tenant workflow.
        named: The last report from a completed run of the tenant workflow.
        region: The Region in which the environment has resources; None if provisioning has reported no resource. A
            request to delete the environment in another Region does not change this field.
        health: The last health report, if a check has run since provisioning collected its evidence; otherwise None.
        deletions: The last report about the deletion of each key. byok keeps the report even if the key is no longer
            scheduled for deletion, so that a repeated event does not restore the deletion.
    """

    latest: RunReport | None = None
    attempts: tuple[Attempt, ...] = ()
    tenant: TenantReport | None = None
    named: TenantReport | None = None
    region: str | None = None
    health: RecordedHealth | None = None
    deletions: tuple[KeyDeletion, ...] = ()

    def receive(self, report: RecordReport, environment_id: str) -> Self:
        """Return the state after a report, or the same state if the report concerns another environment."""
        return self.apply(report) if report.environment_id == environment_id else self

    def apply(self, report: RecordReport) -> Self:
        """Return the state after a report.

        A repeated report, or a late report from an earlier run, can change only the list of attempts. Reports can
        arrive twice, because Temporal retries the activity that sends them. The latest run is the run whose first
        report arrived last. byok does not compare start times, because the clocks of machines differ and the runs of
        one environment never overlap.
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
        if known is None and self.is_deleted:  # the environment is recreated before its old record has closed
            return type(self)(attempts=self.attempts if self._has_owner(report) else ()).apply(report)
        others = [one for one in self.attempts if one.run_id != attempt.run_id]
        attempts = number_attempts(sorted([*others, attempt], key=lambda one: one.started_at))
        newer = known is None or self.latest is None or self.latest.attempt.run_id == attempt.run_id
        return self.model_copy(
            update={
                "latest": report if newer else self.latest,
                # A run that did not report its end may have created resources, so a later run does not change
                # the Region.
                "region": _find_region_of_resources(report.progress)
                or (self.possible_region if known is None else self.region),
                "attempts": (*attempts[:1], *attempts[1:][-(MAX_RECORDED_ATTEMPTS - 1) :]),
                "health": self.health if self._outlasts(report) else None,
            }
        )

    def _outlasts(self, report: RunReport) -> bool:
        """Return whether the last health check is newer than the evidence in a run's report.

        After a workflow reset, a run can become READY again with evidence that is older than the check.
        """
        evidence = report.progress.evidence
        return self.health is None or evidence is None or evidence.collected_at <= self.health.report.checked_at

    def _has_owner(self, report: RunReport) -> bool:
        """Return whether a report comes from an environment with the same owner as this record."""
        latest = self.latest
        return latest is None or latest.progress.request.organisation == report.progress.request.organisation

    def _with_tenant(self, report: TenantReport) -> Self:
        if self.latest is None or self.latest.progress.request.organisation != report.organisation:
            return self
        if self.tenant is not None and report.ended_at < self.tenant.ended_at:
            return self
        return self.model_copy(update={"tenant": report, "named": report if report.completed else self.named})

    def _with_health(self, report: HealthReport) -> Self:
        """Return the state after a health check.

        Only a READY environment has a health status. A check has no effect if it began before the environment became
        READY or before the last reported check.
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
        """Return the state after an event about a key.

        An event has no effect unless it is newer than the last event about the key.
        """
        summary, new = self.summarise(), report.deletion
        if summary is None or summary.phase is not Phase.READY or summary.organisation != report.organisation:
            return self
        known = [one for one in self.deletions if one.key is new.key and one.key_arn == new.key_arn]
        if summary.get_key_arn(new.key) != new.key_arn or any(one.reported_at >= new.reported_at for one in known):
            return self
        return self.model_copy(update={"deletions": (*(one for one in self.deletions if one.key is not new.key), new)})

    def _name_since(self, attempt: Attempt) -> str | None:
        """Return the tenant name that the tenant workflow set after an attempt ended; None if it set no name."""
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
        """The only Region in which the environment may have resources; None if the environment has no resources.

        A run that did not report its end may have created resources.
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
        """Return the summary of the record; None in a new record."""
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
        """Return the health of a READY environment.

        Until the first health check reports, the health follows from the evidence collected during provisioning.
        """
        if self.health is not None:
            return self.health.summarise()
        return None if progress.evidence is None else HealthSummary.from_evidence(progress.evidence)


def _find_region_of_resources(progress: RecordedProgress) -> str | None:
    return None if progress.resources.is_empty or progress.request.deletion else progress.request.region


def find_start(report: RunReport) -> datetime:
    """Return when a run's workflow was started; after a workflow reset, the original start time."""
    return min([report.attempt.started_at, *(entry.entered_at for entry in report.progress.timeline[:1])])


def find_creation(earlier: Iterable[Attempt], started_at: datetime) -> datetime:
    """Return when an environment was created, rounded down to the millisecond.

    The environment was created when its first attempt started, or when the first attempt after a deletion started.

    Args:
        earlier: The attempts that were made before the current workflow started, in order.
        started_at: When the current workflow was started.
    """
    created: datetime | None = None
    for one in earlier:
        created = None if one.phase is Phase.DELETED else created or one.started_at
    earliest = min(created or started_at, started_at)
    # Temporal's visibility stores differ in how they round times that are more precise than a millisecond.
    return earliest.replace(microsecond=earliest.microsecond // 1000 * 1000)
