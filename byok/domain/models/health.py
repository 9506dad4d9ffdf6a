"""The health of a READY environment: whether its keys still work, and whether its resources are unchanged.

A *sweep* checks all environments in a Region every few minutes, and `byok verify` checks one environment immediately
(contract 139-143, decision 0041).
"""

import hashlib
from datetime import datetime, timedelta
from typing import Final, Self

from pydantic import AwareDatetime, Field

from byok.domain.models.base import OrganisationName, RecordModel, RegionName, RequestModel
from byok.domain.models.key_deletions import KeyDeletion
from byok.domain.models.key_uses import KeyHealth
from byok.domain.models.progress import Problem
from byok.domain.models.resources import Evidence
from byok.domain.phases import Encryption, HealthState
from byok.domain.rds_statuses import KEY_LOST_RECOVERABLE
from byok.domain.remediation import Remediation

RECOVERABLE_FOR: Final = timedelta(days=7)
"""How long a cluster remains recoverable after it loses access to its key (Aurora user guide, "Encrypting Amazon Aurora
resources")."""

MAX_PROOF_AGE: Final = timedelta(minutes=10)
"""The maximum age of the last proof. If the proof is older, the health of the environment is UNKNOWN (contract 139)."""

_DIGEST_LENGTH: Final = 12


class HealthReport(RecordModel):
    """The result of a health check of one environment.

    Attributes:
        checked_at: When the check began.
        state: The state that the check found. The state is never UNKNOWN, because byok does not report a check to the
            record if AWS did not answer.
        cluster_status: The cluster's status as RDS reports it; None if the cluster does not exist.
        problems: All problems that the check found, each with its remedy; empty if the state is HEALTHY.
        unannounced: The health before this check, kept until byok has started to deliver the notifications about the
            change; None if no notification is pending.
    """

    environment_id: str
    organisation: str | None = None
    checked_at: AwareDatetime
    state: HealthState
    cluster_status: str | None = None
    keys: tuple[KeyHealth, ...] = ()
    problems: tuple[Problem, ...] = ()
    unannounced: "HealthSummary | None" = None

    def find_deadline(self, known: datetime | None) -> datetime | None:
        """Return the time until which the cluster can be recovered; None if the cluster has not lost its key.

        Args:
            known: The deadline from an earlier check, which remains valid; None if there is no earlier deadline.
        """
        if self.cluster_status != KEY_LOST_RECOVERABLE:
            return None
        return known or self.checked_at + RECOVERABLE_FOR

    @property
    def digest(self) -> str:
        """A short hash of the report, which is the same for two reports of the same state.

        The hash includes byok's own messages but not AWS's messages, because AWS's messages contain session names and
        request ids.
        """
        facts = [
            f"{one.code} {one.key or ''} {one.message if one.code.startswith('byok.') else ''}" for one in self.problems
        ]
        text = "\n".join([self.state, self.cluster_status or "", *sorted(facts)])
        return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_LENGTH]


class RecordedHealth(RecordModel):
    """An environment's last health report, as stored in its record, and the time at which the reported state began.

    Attributes:
        since: When a check first found this state.
        recoverable_until: The time until which the cluster can be recovered, counted from the first check that found
            the loss of the key; None if the cluster has not lost its key.
    """

    report: HealthReport
    since: AwareDatetime
    recoverable_until: AwareDatetime | None = None

    @classmethod
    def following(cls, earlier: Self | None, report: HealthReport) -> Self:
        """Return the recorded health after a new report."""
        same = earlier is not None and earlier.report.state is report.state
        until = report.find_deadline(earlier.recoverable_until if earlier is not None else None)
        since = earlier.since if earlier is not None and same else report.checked_at
        return cls(report=report, since=since, recoverable_until=until)

    def summarise(self) -> "HealthSummary":
        """Return a summary to show in lists of environments."""
        problem = self.report.problems[0] if self.report.problems else None
        return HealthSummary(
            state=self.report.state,
            since=self.since,
            checked_at=self.report.checked_at,
            problem_code=problem.code if problem else None,
            digest=self.report.digest,
            recoverable_until=self.recoverable_until,
            unannounced=self.report.unannounced,
        )


class HealthSummary(RecordModel):
    """The last reported health, as byok stores it for lists of environments.

    Attributes:
        checked_at: When the last reported check began. A sweep reports only changes.
        digest: `HealthReport.digest` of the report; None if no check has reported since the environment became READY.
        recoverable_until: See `RecordedHealth`.
        unannounced: See `HealthReport`.
    """

    state: HealthState
    since: datetime
    checked_at: datetime
    problem_code: str | None = None
    digest: str | None = None
    recoverable_until: datetime | None = None
    unannounced: "HealthSummary | None" = None

    @classmethod
    def from_evidence(cls, evidence: Evidence) -> Self:
        """Return the health that follows from the evidence collected during provisioning."""
        return cls(state=HealthState.HEALTHY, since=evidence.collected_at, checked_at=evidence.collected_at)


class HealthTarget(RecordModel):
    """An environment to check.

    Attributes:
        last: The last reported health.
        deletions: The scheduled key deletions that the customer's account reported.
    """

    environment_id: str
    organisation: str | None = None
    region: str
    encryption: Encryption | None = None
    s3_key_arn: str | None = None
    rds_key_arn: str | None = None
    last: HealthSummary | None = None
    deletions: tuple[KeyDeletion, ...] = ()


class SweepRequest(RequestModel):
    """The input of `CheckKeyHealth`.

    Attributes:
        region: The Region whose environments the sweep checks.
        interval_seconds: The time between two sweeps.
    """

    region: RegionName
    interval_seconds: float = Field(gt=0)


