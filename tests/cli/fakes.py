"""A fake `EnvironmentService` without Temporal, which returns configured results and records its calls."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Self

from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    AccountPage,
    AccountRequest,
    Attempt,
    CheckedKey,
    CheckedKeys,
    CheckKeysRequest,
    DeleteRequest,
    KeyCheckResult,
    ListAccountsRequest,
    ListClaimsRequest,
    Problem,
    ProvisionRequest,
    ReconcileTenantRequest,
    Requester,
    TenantOutcome,
    TimelineEntry,
)
from byok.domain.phases import Encryption, HealthState, Phase
from byok.domain.remediation import Remediation, RemedyStep, Retry, RetryRequest
from byok.service.claims import ClaimPage
from byok.service.creation import CreateResult
from byok.service.environment_list import EnvironmentFilter
from byok.service.errors import EnvironmentNotFoundError, NamingStoppedError
from byok.service.lifecycle import ReplayResult
from byok.service.pending import PendingStep
from byok.service.pollers import PollingWorker
from byok.service.status import EnvironmentStatus, EnvironmentSummary

REGION = "eu-central-1"
S3_KEY = f"arn:aws:kms:{REGION}:444455556666:key/11111111-1111-4111-8111-111111111111"
RDS_KEY = f"arn:aws:kms:{REGION}:444455556666:key/22222222-2222-4222-8222-222222222222"
BEGAN = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def make_problem(key: KeyPurpose | None = KeyPurpose.S3) -> Problem:
    """Build the problem of a stopped environment; `key` is the customer's key that caused the stop, if any."""
    return Problem(
        code="s3.KMS.DisabledException" if key else "s3.TooManyBuckets",
        message=f"{S3_KEY} is disabled." if key else "You have too many buckets.",
        operation="PutObject" if key else "CreateBucket",
        key=key,
        key_arn=S3_KEY if key else None,
        phase=Phase.CREATING_STORAGE,
        request_id="7A62C49F347FC4E8",
        region=REGION,
        at=BEGAN,
        remediation=Remediation(
            title="The S3 key is disabled",
            steps=(
                RemedyStep(text="Enable the key.", command=f"aws kms enable-key --key-id {S3_KEY}"),
                RemedyStep(text="Retry.", retry=Retry(request=RetryRequest.REPLAY)),
            ),
        ),
    )


def make_status(
    *phases: Phase, problems: tuple[Problem, ...] = (), pending: tuple[PendingStep, ...] = ()
) -> EnvironmentStatus:
    """Build the status of an environment that has gone through the given phases, each for two seconds."""
    return EnvironmentStatus(
        environment_id="acme",
        phase=phases[-1],
        region=REGION,
        problem=problems[0] if problems else None,
        problems=problems,
        timeline=tuple(
            TimelineEntry(phase=phase, entered_at=BEGAN + timedelta(seconds=2 * count))
            for count, phase in enumerate(phases)
        ),
        pending=pending,
        workflow_id="environment/acme",
        run_id="run-1",
        created_at=BEGAN,
        started_at=BEGAN,
        closed_at=BEGAN + timedelta(seconds=2 * len(phases)) if phases[-1].is_final else None,
    )


