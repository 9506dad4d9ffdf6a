"""The progress, the problems and the results of workflows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Self

from pydantic import AwareDatetime, Field, computed_field

from byok.domain.arns import KeyPurpose
from byok.domain.help_pages import build_help_url
from byok.domain.models.base import RecordModel
from byok.domain.models.requests import DeleteRequest, ProvisionRequest, ReconcileTenantRequest
from byok.domain.models.resources import DeletionResult, Evidence, Resources
from byok.domain.phases import AliasOutcome, KeyVerdict, Phase
from byok.domain.remediation import Remediation


class Problem(RecordModel):
    """A problem that stopped an operation. Temporal's UI, the CLI, the API and the wizard all show the problem.

    Attributes:
        code: `<service>.<error code>` with the code that AWS sent, or one of byok's own codes (`arn.…`, `byok.…`).
        message: AWS's message, unchanged, or byok's message.
        operation: The AWS operation that failed, or None if byok itself detected the problem.
        key: Which of the two keys is affected, or None if neither key is affected.
        key_arn: The ARN of the affected key, as entered.
        phase: The phase in which the problem occurred.
        request_id: The request id that AWS returned, for a support case.
        region: The environment's Region.
        at: When the problem occurred.
        remediation: The remedy, with the customer's values filled in.
        held_since: When byok began to hold the environment because of this problem; None unless the problem is a
            platform fault (contract 151).
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
    remediation: Remediation
    held_since: datetime | None = None

    @property
    def quotes_aws(self) -> bool:
        """Whether the message is AWS's own message, and not byok's message about an AWS operation."""
        return self.operation is not None and not self.code.startswith("byok.")

    @computed_field  # type: ignore[prop-decorator]
    @property
    def help_url(self) -> str:
        """The address of the documentation page about the code. Temporal does not store this field."""
        return build_help_url(self.code)


class CheckedKey(RecordModel):
    """The result of a check for one key: verified, cannot be used, or not verified (contract 126).

    Attributes:
        service: The service that used the key, `S3` or `RDS`, if the key is verified.
        at: When the service used the key.
        request_id: The request id that AWS returned for the call that used the key; None if the response was lost.
        problem: The reason why the key cannot be used, or the problem on the platform's side that prevented the check
            of the key.
        reason: Why the key is not verified.
    """

    key: KeyPurpose
    key_arn: str
    verdict: KeyVerdict
    service: str | None = None
    at: datetime | None = None
    request_id: str | None = None
    problem: Problem | None = None
    reason: str | None = None

    @classmethod
    def proved(cls, key: KeyPurpose, key_arn: str, at: datetime, request_id: str | None) -> Self:
        """Return the verdict on a key that its service has used successfully."""
        service = key.service_name
        return cls(key=key, key_arn=key_arn, verdict=KeyVerdict.PROVED, service=service, at=at, request_id=request_id)

    @classmethod
    def not_proved(cls, key: KeyPurpose, key_arn: str, reason: str) -> Self:
        """Return the verdict on a key that has no known problem, but that no service has used successfully."""
        return cls(key=key, key_arn=key_arn, verdict=KeyVerdict.NOT_PROVED, reason=reason)

    @classmethod
    def from_problem(cls, key: KeyPurpose, key_arn: str, problem: Problem) -> Self:
        """Return the verdict for a problem.

        The verdict is *cannot be used* if a customer's key causes the problem, and *not verified* otherwise.
        """
        if problem.key is not None:
            return cls(key=key, key_arn=key_arn, verdict=KeyVerdict.REFUSED, problem=problem)
        reason = f"{problem.code}: {problem.message}"
        return cls(key=key, key_arn=key_arn, verdict=KeyVerdict.NOT_PROVED, problem=problem, reason=reason)


class CheckedKeys(RecordModel):
    """The verdicts on both keys."""

    s3: CheckedKey
    rds: CheckedKey

    def of(self, which: KeyPurpose) -> CheckedKey:
        """Return the verdict on one of the two keys."""
        return self.s3 if which is KeyPurpose.S3 else self.rds

    @property
    def both(self) -> tuple[CheckedKey, CheckedKey]:
        """The verdicts on the S3 key and the Aurora key."""
        return self.s3, self.rds

    @property
    def all_proved(self) -> bool:
        """Whether both keys are verified."""
        return all(one.verdict is KeyVerdict.PROVED for one in self.both)

    @property
    def any_refused(self) -> bool:
        """Whether at least one key cannot be used."""
        return any(one.verdict is KeyVerdict.REFUSED for one in self.both)


class KeyCheckResult(RecordModel):
    """The result of `CheckKeys`.

    Attributes:
        keys: The verdict on each key.
        findings: All problems that the check found; empty if the check found no problems. If the platform causes a
            problem, the verdict on the key is *not verified* rather than *cannot be used*.
    """

    region: str
    keys: CheckedKeys
    findings: tuple[Problem, ...] = ()


class KeyConflicts(RecordModel):
    """The conflicts with other environments that already use one of the two keys (contract 129).

    Attributes:
        problems: One problem for each key that another environment already uses.
    """

    problems: tuple[Problem, ...] = ()


