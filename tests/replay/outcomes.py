"""Every outcome that a workflow can have. Each function scripts the activities and starts the workflow.

The histories are recorded once, and replayed in every test run.
"""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from byok.contracts import (
    CHECK_KEY_HEALTH_WORKFLOW,
    CHECK_KEYS_WORKFLOW,
    LIST_KEY_CLAIMS_WORKFLOW,
    REBUILD_RECORDS_WORKFLOW,
    REBUILD_RECORDS_WORKFLOW_ID,
    VERIFY_ENVIRONMENT_WORKFLOW,
    aurora_proof_workflow_id,
    claims_workflow_id,
    health_schedule_id,
    key_check_workflow_id,
    record_workflow_id,
    verification_workflow_id,
)
from byok.domain.models import (
    BucketWithForeignObjects,
    CheckKeysRequest,
    ClusterResource,
    DeliveryRequest,
    ListClaimsRequest,
    Notification,
    NotificationType,
    OwnedResource,
    OwnedResources,
    RebuildRequest,
    RemovalResult,
    SweepPage,
    SweepRequest,
    UnrecordedEnvironment,
    UnrecordedPage,
    VerificationRequest,
)
from byok.domain.phases import Phase
from byok.service.environments import EnvironmentService
from byok.temporal_deliveries import start_delivery
from tests.requested_keys import ON_PLATFORM_KEYS
from tests.workflows.fake_activities import (
    PLATFORM,
    RDS_KEY,
    REGION,
    ROLE,
    S3_KEY,
    build_aws_failure,
    build_delete_request,
    build_owned_resources,
    build_provision_request,
    build_tenant_request,
)
from tests.workflows.temporal_env import WorkflowHarness

_NOT_THE_ROLE: Final = ("sts", "AccessDenied", "User: … is not authorized to perform: sts:AssumeRole on resource: …")
_NOT_THE_KEY: Final = ("kms", "AccessDeniedException", "User: … is not authorized to perform: kms:CreateAlias on …")

Handle = WorkflowHandle[Any, Any]
Outcome = Callable[[WorkflowHarness], Awaitable[Handle]]

_DISABLED: Final = ("s3", "KMS.DisabledException", f"{S3_KEY} is disabled.")
NOT_ACCESSIBLE: Final = ("rds", "KMSKeyNotAccessibleFault", f"The specified KMS key [{RDS_KEY}] isn't accessible.")

_EVERYTHING: Final = build_owned_resources(
    instances=("byok-acme-writer",), clusters=("byok-acme",), buckets=("byok-acme-files-1", "byok-acme-former-2")
)


async def ready(harness: WorkflowHarness) -> Handle:
    """Every activity succeeds.

    `EnvironmentService` starts the workflow and publishes the first phase in the same request.
    """
    created = await EnvironmentService(harness.client, harness.task_queue).create(build_provision_request("ready"))
    return harness.client.get_workflow_handle(created.workflow_id, run_id=created.run_id)


async def ready_on_platform_keys(harness: WorkflowHarness) -> Handle:
    """Every activity succeeds, with the platform's own keys."""
    return await harness.start_provision(build_provision_request("ready-on-platform-keys", **ON_PLATFORM_KEYS))


async def stopped_by_the_s3_key(harness: WorkflowHarness) -> Handle:
    """S3 refuses the probe."""
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*_DISABLED, Phase.VALIDATING_KEYS)]
    return await harness.start_provision(build_provision_request("stopped-by-s3-key"))


async def stopped_by_an_arn(harness: WorkflowHarness) -> Handle:
    """The ARN rules refuse both ARNs."""
    return await harness.start_provision(
        build_provision_request("stopped-by-arn", s3_key_arn="nonsense", rds_key_arn="alias/db")
    )


async def stopped_by_the_aurora_key(harness: WorkflowHarness) -> Handle:
    """RDS refuses CreateDBCluster."""
    harness.activities.script["ensure_cluster"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.CREATING_CLUSTER)]
    return await harness.start_provision(build_provision_request("stopped-by-aurora-key"))


async def stopped_while_creating_storage(harness: WorkflowHarness) -> Handle:
    """S3 refuses a write while the workflow awaits the database."""
    _keep_waiting(harness)
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*_DISABLED, Phase.CREATING_STORAGE)]
    return await harness.start_provision(build_provision_request("stopped-while-writing"))


async def rolled_back(harness: WorkflowHarness) -> Handle:
    """S3 refuses a write while the workflow awaits the database, and a rollback removes all resources."""
    _keep_waiting(harness)
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*_DISABLED, Phase.CREATING_STORAGE)]
    return await harness.start_provision(build_provision_request("rolled-back", on_failure="rollback"))


