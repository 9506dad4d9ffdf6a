"""Progress, problems and results of workflows."""

from datetime import datetime

from pydantic import Field

from byok.domain.arns import KeyPurpose
from byok.domain.models.base import RecordModel
from byok.domain.models.requests import ProvisionRequest, ReconcileTenantRequest, TenantRole
from byok.domain.models.resources import DeletionResult, Evidence, Resources
from byok.domain.phases import AliasOutcome, Phase


class Problem(RecordModel):
    """The cause of a stop: the same in Temporal's UI, the CLI, the API and the wizard.

    Attributes:
        code: `service.WireCode` as AWS sent it, or one of byok's own codes (`arn.…`, `byok.…`).
        message: AWS's message, unchanged, or byok's own.
        operation: The AWS operation that failed, or None if a pure rule was violated.
        key: Which of the two keys is affected, or None if no customer key is.
        key_arn: That key's ARN, as entered.
        phase: The phase in which the problem occurred.
        request_id: AWS's request id, for a support case.
        region: The environment's Region.
        at: When AWS returned the error.
        remediation: The remedy, with the customer's own values filled in.
    """

    code: str
    message: str
    operation: str | None = None
    key: KeyPurpose | None = None
    key_arn: str | None = None
    phase: Phase
    request_id: str | None = None
    region: str
    at: datetime
    remediation: str


class KeyProbeResult(RecordModel):
    """A successful probe: S3 wrote and read an object with the key."""

    key: KeyPurpose
    key_arn: str
    at: datetime


class KeyCheckResult(RecordModel):
    """Result of `CheckKeys`.

    Attributes:
        findings: The problems of both keys; empty if none were found.
        proofs: Keys proven by a probe. Only creating a cluster can prove the Aurora key (D2).
    """

    region: str
    s3_key_arn: str
    rds_key_arn: str
    findings: tuple[Problem, ...] = ()
    proofs: tuple[KeyProbeResult, ...] = ()


class ReconciledKey(RecordModel):
    """A key's alias and tags after reconciliation.

    Attributes:
        alias_state: The state of the alias. On a conflict, byok writes nothing, not even tags.
        points_at: The id of the key that a conflicting alias points at, or that a repointed alias pointed at before.
        remediation: What to do about a conflict, otherwise None.
        tags_written: Keys of the tags that were absent or had another value.
        tags_replaced: The previous values of those that had another value.
        other_aliases: Aliases for other tenants on this key that match the same pattern; byok leaves them unchanged.
    """

    key: KeyPurpose
    key_arn: str
    alias: str
    alias_state: AliasOutcome
    points_at: str | None = None
    remediation: str | None = None
    tags_written: tuple[str, ...] = ()
    tags_replaced: dict[str, str] = Field(default_factory=dict)
    other_aliases: tuple[str, ...] = ()


class TenantOutcome(RecordModel):
    """The result of putting a tenant name on two keys.

    Attributes:
        keys: The reconciled keys; empty if there was no role, one key if AWS rejected the other.
        commands: The commands that the customer must run if there was no role.
    """

    tenant: str
    keys: tuple[ReconciledKey, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def conflicting_keys(self) -> tuple[ReconciledKey, ...]:
        """The keys whose alias points at another key."""
        return tuple(key for key in self.keys if key.alias_state is AliasOutcome.CONFLICT)


class TenantProgress(RecordModel):
    """The progress of `ReconcileTenant`, kept in the workflow's memo.

    Attributes:
        outcome: The result so far; None if there is no result yet.
        problems: The problems that stopped it.
    """

    request: ReconcileTenantRequest
    outcome: TenantOutcome | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def confirmed_role(self) -> TenantRole | None:
        """The tenant role, if it is known to work (the worker has assumed it) or only stored for later; else None."""
        taken_on = any(problem.key is not None and problem.operation is not None for problem in self.problems)
        return self.request.tenant_role if taken_on or self.outcome is not None else None


class EnvironmentProbeResult(RecordModel):
    """Whether an environment exists and uses the given keys.

    Attributes:
        findings: The mismatches, for both keys; empty if everything matches.
    """

    findings: tuple[Problem, ...] = ()


class TimelineEntry(RecordModel):
    """A phase and the time the environment entered it."""

    phase: Phase
    entered_at: datetime


class EnvironmentProgress(RecordModel):
    """The progress of an environment, kept in the workflow's memo so that reading the status needs no worker."""

    request: ProvisionRequest
    phase: Phase
    timeline: tuple[TimelineEntry, ...]
    problems: tuple[Problem, ...] = ()
    resources: Resources = Resources()
    evidence: Evidence | None = None
    left_behind: tuple[str, ...] = ()
    tenant: TenantOutcome | None = None
    deletion: DeletionResult | None = None

    @property
    def first_problem(self) -> Problem | None:
        """The first problem, or None."""
        return self.problems[0] if self.problems else None