class ReconciledKey(RecordModel):
    """A key's alias and tags after reconciliation.

    Attributes:
        alias_state: The state of the alias. If the alias conflicts, byok changes neither the alias nor the tags.
        points_at: The id of the key that a conflicting alias points to, or that a repointed alias pointed to before.
        remediation: How to resolve a conflict; None if there is no conflict.
        tags_written: The keys of the tags that were absent or had a different value.
        tags_replaced: The previous values of the tags that had a different value, by tag key.
        other_aliases: The key's aliases that match the same pattern with a different tenant name. byok does not change
            them.
    """

    key: KeyPurpose
    key_arn: str
    alias: str
    alias_state: AliasOutcome
    points_at: str | None = None
    remediation: Remediation | None = None
    tags_written: tuple[str, ...] = ()
    tags_replaced: dict[str, str] = Field(default_factory=dict)
    other_aliases: tuple[str, ...] = ()


class TenantOutcome(RecordModel):
    """The result of setting a tenant name on two keys.

    Attributes:
        keys: The keys that byok reconciled. The tuple is empty if the request contains no role, and contains one key if
            byok could not reconcile the other key.
        commands: The commands that the customer must run, if the request contains no role.
    """

    tenant: str
    keys: tuple[ReconciledKey, ...] = ()
    commands: tuple[str, ...] = ()

    @property
    def conflicting_keys(self) -> tuple[ReconciledKey, ...]:
        """The keys whose required alias points to a different key."""
        return tuple(key for key in self.keys if key.alias_state is AliasOutcome.CONFLICT)


class TenantProgress(RecordModel):
    """The progress of `ReconcileTenant`, which the workflow stores in its memo.

    Attributes:
        outcome: The result so far; None if there is no result yet.
        problems: The problems that stopped the workflow.
    """

    request: ReconcileTenantRequest
    outcome: TenantOutcome | None = None
    problems: tuple[Problem, ...] = ()

    @property
    def confirmed_role_arn(self) -> str | None:
        """The request's tenant role, or None if it is unknown whether the worker can assume the role.

        An AWS error about a key shows that the worker has assumed the role. If the request asks only for commands, the
        role also counts as confirmed, so that later requests can use it.
        """
        taken_on = any(problem.key is not None and problem.operation is not None for problem in self.problems)
        return self.request.tenant_role_arn if taken_on or self.outcome is not None else None


class EnvironmentProbeResult(RecordModel):
    """The result of the check that an environment exists and uses the given keys.

    Attributes:
        findings: The mismatches for both keys; empty if everything matches.
    """

    findings: tuple[Problem, ...] = ()


def is_only_unnamed(problems: Sequence[Problem]) -> bool:
    """Return whether all problems occurred while byok was setting the tenant name."""
    return all(problem.phase is Phase.RECONCILING_TENANT for problem in problems)


class TimelineEntry(RecordModel):
    """A phase, and the time at which the environment entered the phase."""

    phase: Phase
    entered_at: AwareDatetime


class Progress(RecordModel):
    """The progress of an environment, without the request.

    Attributes:
        tenant_name: The assigned tenant name; None until the evidence is complete.
    """

    phase: Phase
    timeline: tuple[TimelineEntry, ...]
    problems: tuple[Problem, ...] = ()
    resources: Resources = Resources()
    evidence: Evidence | None = None
    left_behind: tuple[str, ...] = ()
    tenant: TenantOutcome | None = None
    tenant_name: str | None = None
    deletion: DeletionResult | None = None

    @property
    def first_problem(self) -> Problem | None:
        """The first problem, or None."""
        return self.problems[0] if self.problems else None

    @property
    def awaits_name(self) -> bool:
        """Whether provisioning stopped only because byok could not set the tenant name of a complete environment."""
        return self.phase is Phase.STOPPED and self.evidence is not None and is_only_unnamed(self.problems)


class EnvironmentProgress(Progress):
    """The progress of an environment.

    byok stores the progress in the workflow's memo, which can be read even if no worker is running.
    """

    request: ProvisionRequest | DeleteRequest


class KeyClaim(RecordModel):
    """A claim, which records that a key belongs to an environment (contract 123).

    Attributes:
        account: The account that owns the key.
        key_id: The id of the key; the replicas of a multi-Region key have the same id.
        key_arn: The ARN of the key when it was claimed.
        environment_id: The id of the environment that claimed the key.
        exists: Whether AWS lists a resource of this environment in a Region in use.
        used: Whether AWS reports that the key encrypts a resource of this environment.
    """

    account: str
    key_id: str
    key_arn: str
    environment_id: str
    claimed_at: datetime
    exists: bool = False
    used: bool = False

    @property
    def global_key_id(self) -> str:
        """The key's id in the form `<account>/<key id>`, like `KeyArn.global_id`."""
        return f"{self.account}/{self.key_id}"


class KeyClaimPage(RecordModel):
    """A page of claims.

    Attributes:
        after: The position at which the next page begins; None on the last page.
    """

    claims: tuple[KeyClaim, ...] = ()
    after: str | None = None