async def cancelled(harness: WorkflowHarness) -> Handle:
    """A user cancels the workflow while it awaits the database."""
    begun = _keep_waiting(harness)
    handle = await harness.start_provision(build_provision_request("cancelled"))
    await asyncio.to_thread(begun.wait, 10)
    await handle.cancel()
    return handle


async def malformed_input(harness: WorkflowHarness) -> Handle:
    """The workflow's input is invalid."""
    return await harness.client.start_workflow(
        "ProvisionEnvironment", {"region": 7}, id="environment/malformed-input", task_queue=harness.task_queue
    )


async def undecodable_input(harness: WorkflowHarness) -> Handle:
    """The input has an encoding that no payload converter can decode."""
    payload = Payload(metadata={"encoding": b"json/protobuf"}, data=b"{}")
    return await harness.client.start_workflow(
        "ProvisionEnvironment", RawValue(payload), id="environment/undecodable-input", task_queue=harness.task_queue
    )


async def ready_with_a_tenant(harness: WorkflowHarness) -> Handle:
    """Provisioning succeeds, and both keys get the tenant name at the end."""
    return await harness.start_provision(
        build_provision_request("ready-with-a-tenant", tenant="acme", tenant_role_arn=ROLE)
    )


async def ready_with_tenant_commands_handed_over(harness: WorkflowHarness) -> Handle:
    """No tenant role is given, so the workflow returns the commands that set the tenant name."""
    return await harness.start_provision(build_provision_request("ready-with-commands", tenant="acme"))


async def stopped_while_reconciling_the_tenant(harness: WorkflowHarness) -> Handle:
    """All resources are ready, but the tenant name cannot be set on one of the keys."""
    harness.activities.script["reconcile_key"] = [build_aws_failure(*_NOT_THE_ROLE, Phase.RECONCILING_TENANT)]
    return await harness.start_provision(
        build_provision_request("stopped-while-naming", tenant="acme", tenant_role_arn=ROLE, on_failure="rollback")
    )


async def tenant_reconciled(harness: WorkflowHarness) -> Handle:
    """The tenant workflow puts a tenant name on both keys."""
    return await harness.start_reconcile_tenant(build_tenant_request("tenant-named"))


async def tenant_reconciliation_stopped(harness: WorkflowHarness) -> Handle:
    """The tenant workflow stops because it is not allowed to assume the tenant role."""
    harness.activities.script["reconcile_key"] = [build_aws_failure(*_NOT_THE_ROLE, Phase.RECONCILING_TENANT)]
    return await harness.start_reconcile_tenant(build_tenant_request("tenant-stopped"))


async def tenant_reconciled_in_part(harness: WorkflowHarness) -> Handle:
    """The tenant workflow puts the tenant name on only one of the two keys."""
    harness.activities.script["reconcile_key"] = [build_aws_failure(*_NOT_THE_KEY, Phase.RECONCILING_TENANT)]
    return await harness.start_reconcile_tenant(build_tenant_request("tenant-in-part"))


async def tenant_commands_handed_over(harness: WorkflowHarness) -> Handle:
    """No tenant role is given, so the workflow returns the commands that set the tenant name."""
    return await harness.start_reconcile_tenant(build_tenant_request("tenant-commands", tenant_role_arn=None))


async def stopped_and_replayed(harness: WorkflowHarness) -> Handle:
    """Provisioning stops at a late activity, and a replay resumes there.

    The recorded history is that of the run that the replay started.
    """
    _keep_waiting(harness)
    harness.activities.script["ensure_bucket"] = [build_aws_failure(*_DISABLED, Phase.CREATING_STORAGE)]
    stopped = await harness.start_provision(build_provision_request("replayed"))
    with contextlib.suppress(WorkflowFailureError):
        await stopped.result()
    harness.activities.script.clear()
    again = await EnvironmentService(harness.client, harness.task_queue).replay("replayed")
    return harness.client.get_workflow_handle(again.workflow_id, run_id=again.run_id)


async def stopped_by_a_timeout(harness: WorkflowHarness) -> Handle:
    """AWS returns a retryable error until the activity times out."""
    again = build_aws_failure(*NOT_ACCESSIBLE, Phase.CREATING_CLUSTER, retry_after=timedelta(minutes=4))
    harness.activities.script["ensure_cluster"] = [again] * 99
    return await harness.start_provision(build_provision_request("stopped-by-a-timeout"))