class SweepPageRequest(RecordModel):
    """One page of a sweep.

    Attributes:
        swept_at: When the sweep began.
        after: Temporal's token for the page, in base64; None for the first page.
    """

    region: str
    interval_seconds: float
    swept_at: AwareDatetime
    after: str | None = None


class SweepPage(RecordModel):
    """The result of one page of a sweep.

    Attributes:
        checked: How many environments byok checked.
        changed: How many of the checked environments had changed since their last report.
        unproved: The ids of the environments for which AWS gave no answer.
        cause: Why AWS gave no answer for the first environment in `unproved`. The other environments usually have the
            same cause, for example a regional outage.
        after: The token for the next page; None after the last page.
    """

    checked: int
    changed: int = 0
    unproved: tuple[str, ...] = ()
    cause: Problem | None = None
    after: str | None = None


MAX_LISTED_UNPROVED: Final = 25
"""The maximum number of ids in `SweepOutcome.unproved`. If AWS gave no answer for more environments than this, the list
is empty, and byok treats the sweep as if AWS had given no answer for any environment. The limit keeps the outcome small
enough for a memo, because the SDK logs a warning if a memo is larger than 2,048 bytes."""

_MAX_CAUSE_LENGTH: Final = 300
"""The maximum length of the problem message in a sweep's outcome, which also limits the size of the memo."""


class SweepOutcome(RecordModel):
    """The outcome of a completed sweep.

    Attributes:
        swept_at: When the sweep began, which is before all of its checks.
        abandoned: Whether the sweep ended early because AWS gave no answer for any environment on a page. byok ignores
            the result of such a sweep.
        unproved_count: The number of environments for which AWS gave no answer.
        unproved: The ids of the environments for which AWS gave no answer; empty if there are more than
            `MAX_LISTED_UNPROVED`.
        cause: Why AWS gave no answer for the first affected environment.
    """

    region: str
    swept_at: AwareDatetime
    checked: int = 0
    changed: int = 0
    abandoned: bool = False
    unproved_count: int = 0
    unproved: tuple[str, ...] = ()
    cause: Problem | None = None

    def add(self, page: SweepPage) -> Self:
        """Return the outcome with the result of another page added."""
        count = self.unproved_count + len(page.unproved)
        listed = (*self.unproved, *page.unproved) if count <= MAX_LISTED_UNPROVED else ()
        return self.model_copy(
            update={
                "checked": self.checked + page.checked,
                "changed": self.changed + page.changed,
                "abandoned": page.after is not None and page.checked == 0 and page.cause is not None,
                "unproved_count": count,
                "unproved": listed,
                "cause": self.cause or (page.cause and _shorten(page.cause)),
            }
        )

    @property
    def names_all_unproved(self) -> bool:
        """Whether `unproved` lists every environment for which AWS gave no answer."""
        return self.unproved_count <= MAX_LISTED_UNPROVED and not self.abandoned

    def proves(self, environment_id: str) -> bool:
        """Return whether the sweep checked an environment and got an answer from AWS."""
        return self.names_all_unproved and environment_id not in self.unproved


def _shorten(cause: Problem) -> Problem:
    title_only = Remediation(title=cause.remediation.title)
    return cause.model_copy(update={"message": cause.message[:_MAX_CAUSE_LENGTH], "remediation": title_only})


class VerificationRequest(RequestModel):
    """The input of `VerifyEnvironment`.

    Only `environment_id` determines which environment byok checks. The other fields are only for the audit trail, and
    contain the values that the client knew.
    """

    environment_id: str
    organisation: OrganisationName | None = None
    region: RegionName | None = None
    s3_key_arn: str | None = None
    rds_key_arn: str | None = None


class VerificationResult(RecordModel):
    """The outcome of a verification.

    Attributes:
        report: The result of the check; None if AWS did not answer.
        unreachable: Why AWS did not answer.
    """

    report: HealthReport | None = None
    unreachable: Problem | None = None


class EnvironmentHealth(RecordModel):
    """The latest known health of an environment.

    Attributes:
        state: UNKNOWN if the last proof is older than `MAX_PROOF_AGE`.
        last_state: The state that the last check found.
        since: When a check first found `state`, or when the last proof became too old.
        proved_at: When byok last checked the environment and AWS answered.
        cluster_status: The cluster's status when it was last reported.
        recoverable_until: The time until which the cluster can be recovered.
        deletions: The scheduled key deletions that the customer's account reported.
        unreachable: Why AWS gave no answer about the environment in the latest sweep of the Region; None if AWS
            answered.
    """

    state: HealthState
    last_state: HealthState
    since: datetime
    proved_at: datetime
    cluster_status: str | None = None
    keys: tuple[KeyHealth, ...] = ()
    problems: tuple[Problem, ...] = ()
    recoverable_until: datetime | None = None
    deletions: tuple[KeyDeletion, ...] = ()
    unreachable: Problem | None = None


def find_proof_time(last: HealthSummary, environment_id: str, sweep: SweepOutcome | None) -> datetime:
    """Return when a check last confirmed the health of an environment.

    A check in a sweep sends no report if the health is unchanged. If the last sweep checked the environment and got an
    answer from AWS, the result is therefore the time of the last report or of that sweep, whichever is later.
    """
    if sweep is None or not sweep.proves(environment_id):
        return last.checked_at
    return max(last.checked_at, sweep.swept_at)


def compute_state(last: HealthState, proved_at: datetime, now: datetime) -> HealthState:
    """Return the last state if its proof is recent, and UNKNOWN otherwise (contract 139)."""
    return last if now - proved_at <= MAX_PROOF_AGE else HealthState.UNKNOWN
