"""How far something has come, what stopped it, and what came out."""

from datetime import datetime

from pydantic import Field

from byok.domain.arns import KeyPurpose
from byok.domain.models.base import RecordModel
from byok.domain.models.requests import ProvisionRequest, ReconcileTenantRequest, TenantRole
from byok.domain.models.resources import DeletionResult, Evidence, Resources
from byok.domain.phases import AliasState, Phase


class Problem(RecordModel):
    """Why something stopped, the same for Temporal's UI, the CLI and whoever else asks.

    Attributes:
        code: `service.WireCode` as AWS sent it, or one of ours (`arn.…`, `byok.…`).
        message: AWS's message, unchanged, or our own sentence.
        operation: The AWS operation that was refused, None for a pure rule.
        key: Which of the two keys, None where no customer's key is at fault.
        key_arn: That key's ARN as it was given.
        phase: Where the provisioning was.
        request_id: AWS's request id, for a support case.
        region: The environment's Region.
        at: When AWS answered.
        remediation: What to do, with the customer's own values filled in.
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
    """A probe that passed: S3 wrote and read an object with the key."""

    key: KeyPurpose
    key_arn: str
    at: datetime


class KeyCheckResult(RecordModel):
    """Result of `CheckKeys`.

    Attributes:
        findings: What is wrong, on both keys; empty where nothing was found.
        proofs: What was proved by using a key. The Aurora key can only be proved by creating a cluster (D2).
    """

    region: str
    s3_key_arn: str
    rds_key_arn: str
    findings: tuple[Problem, ...] = ()
    proofs: tuple[KeyProbeResult, ...] = ()


class ReconciledKey(RecordModel):
    """What one key bears, after it was reconciled.

    Attributes:
        alias_state: What became of the alias. On a conflict nothing is written, tags neither.
        points_at: The id of the key that a conflicting alias points at, or a repointed one pointed at before.
        remediation: What to do about a conflict, None where there is none.
        tags_written: Keys of the tags that were not as they had to be.
        tags_replaced: What those of them that were there said before.
        other_aliases: Aliases of the same pattern on this key, for other tenants: they are left as they are.
    """

    key: KeyPurpose
    key_arn: str
    alias: str
    alias_state: AliasState
    points_at: str | None = None
    remediation: str | None = None
    tags_written: tuple[str, ...] = ()
    tags_replaced: dict[str, str] = Field(default_factory=dict)
    other_aliases: tuple[str, ...] = ()


class TenantOutcome(RecordModel):
    """What became of a tenant's name on two keys.

    Attributes:
        keys: What the keys bear; empty where there was no role to write it with, one where the other one was refused.
        commands: What the customer has to run, where there was none.
    """

    tenant: str
    keys: tuple[ReconciledKey, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def conflicting_keys(self) -> tuple[ReconciledKey, ...]:
        """The keys whose alias points elsewhere."""
        return tuple(key for key in self.keys if key.alias_state is AliasState.CONFLICT)


class TenantProgress(RecordModel):
    """How far putting a tenant's name on two keys has come: kept in the memo of its workflow.

    Attributes:
        outcome: What became of it so far; None where nothing is known yet.
        problems: What stopped it.
    """

    request: ReconcileTenantRequest
    outcome: TenantOutcome | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def confirmed_role(self) -> TenantRole | None:
        """The role, where the customer's account is known to give it: it was taken on, or is only kept for later."""
        taken_on = any(problem.key is not None and problem.operation is not None for problem in self.problems)
        return self.request.tenant_role if taken_on or self.outcome is not None else None


class EnvironmentProbeResult(RecordModel):
    """Whether an environment is there and on the keys that were named for it.

    Attributes:
        findings: What is not so, on both keys; empty where everything is.
    """

    findings: tuple[Problem, ...] = ()


class TimelineEntry(RecordModel):
    """A phase and when it was entered."""

    phase: Phase
    entered_at: datetime


class EnvironmentProgress(RecordModel):
    """Where an environment is: kept in the workflow's memo, so that a status needs no worker."""

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
        """The first problem, None where there is none."""
        return self.problems[0] if self.problems else None