async def cancelled_and_rolled_back(harness: WorkflowHarness) -> Handle:
    """A user cancels the workflow while it awaits the database, and a rollback removes all resources."""
    begun = _keep_waiting(harness)
    handle = await harness.start_provision(build_provision_request("cancelled-and-rolled-back", on_failure="rollback"))
    await asyncio.to_thread(begun.wait, 10)
    await handle.cancel()
    return handle


async def deleted(harness: WorkflowHarness) -> Handle:
    """The deletion removes all resources, including a bucket that is no longer in the blueprint."""
    harness.activities.listed = [_EVERYTHING]
    return await harness.start_delete(build_delete_request("deleted"))


async def deleted_on_platform_keys(harness: WorkflowHarness) -> Handle:
    """The request does not specify the encryption; AWS reports a platform key, so there is no claim to release."""
    platform_key = f"arn:aws:kms:{REGION}:{PLATFORM.account}:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    cluster = OwnedResource(name="byok-acme", region=REGION, key_arn=platform_key)
    bucket = OwnedResource(name="byok-acme-files-1", region=REGION, key_arn="alias/aws/s3")
    harness.activities.listed = [OwnedResources(clusters=(cluster,), buckets=(bucket,))]
    return await harness.start_delete(
        build_delete_request("deleted-on-platform-keys", s3_key_arn=None, rds_key_arn=None)
    )


async def deletion_stopped(harness: WorkflowHarness) -> Handle:
    """The deletion stops, and keeps a bucket that contains objects that byok did not write."""
    buckets = tuple(one.name for one in _EVERYTHING.buckets)
    harness.activities.listed = [_EVERYTHING, build_owned_resources(buckets=buckets)]
    kept = RemovalResult(resource=buckets[0], removed=False, why_kept="it holds objects that are not ours")
    harness.activities.removals["remove_bucket"] = kept
    return await harness.start_delete(build_delete_request("deletion-stopped"))


async def deletion_refused_by_aws(harness: WorkflowHarness) -> Handle:
    """The Region in the deletion request differs from the Region that AWS reports, so nothing is removed."""
    far = OwnedResource(name="byok-acme-files-1", region="us-east-1")
    harness.activities.listed = [OwnedResources(buckets=(far,))]
    return await harness.start_delete(build_delete_request("deletion-refused"))


async def deletion_stopped_by_foreign_objects(harness: WorkflowHarness) -> Handle:
    """A bucket contains an object that provisioning did not write, and nothing is removed."""
    harness.activities.listed = [_EVERYTHING]
    harness.activities.foreign = (BucketWithForeignObjects(bucket="byok-acme-files-1", keys=("theirs",)),)
    return await harness.start_delete(build_delete_request("deletion-stopped-by-objects"))


async def claims_listed(harness: WorkflowHarness) -> Handle:
    """The claims on all keys are listed."""
    request = ListClaimsRequest()
    return await harness.client.start_workflow(
        LIST_KEY_CLAIMS_WORKFLOW, request, id=claims_workflow_id(request), task_queue=harness.task_queue
    )


async def deletion_cancelled(harness: WorkflowHarness) -> Handle:
    """A user cancels the deletion while the cluster is being deleted."""
    begun = _keep_waiting(harness, "remove_cluster")
    harness.activities.listed = [_EVERYTHING, _EVERYTHING]
    handle = await harness.start_delete(build_delete_request("deletion-cancelled"))
    await asyncio.to_thread(begun.wait, 10)
    await handle.cancel()
    return handle


async def record_closed(harness: WorkflowHarness) -> Handle:
    """The record of an environment that is provisioned and deleted."""
    await (await harness.start_provision(build_provision_request("recorded"))).result()
    await (await harness.start_delete(build_delete_request("recorded"))).result()
    return harness.client.get_workflow_handle(record_workflow_id("recorded"))


async def records_rebuilt(harness: WorkflowHarness) -> Handle:
    """The record of one environment is rebuilt."""
    cluster = ClusterResource(identifier="byok-lost", arn="arn", status="available", key_arn=RDS_KEY)
    lost = UnrecordedEnvironment(environment_id="lost", region=REGION, cluster=cluster, created_at=datetime.now(UTC))
    harness.activities.unrecorded = [UnrecordedPage(environments=(lost,))]
    return await harness.client.start_workflow(
        REBUILD_RECORDS_WORKFLOW, RebuildRequest(), id=REBUILD_RECORDS_WORKFLOW_ID, task_queue=harness.task_queue
    )


async def region_swept(harness: WorkflowHarness) -> Handle:
    """A sweep has two pages, and cannot check one environment because AWS does not respond."""
    harness.activities.swept = [
        SweepPage(checked=2, changed=1, after="bmV4dA=="),
        SweepPage(checked=0, unproved=("acme",)),
    ]
    return await harness.client.start_workflow(
        CHECK_KEY_HEALTH_WORKFLOW,
        SweepRequest(region=REGION, interval_seconds=240),
        id=health_schedule_id(REGION),
        task_queue=harness.task_queue,
    )


