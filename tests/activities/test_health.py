"""Sweeps and verifications determine the health of READY environments, with calls to the local AWS emulator."""

import asyncio
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseWorkflowExecutionRequest,
    ResetWorkflowExecutionRequest,
    UnpauseWorkflowExecutionRequest,
)
from temporalio.client import Client, ScheduleHandle, WorkflowExecutionDescription
from temporalio.testing import WorkflowEnvironment

import activities.health
import byok.temporal_health
import workflows.environment_record
from activities.failures import ActivityContext
from activities.health import HealthActivities
from activities.key_claims import KeyClaims
from byok.contracts import (
    CHECK_KEY_HEALTH_WORKFLOW,
    HEALTH_ATTRIBUTE,
    HEALTH_REPORT_SIGNAL,
    delivery_workflow_id,
    environment_workflow_id,
    health_schedule_id,
    record_workflow_id,
)
from byok.domain.arns import KeyPurpose
from byok.domain.models import (
    EnvironmentHealth,
    HealthState,
    KeyUse,
    Notification,
    NotificationType,
    ProvisionRequest,
    SweepOutcome,
    SweepRequest,
)
from byok.domain.models.health import RECOVERABLE_FOR
from byok.domain.naming import cluster_identifier
from byok.domain.notifications import WebhookEndpoint, build_notification_id
from byok.domain.phases import Encryption, Phase
from byok.domain.planning import Platform, plan_buckets
from byok.service.errors import EnvironmentNotReadyError
from byok.service.verification import verify_environment
from byok.temporal_health import ensure_health_schedules, list_targets, read_sweep
from tests.activities.conftest import PLATFORM as DEFAULT_PLATFORM
from tests.activities.conftest import ActivityHarness
from tests.activities.stage import Stage, run_stage
from tests.localaws.server import AwsHarness
from tests.remedy_text import text_of
from tests.webhook_receiver import SECRET
from tests.workflows.fake_activities import FakeActivities
from workflows.check_key_health import CheckKeyHealth
from workflows.deliver_notification import DeliverNotification
from workflows.verify_environment import VerifyEnvironment

HOME = "eu-west-3"
"""A Region that no other test uses, because a sweep checks all environments in a Region."""

ENDPOINT = WebhookEndpoint(name="portal", url="https://portal.example.com", secrets=(SecretStr(SECRET),))

PLATFORM = replace(DEFAULT_PLATFORM, regions=(HOME,), home_region=HOME)
PENDING_DELETION = "s3.KMS.KMSInvalidStateException"
LOST = "rds.inaccessible-encryption-credentials-recoverable"


@dataclass
class HealthStage(Stage):
    """A worker that also checks environments."""

    harness: ActivityHarness

    async def provision_ready(self, **changes: Any) -> ProvisionRequest:
        return await self.provision(HOME, **changes)

    async def sweep(self) -> SweepOutcome:
        outcome: SweepOutcome = await self.client.execute_workflow(
            CHECK_KEY_HEALTH_WORKFLOW,
            SweepRequest(region=HOME, interval_seconds=240),
            id=f"sweep-{uuid.uuid4().hex}",
            task_queue=self.queue,
            result_type=SweepOutcome,
        )
        return outcome

    async def sweep_by_schedule(self, schedule: ScheduleHandle) -> SweepOutcome:
        """Trigger the schedule, and wait until `read_sweep` returns the outcome of the new sweep."""
        before = await read_sweep(self.client, HOME)
        await schedule.trigger()
        async with asyncio.timeout(20):
            while (outcome := await read_sweep(self.client, HOME)) is None or outcome == before:
                continue
        return outcome

    async def listed(self, *requests: ProvisionRequest) -> None:
        """Wait until Temporal lists environments as READY, because visibility is eventually consistent."""
        names = {one.environment_id for one in requests}
        async with asyncio.timeout(20):
            found: set[str] = set()
            while not names <= found:
                found, after = set(), None
                while True:
                    targets, after = await list_targets(self.client, HOME, after)
                    found |= {one.environment_id for one in targets}
                    if after is None:
                        break

    async def verify(self, request: ProvisionRequest) -> EnvironmentHealth:
        return await verify_environment(self.service, request.environment_id)

    async def health(self, request: ProvisionRequest) -> EnvironmentHealth:
        health = (await self.read(request)).health
        assert health is not None
        return health

    async def describe_record(self, request: ProvisionRequest) -> WorkflowExecutionDescription:
        return await self.client.get_workflow_handle(record_workflow_id(request.environment_id)).describe()

    async def count_reports(self, request: ProvisionRequest) -> int:
        handle = self.client.get_workflow_handle(record_workflow_id(request.environment_id))
        events = [one async for one in handle.fetch_history_events()]
        names = [one.workflow_execution_signaled_event_attributes.signal_name for one in events]
        return names.count(HEALTH_REPORT_SIGNAL)

    def s3(self) -> Any:
        return self.aws.operator_client("s3", HOME)

    def kms(self) -> Any:
        return self.aws.customer_client("kms", HOME)