@dataclass
class FakeService:
    """A fake `EnvironmentService` that returns configured results.

    Attributes:
        statuses: The statuses that `watch_status` yields, in order; `read_status` returns the last of them.
        refuse: The error that every call raises.
        waiting: The pending activities that `reconcile_tenant` reports.
        attempts: The attempts of the environment.
        page_limit: The maximum number of environments in a page of the list.
        step: The activity at which a replay resumes; None if the replay starts over.
    """

    statuses: list[EnvironmentStatus] = field(default_factory=lambda: [make_status(Phase.VALIDATING_KEYS)])
    findings: tuple[Problem, ...] = ()
    polling: bool = True
    started: bool = True
    refuse: Exception | None = None
    created: list[ProvisionRequest] = field(default_factory=list)
    tenant: TenantOutcome | None = None
    unnameable: tuple[Problem, ...] = ()
    waiting: tuple[PendingStep, ...] = ()
    named: list[ReconcileTenantRequest] = field(default_factory=list)
    checked: list[CheckKeysRequest] = field(default_factory=list)
    step: str | None = "ensure_bucket"
    replayed: list[dict[str, str]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    deleted: list[DeleteRequest] = field(default_factory=list)
    account_pages: list[AccountPage] = field(default_factory=list)
    account_lists: list[ListAccountsRequest] = field(default_factory=list)
    account_requests: list[AccountRequest] = field(default_factory=list)
    unregistered: bool = True
    claim_pages: list[ClaimPage] = field(default_factory=list)
    claim_requests: list[ListClaimsRequest] = field(default_factory=list)
    attempts: tuple[Attempt, ...] = ()
    page_limit: int = 1000
    located: list[dict[str, str | None]] = field(default_factory=list)
    requester: Requester | None = None

    def on_behalf_of(self, requester: Requester) -> Self:
        """Record the requester, and return this service."""
        self.requester = requester
        return self

    external_id_requests: list[str | None] = field(default_factory=list)

    async def create(self, request: ProvisionRequest) -> CreateResult:
        self._refuse()
        self.created.append(request)
        return CreateResult(request.environment_id, "environment/acme", "run-1", started=self.started)

    async def read_status(self, environment_id: str) -> EnvironmentStatus:
        self._refuse()
        if environment_id != "acme":
            raise EnvironmentNotFoundError(f"Environment {environment_id} not found.")
        return self.statuses[-1]

    async def watch_status(self, environment_id: str) -> AsyncIterator[EnvironmentStatus]:
        for one in self.statuses:
            yield one

    async def list_attempts(self, status: EnvironmentStatus) -> tuple[Attempt, ...]:
        return self.attempts

    async def list_environments_page(
        self,
        *,
        phase: Phase | None = None,
        health: HealthState | None = None,
        region: str | None = None,
        problem_code: str | None = None,
        size: int,
        after: bytes | None,
    ) -> tuple[list[EnvironmentSummary], bytes | None]:
        self._refuse()
        wanted = EnvironmentFilter(phase=phase, health=health, region=region, problem_code=problem_code)
        found = [
            EnvironmentSummary(
                environment_id=name,
                phase=one,
                health=state,
                region=REGION,
                problem_code=code,
                created_at=BEGAN,
                started_at=BEGAN,
            )
            for name, one, state, code in (
                ("acme", Phase.READY, HealthState.HEALTHY, None),
                ("globex", Phase.STOPPED, None, "s3.KMS.DisabledException"),
                ("hooli", Phase.DELETED, None, None),
                ("initech", Phase.READY, HealthState.KEY_LOST, None),
            )
        ]
        matching = [one for one in found if wanted.accepts(one)]
        begin = int(after or b"0")
        end = begin + min(size, self.page_limit)
        return matching[begin:end], str(end).encode() if end < len(matching) else None

    async def check_keys(self, request: CheckKeysRequest) -> KeyCheckResult:
        self._refuse()
        self.checked.append(request)
        verdicts = {which: self._check_key(request, which, arn) for which, arn in request.key_pair.items()}
        keys = CheckedKeys(s3=verdicts[KeyPurpose.S3], rds=verdicts[KeyPurpose.RDS])
        return KeyCheckResult(region=REGION, keys=keys, findings=self.findings)

    def _check_key(self, request: CheckKeysRequest, which: KeyPurpose, arn: str) -> CheckedKey:
        known = [one for one in self.findings if one.key in (which, None)]
        if known:
            return CheckedKey.from_problem(which, arn, known[0])
        if which is KeyPurpose.RDS and not request.prove_aurora_key:
            return CheckedKey.not_proved(which, arn, "The check was requested without it.")
        return CheckedKey.proved(which, arn, BEGAN, "a-request-id")

    async def get_external_id(self, organisation: str | None = None) -> str:
        self._refuse()
        self.external_id_requests.append(organisation)
        return f"external-id-of-{organisation}"

    async def build_reconcile_tenant_request(
        self,
        environment_id: str,
        tenant: str | None = None,
        role_arn: str | None = None,
        *,
        repoint: bool = False,
        commands_only: bool = False,
        key_grace_seconds: int | None = None,
    ) -> ReconcileTenantRequest:
        self._refuse()
        return ReconcileTenantRequest(
            environment_id=environment_id,
            region=REGION,
            s3_key_arn=S3_KEY,
            rds_key_arn=RDS_KEY,
            tenant=tenant or environment_id,
            tenant_role_arn=role_arn,
            repoint=repoint,
            commands_only=commands_only,
            key_grace_seconds=30 if key_grace_seconds is None else key_grace_seconds,
        )

    async def reconcile_tenant(
        self, request: ReconcileTenantRequest, waits_for: Callable[[PendingStep], None] | None = None
    ) -> TenantOutcome:
        self.named.append(request)
        if waits_for is not None:
            for item in self.waiting:
                waits_for(item)
        if self.unnameable:
            raise NamingStoppedError("Tenant acme on the keys of acme stopped", self.unnameable)
        return self.tenant or TenantOutcome(tenant=request.tenant, commands=("aws cloudformation deploy",))

    async def replay(self, environment_id: str, **keys: str) -> ReplayResult:
        self._refuse()
        self.replayed.append(keys)
        return ReplayResult(environment_id, "environment/acme", "run-2", self.step)

    async def cancel(self, environment_id: str) -> None:
        self._refuse()
        self.cancelled.append(environment_id)

    async def build_delete_request(
        self,
        environment_id: str,
        *,
        final_snapshot: bool = True,
        region: str | None = None,
        encryption: Encryption = Encryption.CUSTOMER_MANAGED,
        s3_key_arn: str | None = None,
        rds_key_arn: str | None = None,
    ) -> DeleteRequest:
        self._refuse()
        if encryption is Encryption.PLATFORM_MANAGED:
            values = {"environment_id": environment_id, "confirm": environment_id, "region": region or REGION}
            return DeleteRequest.model_validate({**values, "encryption": encryption})
        self.located.append({"region": region, "s3_key_arn": s3_key_arn, "rds_key_arn": rds_key_arn})
        return DeleteRequest(
            environment_id=environment_id,
            confirm=environment_id,
            final_snapshot=final_snapshot,
            region=region or REGION,
            s3_key_arn=s3_key_arn or S3_KEY,
            rds_key_arn=rds_key_arn or RDS_KEY,
        )

    async def delete(self, request: DeleteRequest) -> bool:
        self.deleted.append(request)
        return self.started

    async def register_account(self, request: AccountRequest) -> None:
        self._refuse()
        self.account_requests.append(request)

    async def unregister_account(self, request: AccountRequest) -> bool:
        self._refuse()
        self.account_requests.append(request)
        return self.unregistered

    async def list_accounts(self, request: ListAccountsRequest) -> AccountPage:
        self._refuse()
        self.account_lists.append(request)
        return self.account_pages.pop(0)

    async def list_claims(self, request: ListClaimsRequest) -> ClaimPage:
        self._refuse()
        self.claim_requests.append(request)
        return self.claim_pages.pop(0)

    async def list_workers(self) -> list[PollingWorker]:
        return [PollingWorker("1@here", BEGAN)] if self.polling else []

    def _refuse(self) -> None:
        if self.refuse:
            raise self.refuse
