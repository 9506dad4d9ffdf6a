"""Fake activities, which have the names of the real activities and are scripted by the tests."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.account_registry import build_not_registered_problem
from activities.aurora_proofs import AuroraProofActivities
from activities.failures import ActivityContext, stop_with_problems
from activities.notifications import NotificationActivities
from activities.quotas import QuotaActivities
from activities.webhooks import WebhookSender
from byok.blueprints import load_blueprint
from byok.contracts import ACCOUNT_OF_ANOTHER_ORGANISATION_CODE
from byok.domain.arns import KeyPair, KeyPurpose, parse_key_arn
from byok.domain.models import (
    AccountPage,
    AccountRegistration,
    AccountRequest,
    AuroraProofTask,
    BucketRemovalTask,
    BucketResource,
    BucketTask,
    BucketWithForeignObjects,
    CheckedKey,
    CheckKeysRequest,
    ClusterResource,
    DatabaseRemovalTask,
    DatabaseTask,
    DeleteRequest,
    DeletionPlan,
    DeliveryReceipt,
    DeliveryRequest,
    Environment,
    EnvironmentPlan,
    EnvironmentProbeResult,
    Evidence,
    ExternalIdRequest,
    ForeignObjects,
    ForeignObjectsTask,
    HealthReport,
    HealthState,
    InventoryTask,
    KeyCheckPlan,
    KeyClaim,
    KeyClaimPage,
    KeyConflicts,
    ListAccountsRequest,
    ListClaimsRequest,
    OwnedResource,
    OwnedResources,
    Problem,
    ProvisionRequest,
    QuotaCheckResult,
    QuotaTask,
    RebuildRequest,
    RebuiltRecord,
    ReconciledKey,
    ReconcileKeyTask,
    ReconcileTenantPlan,
    ReconcileTenantRequest,
    RemovalResult,
    SweepPage,
    SweepPageRequest,
    TenantCommandsTask,
    TenantOutcome,
    UnrecordedEnvironment,
    UnrecordedPage,
    VerificationRequest,
    VerificationResult,
    WriterResource,
)
from byok.domain.notifications import WebhookEndpoint
from byok.domain.onboarding.customer_commands import CustomerCommands
from byok.domain.phases import AliasOutcome, Phase
from byok.domain.planning import (
    Platform,
    plan_deletion,
    plan_environment,
    plan_key_pair_check,
    plan_no_environment,
    plan_tenant,
)
from byok.domain.problems.aws_errors import classify_error
from byok.domain.problems.build import KEYS_EXCHANGED_CODE, build_problem
from byok.domain.problems.remediation import Remedy, RemedyContext
from byok.domain.quotas import Quotas
from byok.domain.remediation import Remediation, RetryRequest
from byok.domain.vendor import VendorProfile
from tests.workflows.fake_results import (
    build_bucket_resource,
    build_buckets_result,
    build_cluster_result,
    build_database_result,
    build_writer_result,
)

REGION = "eu-central-1"
S3_KEY = f"arn:aws:kms:{REGION}:444455556666:key/11111111-1111-4111-8111-111111111111"
RDS_KEY = f"arn:aws:kms:{REGION}:444455556666:key/22222222-2222-4222-8222-222222222222"
PLATFORM = Platform("arn:aws:iam::111122223333:role/Platform", VendorProfile(), load_blueprint(None))

ROLE = "arn:aws:iam::444455556666:role/TenantRole"
EXTERNAL_ID = "acme-1"
Step = Callable[[], object]


def build_provision_request(environment_id: str, **changes: Any) -> ProvisionRequest:
    """Build a request that provisions an environment with two valid keys."""
    values = {"environment_id": environment_id, "region": REGION, "s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    return ProvisionRequest.model_validate(values | changes)


def build_tenant_request(environment_id: str, **changes: Any) -> ReconcileTenantRequest:
    """Build a request that puts a tenant name on two valid keys through the tenant role."""
    keys = {"s3_key_arn": S3_KEY, "rds_key_arn": RDS_KEY}
    values = {"environment_id": environment_id, "region": REGION, **keys, "tenant": "acme", "tenant_role_arn": ROLE}
    return ReconcileTenantRequest.model_validate(values | changes)


def build_delete_request(environment_id: str, **changes: Any) -> DeleteRequest:
    """Build a confirmed request that deletes an environment."""
    known = {"environment_id", "region", "s3_key_arn", "rds_key_arn"}
    values = build_provision_request(environment_id).model_dump(include=known)
    return DeleteRequest.model_validate(values | {"confirm": environment_id} | changes)


def build_owned_resources(
    instances: tuple[str, ...] = (), clusters: tuple[str, ...] = (), buckets: tuple[str, ...] = (), **changes: Any
) -> OwnedResources:
    """Build the list of an environment's resources, which are encrypted with the two valid keys.

    `changes` replaces fields of the result.
    """

    def own(names: tuple[str, ...], key_arn: str) -> tuple[OwnedResource, ...]:
        return tuple(OwnedResource(name=name, region=REGION, key_arn=key_arn) for name in names)

    listed = {"instances": own(instances, RDS_KEY), "clusters": own(clusters, RDS_KEY), "buckets": own(buckets, S3_KEY)}
    return OwnedResources.model_validate(listed | changes)


def build_aws_failure(
    service: str, code: str, message: str, phase: Phase, *, retry_after: timedelta | None = None
) -> ApplicationError:
    """Build the failure that byok raises for an AWS error; the failure is retryable only if it has a retry delay."""
    key = {"s3": KeyPurpose.S3, "rds": KeyPurpose.RDS, "kms": KeyPurpose.S3, "sts": KeyPurpose.S3}[service]
    arn = S3_KEY if key is KeyPurpose.S3 else RDS_KEY
    row = classify_error(service, code, message, arn)
    at_fault = (key, arn) if row.customer_key else (None, None)
    subject = RemedyContext(REGION, PLATFORM.role_arn, PLATFORM.vendor, *at_fault)
    why = build_problem(
        f"{service}.{code}", message, row.remedy, subject, phase=phase, at=datetime.now(UTC), operation="X"
    )
    if retry_after is not None:  # as in `activities.failures`: the remedy of a retried attempt is short
        short = Remediation.of_retry("A key change may still be propagating", "byok retries.", RetryRequest.NONE)
        why = why.model_copy(update={"remediation": short})
    return ApplicationError(
        why.message, why, type=why.code, non_retryable=retry_after is None, next_retry_delay=retry_after
    )


def build_key_problem(code: str, which: KeyPurpose, remedy: Remedy, phase: Phase = Phase.VALIDATING_KEYS) -> Problem:
    """Build a problem that byok, not AWS, reports about one of the two valid keys."""
    arn, other = (S3_KEY, RDS_KEY) if which is KeyPurpose.S3 else (RDS_KEY, S3_KEY)
    context = RemedyContext(REGION, PLATFORM.role_arn, PLATFORM.vendor, which, arn, other_key_arn=other)
    return build_problem(code, f"{arn}: {code}", remedy, context, phase=phase, at=datetime.now(UTC))


def build_exchanged_failure() -> ApplicationError:
    """Build the probe's failure for two ARNs that were swapped."""
    return stop_with_problems([build_key_problem(KEYS_EXCHANGED_CODE, KeyPurpose.S3, Remedy.KEYS_EXCHANGED)])