async def open_stage(
    temporal: WorkflowEnvironment,
    aws: AwsHarness,
    platform: Platform = PLATFORM,
    endpoints: tuple[WebhookEndpoint, ...] = (),
) -> AsyncIterator[HealthStage]:
    harness = ActivityHarness(aws, platform=PLATFORM, region=HOME)
    health = HealthActivities(harness.clients, platform, endpoints)
    own: list[Callable[..., Any]] = [health.check_page, health.verify_environment]
    own.append(FakeActivities().deliver_notification)
    async with run_stage(
        temporal.client, harness, [CheckKeyHealth, VerifyEnvironment, DeliverNotification], own
    ) as queue:
        yield HealthStage(temporal.client, aws, queue, harness)


@pytest_asyncio.fixture
async def stage(
    temporal: WorkflowEnvironment, aws: AwsHarness, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[HealthStage]:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    async for one in open_stage(temporal, aws):
        yield one


async def test_new_environment_is_healthy_by_the_evidence_of_its_provisioning(stage: HealthStage) -> None:
    request = await stage.provision_ready()

    status = await stage.read(request)

    assert status.health is not None
    assert status.evidence is not None
    assert (status.health.state, status.health.proved_at) == (HealthState.HEALTHY, status.evidence.collected_at)


async def test_verification_proves_both_keys_and_reports(stage: HealthStage) -> None:
    request = await stage.provision_ready()
    before = await stage.health(request)

    health = await stage.verify(request)

    assert (health.state, health.problems, health.unreachable) == (HealthState.HEALTHY, (), None)
    assert [(one.key, one.use) for one in health.keys] == [
        (KeyPurpose.S3, KeyUse.PROVED),
        (KeyPurpose.RDS, KeyUse.IN_USE),
    ]
    assert health.proved_at > before.proved_at
    assert (await stage.describe_record(request)).typed_search_attributes[HEALTH_ATTRIBUTE] == "HEALTHY"


# contract 139, 140
@pytest.mark.parametrize(
    ("lose", "code"),
    [
        (lambda kms, key: kms.disable_key(KeyId=key), "s3.KMS.DisabledException"),
        (
            lambda kms, key: kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7),
            "s3.KMS.KMSInvalidStateException",
        ),
        (lambda kms, key: kms.put_key_policy(KeyId=key, Policy=own_policy(kms)), "s3.AccessDenied"),
    ],
    ids=["disabled", "pending deletion", "statement removed"],
)
async def test_lost_s3_key_is_reported_and_so_is_its_return(
    stage: HealthStage, lose: Callable[[Any, str], None], code: str
) -> None:
    request = await stage.provision_ready()
    key, kms = request.s3_key_arn or "", stage.kms()
    policy = kms.get_key_policy(KeyId=key)["Policy"]
    lose(kms, key)

    lost = await stage.verify(request)
    with_key = lost.problems[0]

    assert (lost.state, with_key.code, with_key.key, with_key.key_arn) == (
        HealthState.KEY_LOST,
        code,
        KeyPurpose.S3,
        key,
    )
    assert "within five minutes" in text_of(with_key.remediation)
    assert (await stage.read(request)).health == lost

    if code == PENDING_DELETION:
        kms.cancel_key_deletion(KeyId=key)
    if code != "s3.AccessDenied":
        kms.enable_key(KeyId=key)
    kms.put_key_policy(KeyId=key, Policy=policy)
    back = await stage.verify(request)
    assert (back.state, back.problems) == (HealthState.HEALTHY, ())
    assert back.since > lost.since