async def environment_verified(harness: WorkflowHarness) -> Handle:
    """An environment is verified on request."""
    return await harness.client.start_workflow(
        VERIFY_ENVIRONMENT_WORKFLOW,
        VerificationRequest(environment_id="verified"),
        id=verification_workflow_id("verified"),
        task_queue=harness.task_queue,
    )


async def notification_delivered(harness: WorkflowHarness) -> Handle:
    """An endpoint accepts a notification."""
    return await _deliver_notification(harness, "1")


async def notification_not_delivered(harness: WorkflowHarness) -> Handle:
    """An endpoint rejects every attempt to deliver a notification."""
    refused = ApplicationError("Endpoint portal answered with status 500.", next_retry_delay=timedelta(hours=50))
    harness.activities.script["deliver_notification"] = [refused] * 9
    return await _deliver_notification(harness, "2")


async def _deliver_notification(harness: WorkflowHarness, notification_id: str) -> Handle:
    notification = Notification(
        id=notification_id, type=NotificationType.PROVISIONED, environment_id="ready", at=datetime.now(UTC)
    )
    request = DeliveryRequest(endpoint="portal", notification=notification)
    return await start_delivery(harness.client, harness.task_queue, request)


async def keys_checked(harness: WorkflowHarness) -> Handle:
    """A key check verifies both keys."""
    request = CheckKeysRequest(region=REGION, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY, prove_aurora_key=True)
    return await _check_keys(harness, request)


async def keys_refused(harness: WorkflowHarness) -> Handle:
    """A key check finds that neither key can be used."""
    harness.activities.script["probe_s3_key"] = [build_aws_failure(*_DISABLED, Phase.VALIDATING_KEYS)]
    harness.activities.script["await_aurora_proof"] = [build_aws_failure(*NOT_ACCESSIBLE, Phase.VALIDATING_KEYS)]
    request = CheckKeysRequest(
        region=REGION, s3_key_arn=S3_KEY, rds_key_arn=RDS_KEY, environment_id="acme", prove_aurora_key=True
    )
    return await _check_keys(harness, request)


async def aurora_key_proved(harness: WorkflowHarness) -> Handle:
    """A check starts the workflow that proves an Aurora key, and this workflow removes its cluster at the end."""
    harness.activities.joins_proofs = True
    key = f"arn:aws:kms:{REGION}:444455556666:key/33333333-3333-4333-8333-333333333333"
    request = CheckKeysRequest(region=REGION, s3_key_arn=S3_KEY, rds_key_arn=key, prove_aurora_key=True)
    await EnvironmentService(harness.client, harness.task_queue).check_keys(request)
    return harness.client.get_workflow_handle(aurora_proof_workflow_id(REGION, key))


async def _check_keys(harness: WorkflowHarness, request: CheckKeysRequest) -> Handle:
    return await harness.client.start_workflow(
        CHECK_KEYS_WORKFLOW, request, id=key_check_workflow_id(request), task_queue=harness.task_queue
    )


OUTCOMES: Final[tuple[Outcome, ...]] = (
    ready,
    ready_on_platform_keys,
    stopped_by_the_s3_key,
    stopped_by_an_arn,
    stopped_by_the_aurora_key,
    stopped_while_creating_storage,
    rolled_back,
    cancelled,
    malformed_input,
    undecodable_input,
    ready_with_a_tenant,
    ready_with_tenant_commands_handed_over,
    stopped_while_reconciling_the_tenant,
    tenant_reconciled,
    tenant_reconciliation_stopped,
    tenant_reconciled_in_part,
    tenant_commands_handed_over,
    stopped_and_replayed,
    stopped_by_a_timeout,
    cancelled_and_rolled_back,
    deleted,
    deleted_on_platform_keys,
    deletion_stopped,
    deletion_refused_by_aws,
    deletion_stopped_by_foreign_objects,
    deletion_cancelled,
    claims_listed,
    record_closed,
    records_rebuilt,
    region_swept,
    environment_verified,
    notification_delivered,
    notification_not_delivered,
    keys_checked,
    keys_refused,
    aurora_key_proved,
)


def _keep_waiting(harness: WorkflowHarness, step: str = "ensure_writer") -> threading.Event:
    begun = threading.Event()

    def wait() -> None:
        begun.set()
        raise ApplicationError("creating", type="rds.NotReady")

    harness.activities.script[step] = [wait] * 99
    return begun