@dataclass
class FakeActivities:
    """Activities that succeed unless scripted otherwise.

    Attributes:
        script: For each activity name, the steps of the next attempts, in order. A step is an exception to raise, or a
            function to call before the attempt succeeds.
        calls: The names of all attempts, in order.
        inputs: For each activity name, the inputs of the activity's attempts.
        removals: For each activity name, the result to return instead of "removed".
        findings: The findings of `probe_environment`, which runs before the keys get a tenant name.
        conflicts: The problems to report for keys that other environments use.
        unproved: The reason why a check cannot verify the Aurora key; None if the check verifies the key.
        allows_aurora_proof: Whether plans state that the platform allows proofs of Aurora keys.
        joins_proofs: Whether a check joins the workflow that proves its Aurora key. By default, `await_aurora_proof`
            returns immediately. Otherwise, a check could join the proof of another test, because all tests use the same
            keys.
        garbled: Whether the probe of the S3 key returns a result that no workflow can decode.
        listed: The results of successive listings of the environment's resources, in order; later listings are empty.
        foreign: The buckets with objects that provisioning did not write.
        claims: All claims on keys.
        accounts: The organisation of each registered AWS account.
        unrecorded: The pages that the activity `list_unrecorded_environments` returns, in order.
        swept: The pages that the activity of a sweep returns, in order.
        quotas: The quotas of the organisations. The activity that checks the quotas is the real one, and counts
            workflows in the Temporal server.
        endpoints: The endpoints to which notifications are delivered. The activity that starts deliveries is the real
            one.
        sender: Sends the notifications; None if every delivery succeeds without a request.
    """

    script: dict[str, list[Exception | Step]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    inputs: dict[str, list[Any]] = field(default_factory=dict)
    removals: dict[str, RemovalResult] = field(default_factory=dict)
    findings: tuple[Problem, ...] = ()
    listed: list[OwnedResources] = field(default_factory=list)
    conflicts: tuple[Problem, ...] = ()
    unproved: str | None = None
    allows_aurora_proof: bool = True
    joins_proofs: bool = False
    garbled: bool = False
    foreign: tuple[BucketWithForeignObjects, ...] = ()
    claims: list[KeyClaim] = field(default_factory=list)
    accounts: dict[str, str] = field(default_factory=dict)
    unrecorded: list[UnrecordedPage] = field(default_factory=list)
    swept: list[SweepPage] = field(default_factory=list)
    quotas: Quotas = field(default_factory=Quotas)
    endpoints: tuple[WebhookEndpoint, ...] = ()
    sender: WebhookSender | None = None

    def _attempt(self, given: Any) -> None:
        name = activity.info().activity_type
        self.calls.append(name)
        self.inputs.setdefault(name, []).append(given)
        steps = self.script.get(name)
        if steps:
            step = steps.pop(0)
            if isinstance(step, Exception):
                raise step
            step()

    @property
    def list_activities(self) -> list[Callable[..., Any]]:
        """The activities that a worker must register."""
        return [getattr(self, name) for name in dir(type(self)) if hasattr(getattr(type(self), name), _DEFINITION)]

    @activity.defn
    def plan_key_check(self, given: CheckKeysRequest) -> KeyCheckPlan:
        self._attempt(given)
        plan = plan_key_pair_check(given, PLATFORM, datetime.now(UTC))
        return plan.model_copy(update={"allows_aurora_proof": self.allows_aurora_proof})

    @activity.defn
    async def plan_environment(self, given: ProvisionRequest) -> EnvironmentPlan:
        self._attempt(given)
        return plan_environment(given, PLATFORM, datetime.now(UTC), "a-run")

    @activity.defn
    def plan_deletion(self, given: DeleteRequest) -> DeletionPlan:
        self._attempt(given)
        return plan_deletion(given, PLATFORM, datetime.now(UTC))

    @activity.defn
    async def find_exceeded_quota(self, given: QuotaTask) -> QuotaCheckResult:
        self._attempt(given)
        return await QuotaActivities(self.quotas, PLATFORM.vendor).find_exceeded_quota(given)

    @activity.defn
    def find_resources(self, given: InventoryTask) -> OwnedResources:
        self._attempt(given)
        return self.listed.pop(0) if self.listed else OwnedResources()

    @activity.defn
    def find_foreign_objects(self, given: ForeignObjectsTask) -> ForeignObjects:
        self._attempt(given)
        return ForeignObjects(buckets=self.foreign)

    @activity.defn
    def release_unused_claims(self, given: Environment) -> None:
        self._attempt(given)

    @activity.defn
    def release_all_claims(self, given: Environment) -> None:
        self._attempt(given)

    @activity.defn
    def list_key_claims(self, given: ListClaimsRequest) -> KeyClaimPage:
        self._attempt(given)
        found = [one for one in self.claims if one.global_key_id > (given.after or "")]
        page, more = found[: given.size], len(found) > given.size
        return KeyClaimPage(claims=tuple(page), after=page[-1].global_key_id if more else None)

    @activity.defn
    def find_unregistered_accounts(self, given: Environment) -> KeyConflicts:
        self._attempt(given)
        step = ActivityContext(given, PLATFORM.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
        owners = {which: parse_key_arn(given.key_arn(which)).account for which in KeyPurpose}
        return KeyConflicts(
            problems=tuple(
                build_not_registered_problem(step, which, account)
                for which, account in owners.items()
                if self.accounts.get(account) != given.organisation
            )
        )

    @activity.defn
    def register_account(self, given: AccountRequest) -> None:
        self._attempt(given)
        owner = self.accounts.setdefault(given.account, given.organisation)
        if owner != given.organisation:
            step = ActivityContext(plan_no_environment(PLATFORM), PLATFORM.vendor, Phase.VALIDATING_KEYS, KeyPurpose.S3)
            message = f"AWS account {given.account} is registered for {owner}, not for {given.organisation}."
            raise step.non_retryable_error(
                ACCOUNT_OF_ANOTHER_ORGANISATION_CODE, message, Remedy.ACCOUNT_OF_ANOTHER_ORGANISATION
            )

    @activity.defn
    def unregister_account(self, given: AccountRequest) -> bool:
        self._attempt(given)
        return self.accounts.get(given.account) == given.organisation and bool(self.accounts.pop(given.account))

    @activity.defn
    def list_accounts(self, given: ListAccountsRequest) -> AccountPage:
        self._attempt(given)
        found = [
            AccountRegistration(account=account, organisation=owner, registered_at=datetime.now(UTC))
            for account, owner in sorted(self.accounts.items())
            if given.organisation in (None, owner) and account > (given.after or "")
        ]
        more = len(found) > given.size
        return AccountPage(accounts=tuple(found[: given.size]), after=found[given.size - 1].account if more else None)

    @activity.defn
    def list_unrecorded_environments(self, given: RebuildRequest) -> UnrecordedPage:
        self._attempt(given)
        return self.unrecorded.pop(0) if self.unrecorded else UnrecordedPage()

    @activity.defn
    def rebuild_record(self, given: UnrecordedEnvironment) -> RebuiltRecord:
        self._attempt(given)
        return RebuiltRecord(environment_id=given.environment_id, region=given.region, phase=Phase.READY)

    @activity.defn
    def check_page(self, given: SweepPageRequest) -> SweepPage:
        self._attempt(given)
        return self.swept.pop(0) if self.swept else SweepPage(checked=0)

    @activity.defn
    def verify_environment(self, given: VerificationRequest) -> VerificationResult:
        self._attempt(given)
        at = datetime.now(UTC)
        report = HealthReport(environment_id=given.environment_id, checked_at=at, state=HealthState.HEALTHY)
        return VerificationResult(report=report)

    @activity.defn
    async def deliver_notification(self, given: DeliveryRequest) -> DeliveryReceipt:
        self._attempt(given)
        if self.sender is None:
            return DeliveryReceipt(status=204, attempt=activity.info().attempt, delivered_at=datetime.now(UTC))
        return await NotificationActivities(self.endpoints, self.sender).deliver_notification(given)

    @activity.defn
    def plan_tenant(self, given: ReconcileTenantRequest) -> ReconcileTenantPlan:
        self._attempt(given)
        return plan_tenant(given, PLATFORM, datetime.now(UTC))

    @activity.defn
    def build_tenant_commands(self, given: TenantCommandsTask) -> TenantOutcome:
        self._attempt(given)
        keys = KeyPair(given.environment.s3_key_arn, given.environment.rds_key_arn)
        commands = CustomerCommands(PLATFORM.role_arn, given.environment.region, PLATFORM.vendor, given.stack_name)
        return TenantOutcome(tenant=given.tenant, commands=commands.name_keys_commands(keys, given.tenant, EXTERNAL_ID))

    @activity.defn
    def get_external_id(self, given: ExternalIdRequest) -> str:
        self._attempt(given)
        return f"{EXTERNAL_ID}-of-{given.organisation}" if given.organisation else EXTERNAL_ID

    @activity.defn
    def probe_environment(self, given: Environment) -> EnvironmentProbeResult:
        self._attempt(given)
        return EnvironmentProbeResult(findings=self.findings)

    @activity.defn
    def reconcile_key(self, given: ReconcileKeyTask) -> ReconciledKey:
        self._attempt(given)
        return ReconciledKey(
            key=given.marks.key,
            key_arn=given.marks.key_arn,
            alias=given.marks.alias,
            alias_state=AliasOutcome.CREATED,
            tags_written=tuple(given.marks.tags),
        )

    @activity.defn
    def probe_s3_key(self, given: Environment) -> CheckedKey:
        self._attempt(given)
        if self.garbled:
            return "not a CheckedKey"  # type: ignore[return-value]
        return CheckedKey.proved(KeyPurpose.S3, given.s3_key_arn, datetime.now(UTC), "7A62C49F347FC4E8")

    @activity.defn
    def probe_key_claims(self, given: Environment) -> KeyConflicts:
        self._attempt(given)
        return KeyConflicts(problems=self.conflicts)

    @activity.defn
    async def await_aurora_proof(self, given: Environment) -> CheckedKey:
        self._attempt(given)
        if self.joins_proofs:
            return await AuroraProofActivities.await_aurora_proof(cast("AuroraProofActivities", self), given)
        return self._prove_aurora_key(given)

    @activity.defn
    def ensure_proof_cluster(self, given: AuroraProofTask) -> CheckedKey:
        self._attempt(given)
        return self._prove_aurora_key(given.environment)

    def _prove_aurora_key(self, given: Environment) -> CheckedKey:
        if self.unproved is not None:
            return CheckedKey.not_proved(KeyPurpose.RDS, given.rds_key_arn, self.unproved)
        return CheckedKey.proved(KeyPurpose.RDS, given.rds_key_arn, datetime.now(UTC), "rds-request")

    @activity.defn
    def remove_proof_clusters(self, given: Environment) -> None:
        self._attempt(given)

    @activity.defn
    def ensure_cluster(self, given: DatabaseTask) -> ClusterResource:
        self._attempt(given)
        return build_cluster_result(given, "creating", created=True)

    @activity.defn
    def ensure_writer(self, given: DatabaseTask) -> WriterResource:
        self._attempt(given)
        return build_writer_result(given, "creating", created=True)

    @activity.defn
    def await_writer(self, given: DatabaseTask) -> WriterResource:
        self._attempt(given)
        return build_writer_result(given, "available")

    @activity.defn
    def ensure_bucket(self, given: BucketTask) -> BucketResource:
        self._attempt(given)
        written = tuple(item.key for item in given.bucket.objects)
        return build_bucket_resource(given, created=True).model_copy(update={"objects": written})

    @activity.defn
    def collect_evidence(self, given: EnvironmentPlan) -> Evidence:
        self._attempt(given)
        task = DatabaseTask(environment=given.environment, cluster=given.cluster)
        return Evidence(
            encryption=given.environment.encryption,
            database=build_database_result(task),
            buckets=build_buckets_result(given),
            collected_at=datetime.now(UTC),
        )

    @activity.defn
    def remove_writer(self, given: DatabaseRemovalTask) -> RemovalResult:
        self._attempt(given)
        return RemovalResult(resource=given.cluster.writer_identifier, removed=True)

    @activity.defn
    def remove_cluster(self, given: DatabaseRemovalTask) -> RemovalResult:
        self._attempt(given)
        return RemovalResult(resource=given.cluster.identifier, removed=True)

    @activity.defn
    def remove_bucket(self, given: BucketRemovalTask) -> RemovalResult:
        self._attempt(given)
        return self.removals.get("remove_bucket", RemovalResult(resource=given.bucket.name, removed=True))


_DEFINITION = "__temporal_activity_definition"


def parse_problems(failure: ApplicationError) -> list[Problem]:
    """Return the problems in a workflow's failure."""
    return [Problem.model_validate(detail) for detail in failure.details]