def own_policy(kms: Any) -> str:
    """Return a policy that grants nothing to the platform."""
    return str(kms.get_key_policy(KeyId=kms.create_key()["KeyMetadata"]["Arn"])["Policy"])


# contract 142, 143
async def test_cluster_that_lost_its_key_recovers_without_human_action(stage: HealthStage) -> None:
    request = await stage.provision_ready()
    key, kms = request.rds_key_arn or "", stage.kms()
    kms.disable_key(KeyId=key)

    lost = await stage.verify(request)
    still_lost = await stage.verify(request)
    kms.enable_key(KeyId=key)
    recovering = await stage.verify(request)
    back = await stage.verify(request)

    assert (lost.state, lost.problems[0].code) == (HealthState.KEY_LOST, LOST)
    assert lost.recoverable_until == lost.since + RECOVERABLE_FOR == still_lost.recoverable_until
    assert still_lost.since == lost.since
    assert recovering.state in (HealthState.RECOVERING, HealthState.HEALTHY)
    assert (back.state, back.recoverable_until, back.cluster_status) == (HealthState.HEALTHY, None, "available")


async def test_cluster_is_not_started_where_the_vendor_has_turned_recovery_off(
    temporal: WorkflowEnvironment, aws: AwsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    async for stage in open_stage(temporal, aws, replace(PLATFORM, recover_clusters=False)):
        request = await stage.provision_ready()
        stage.kms().disable_key(KeyId=request.rds_key_arn)
        await stage.verify(request)
        stage.kms().enable_key(KeyId=request.rds_key_arn)

        assert (await stage.verify(request)).state is HealthState.KEY_LOST
        assert "StartDBCluster" not in stage.aws.list_calls("rds")


async def test_running_cluster_outlives_the_statement_on_its_key(stage: HealthStage) -> None:
    request = await stage.provision_ready()
    kms = stage.kms()
    kms.put_key_policy(KeyId=request.rds_key_arn, Policy=own_policy(kms))

    health = await stage.verify(request)

    assert health.state is HealthState.HEALTHY
    assert health.keys[1].use == "in use by grant; new use not verified"


def bucket(request: ProvisionRequest) -> str:
    return plan_buckets(request.environment_id, HOME, PLATFORM)[0].name


def delete_bucket_policy(stage: HealthStage, request: ProvisionRequest) -> None:
    stage.s3().delete_bucket_policy(Bucket=bucket(request))


def suspend_versioning(stage: HealthStage, request: ProvisionRequest) -> None:
    stage.s3().put_bucket_versioning(Bucket=bucket(request), VersioningConfiguration={"Status": "Suspended"})


def delete_tags(stage: HealthStage, request: ProvisionRequest) -> None:
    stage.s3().delete_bucket_tagging(Bucket=bucket(request))


def delete_encryption(stage: HealthStage, request: ProvisionRequest) -> None:
    stage.s3().delete_bucket_encryption(Bucket=bucket(request))


def allow_deletion(stage: HealthStage, request: ProvisionRequest) -> None:
    name = cluster_identifier(PLATFORM.vendor, request.environment_id)
    rds = stage.aws.operator_client("rds", HOME)
    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False, ApplyImmediately=True)


def release_claim(stage: HealthStage, request: ProvisionRequest) -> None:
    fields = request.model_dump(include={"environment_id", "s3_key_arn", "rds_key_arn"})
    environment = stage.harness.build_plan(region=HOME, **fields).environment
    step = ActivityContext(environment, PLATFORM.vendor, Phase.READY, KeyPurpose.S3)
    KeyClaims(stage.harness.clients, PLATFORM, step).release_key(request.s3_key_arn or "")


DRIFTS: dict[str, Callable[[HealthStage, ProvisionRequest], None]] = {
    "The bucket policy of": delete_bucket_policy,
    "The versioning of": suspend_versioning,
    "does not have the environment's tags": delete_tags,
    "The default encryption of": delete_encryption,
    "deletion_protection is False, expected True": allow_deletion,
    "does not hold the claim on": release_claim,
}


@pytest.mark.parametrize("what", DRIFTS)
async def test_difference_from_what_byok_set_is_named(stage: HealthStage, what: str) -> None:
    request = await stage.provision_ready()
    DRIFTS[what](stage, request)

    health = await stage.verify(request)

    assert (health.state, [one.code for one in health.problems]) == (HealthState.DEGRADED, ["byok.Drift"])
    assert what in health.problems[0].message
    assert health.problems[0].key is None


async def test_platform_managed_environment_has_a_health(stage: HealthStage) -> None:
    request = await stage.provision_ready(encryption=Encryption.PLATFORM_MANAGED, s3_key_arn=None, rds_key_arn=None)

    health = await stage.verify(request)

    assert (health.state, [one.use for one in health.keys]) == (HealthState.HEALTHY, [KeyUse.PLATFORM_MANAGED] * 2)


# contract 141
async def test_sweep_reports_only_what_changed(stage: HealthStage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(byok.temporal_health, "PAGE_SIZE", 1)
    fine, lost = await stage.provision_ready(), await stage.provision_ready()
    stage.kms().disable_key(KeyId=lost.s3_key_arn)

    await stage.listed(fine, lost)
    await stage.sweep()
    await stage.sweep()

    assert (await stage.count_reports(fine), await stage.count_reports(lost)) == (0, 1)
    assert (await stage.health(fine)).state is HealthState.HEALTHY
    assert (await stage.health(lost)).state is HealthState.KEY_LOST


# contract 144
async def test_loss_and_return_of_a_key_are_delivered(
    temporal: WorkflowEnvironment, aws: AwsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    async for stage in open_stage(temporal, aws, endpoints=(ENDPOINT,)):
        request = await stage.provision_ready()
        before = await stage.health(request)
        stage.kms().disable_key(KeyId=request.s3_key_arn)
        await stage.verify(request)
        lost = await stage.verify(request)
        stage.kms().enable_key(KeyId=request.s3_key_arn)
        await stage.verify(request)

        for kind, since in ((NotificationType.KEY_LOST, before.since), (NotificationType.RECOVERED, lost.since)):
            name = build_notification_id(request.environment_id, kind, since.isoformat())
            receipt = await stage.client.get_workflow_handle(delivery_workflow_id("portal", name)).result()
            assert receipt["status"] == 204


def interrupt_check(
    monkeypatch: pytest.MonkeyPatch, call: int, meanwhile: Callable[[], object], *, after: bool
) -> dict[str, NotificationType]:
    """Make one call to Temporal fail while a health check runs.

    Args:
        monkeypatch: Replaces the functions that call Temporal.
        call: The index of the call that fails, counted from 0.
        meanwhile: A function to run before the next attempt of the check.
        after: Whether the call fails only after it has reached Temporal.

    Returns:
        The type of each notification whose delivery has started, by notification id. The dict is updated whenever
        another delivery starts.
    """
    numbers, told = itertools.count(), dict[str, NotificationType]()

    def replace_function(name: str) -> None:
        original = getattr(activities.health, name)

        async def interrupted(client: Client, queue: str, what: Any, *more: Any) -> None:
            fails = next(numbers) == call
            if after or not fails:
                await original(client, queue, what, *more)
                if isinstance(what, Notification):
                    told[what.id] = what.type
            if fails:
                meanwhile()
                raise ConnectionError("the worker was killed")

        monkeypatch.setattr(activities.health, name, interrupted)

    for name in ("send_report", "start_deliveries"):
        replace_function(name)
    return told


# contract 144
@pytest.mark.parametrize("after", [True, False], ids=["after the call", "before the call"])
@pytest.mark.parametrize("call", range(3))
async def test_no_notification_is_lost_if_a_check_is_interrupted_and_the_next_one_finds_something_else(
    temporal: WorkflowEnvironment, aws: AwsHarness, monkeypatch: pytest.MonkeyPatch, call: int, *, after: bool
) -> None:
    """A check finds a disabled key, but a call to Temporal fails, and the key is enabled before the next attempt."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    async for stage in open_stage(temporal, aws, endpoints=(ENDPOINT,)):
        request = await stage.provision_ready()
        key, kms = request.s3_key_arn, stage.kms()
        told = interrupt_check(monkeypatch, call, partial(kms.enable_key, KeyId=key), after=after)
        kms.disable_key(KeyId=key)
        await stage.verify(request)
        kms.enable_key(KeyId=key)
        health = await stage.verify(request)

        assert health.state is HealthState.HEALTHY
        counted = Counter(told.values())
        assert counted[NotificationType.KEY_LOST] == counted[NotificationType.RECOVERED] <= 1
        kms.disable_key(KeyId=key)
        await stage.verify(request)
        assert Counter(told.values())[NotificationType.KEY_LOST] == counted[NotificationType.KEY_LOST] + 1


# contract 140
@pytest.mark.parametrize("kind", ["throttle", "error500", "timeout"])
async def test_outage_is_a_fact_about_the_region_and_says_nothing_about_the_keys(
    stage: HealthStage, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(activities.health, "_PAUSES", (timedelta(0),))
    request = await stage.provision_ready()
    proved = await stage.verify(request)
    stage.aws.call_control("POST", "faults", service="s3", operation="GetObject", kind=kind, times=1000)

    outcome = await stage.sweep()
    verified = await stage.verify(request)

    assert request.environment_id in outcome.unproved
    assert outcome.cause is not None
    assert (verified.state, verified.proved_at) == (HealthState.HEALTHY, proved.proved_at)
    assert verified.unreachable is not None
    assert verified.unreachable.key is None
    assert await stage.count_reports(request) == 1
    stage.aws.call_control("DELETE", "faults")
    assert (await stage.verify(request)).unreachable is None


async def test_only_a_ready_environment_can_be_verified(stage: HealthStage) -> None:
    request = await stage.provision_ready()
    name = request.environment_id
    await stage.client.get_workflow_handle(record_workflow_id(name)).terminate()

    with pytest.raises(EnvironmentNotReadyError, match=f"{name} is not READY"):
        await stage.verify(request)


async def test_schedule_starts_sweeps_whose_outcome_proves_the_environments(stage: HealthStage) -> None:
    request = await stage.provision_ready()
    await stage.listed(request)
    before = await stage.health(request)
    schedule = stage.client.get_schedule_handle(health_schedule_id(HOME))
    await ensure_health_schedules(stage.client, stage.queue, [HOME], timedelta(minutes=4))
    try:
        await schedule.pause(note="an operator looks for something")
        await ensure_health_schedules(stage.client, stage.queue, [HOME], timedelta(minutes=4))
        await ensure_health_schedules(stage.client, stage.queue, [HOME], timedelta(minutes=3))
        described = await schedule.describe()
        assert described.schedule.state.paused
        assert [one.every for one in described.schedule.spec.intervals] == [timedelta(minutes=3)]

        outcome = await stage.sweep_by_schedule(schedule)

        after = await stage.health(request)
        assert after.proved_at == outcome.swept_at > before.proved_at
        assert await stage.count_reports(request) == 0
    finally:
        await schedule.delete()


# contract 139
async def test_sweep_proves_nothing_about_an_environment_whose_record_is_closed(stage: HealthStage) -> None:
    swept, closed = await stage.provision_ready(), await stage.provision_ready()
    await stage.listed(swept, closed)
    await stage.client.get_workflow_handle(record_workflow_id(closed.environment_id)).terminate()
    before = await stage.health(closed)
    schedule = stage.client.get_schedule_handle(health_schedule_id(HOME))
    await ensure_health_schedules(stage.client, stage.queue, [HOME], timedelta(minutes=4))
    try:
        outcome = await stage.sweep_by_schedule(schedule)

        assert (await stage.health(swept)).proved_at == outcome.swept_at
        assert (await stage.health(closed)).proved_at == before.proved_at < outcome.swept_at
    finally:
        await schedule.delete()


# contract 139
async def test_list_shows_the_health_and_can_be_filtered_by_it(stage: HealthStage) -> None:
    fine, lost = await stage.provision_ready(), await stage.provision_ready()
    stage.kms().disable_key(KeyId=lost.s3_key_arn)
    await stage.verify(lost)
    names = {fine.environment_id, lost.environment_id}

    async with asyncio.timeout(20):
        shown: dict[str, HealthState | None] = {}
        while set(shown.values()) != {HealthState.HEALTHY, HealthState.KEY_LOST}:
            shown = {
                one.environment_id: one.health
                for one in await stage.service.list_environments(10_000)
                if one.environment_id in names
            }
    filtered = await stage.service.list_environments(10_000, health=HealthState.KEY_LOST)

    assert shown == {fine.environment_id: HealthState.HEALTHY, lost.environment_id: HealthState.KEY_LOST}
    assert names & {one.environment_id for one in filtered} == {lost.environment_id}


async def continue_record(stage: HealthStage, request: ProvisionRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send a report to the record, and wait until the record's workflow has continued as new."""
    monkeypatch.setattr(workflows.environment_record, "_MAX_REPORTS", 1)
    before = (await stage.describe_record(request)).run_id
    handle = stage.client.get_workflow_handle(record_workflow_id(request.environment_id))
    await handle.signal("a report of a later version")
    async with asyncio.timeout(20):
        while (await stage.describe_record(request)).run_id == before:
            continue


async def pause_record(stage: HealthStage, request: ProvisionRequest, _: pytest.MonkeyPatch) -> None:
    """Pause the record's workflow, check that the health can still be read, and unpause the workflow."""
    values = {"namespace": stage.client.namespace, "workflow_id": record_workflow_id(request.environment_id)}
    service = stage.client.workflow_service
    await service.pause_workflow_execution(PauseWorkflowExecutionRequest(**values, request_id=str(uuid.uuid4())))
    assert (await stage.health(request)).state is HealthState.KEY_LOST
    await service.unpause_workflow_execution(UnpauseWorkflowExecutionRequest(**values, request_id=str(uuid.uuid4())))


async def reset_run(stage: HealthStage, request: ProvisionRequest, _: pytest.MonkeyPatch) -> None:
    """Reset the provisioning run to its last workflow task, and wait until the run has ended again."""
    handle = stage.client.get_workflow_handle(environment_workflow_id(request.environment_id))
    tasks = [
        event.event_id
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    await stage.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=stage.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            workflow_task_finish_event_id=tasks[-1],
            request_id=str(uuid.uuid4()),
            reason="a test",
        )
    )
    await stage.client.get_workflow_handle(handle.id).result()


@pytest.mark.parametrize("happen", [continue_record, pause_record, reset_run])
async def test_health_is_the_same_whatever_happens_to_the_workflows(
    stage: HealthStage,
    happen: Callable[[HealthStage, ProvisionRequest, pytest.MonkeyPatch], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = await stage.provision_ready()
    stage.kms().disable_key(KeyId=request.rds_key_arn)
    await stage.verify(request)
    before = await stage.read(request)

    await happen(stage, request, monkeypatch)

    after = await stage.read(request)
    assert (after.phase, after.health) == (Phase.READY, before.health)
    summary = await stage.describe_record(request)
    assert summary.typed_search_attributes[HEALTH_ATTRIBUTE] == "KEY_LOST"
    stage.kms().enable_key(KeyId=request.rds_key_arn)
    await stage.verify(request)
    assert (await stage.verify(request)).state is HealthState.HEALTHY
