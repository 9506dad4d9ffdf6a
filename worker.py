"""The worker process. This is the only module that connects workflows, activities and clients."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from pydantic_settings import SettingsError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from activities.accounts import AccountActivities
from activities.attempts import AttemptActivities
from activities.aurora_proofs import AuroraProofActivities
from activities.claims import ClaimActivities
from activities.clients import AwsClients, build_client_config
from activities.closed_runs import ClosedRunRecorder
from activities.database import DatabaseActivities
from activities.describe_batcher import DescribeBatcher
from activities.environment_records import RecordActivities
from activities.evidence import EvidenceActivities
from activities.external_ids import ExternalIdActivities
from activities.health import HealthActivities
from activities.heartbeat import HEARTBEAT_INTERVAL, HeartbeatInterceptor
from activities.holds import HoldInterceptor
from activities.inventory import InventoryActivities
from activities.keys import KeyActivities
from activities.notifications import NotificationActivities
from activities.organisation_sessions import TaggedRole
from activities.planning import PlanActivities
from activities.quotas import QuotaActivities
from activities.record_rebuilding import RebuildActivities
from activities.run_records import RunRecordInterceptor
from activities.storage import StorageActivities
from activities.tenant import TenantActivities
from activities.webhooks import WebhookSender
from byok.audit.journal import AuditJournal, JournalUnwritableError
from byok.audit.setup import build_shipper
from byok.blueprints import load_blueprint
from byok.contracts import TASK_QUEUE
from byok.domain.planning import Platform
from byok.log import LogContextInterceptor, configure_logging
from byok.service.connection import connect_client
from byok.service.errors import ServiceError
from byok.settings import Settings, format_settings_error
from byok.temporal import register_search_attributes
from byok.temporal_health import ensure_health_schedules
from byok.worker_fitness import WorkerIdentity, WorkerSupervisor
from workflows.registry import list_workflows

# After a worker is killed, Temporal waits this long before it gives the worker's cached workflows to another worker.
# The default is 10 s.
STICKY_SCHEDULE_TO_START_TIMEOUT = timedelta(seconds=2)
# On shutdown, activities have this long to finish. One AWS call takes less time (boto waits 5 s to connect and 20 s to
# read), so a deployment does not interrupt any calls.
GRACEFUL_SHUTDOWN_TIMEOUT = timedelta(seconds=30)


def build_config(settings: Settings) -> Config:
    """Return the configuration of the worker's AWS clients."""
    return build_client_config(
        connect_timeout=timedelta(seconds=settings.aws_connect_timeout_seconds),
        read_timeout=timedelta(seconds=settings.aws_read_timeout_seconds),
        connections=settings.activity_threads,
    )


def build_activities(settings: Settings, session: boto3.Session, platform_role_arn: str) -> list[Callable[..., Any]]:
    """Create all activities, with their clients and settings."""
    platform = Platform(
        platform_role_arn,
        settings.vendor,
        load_blueprint(settings.blueprint),
        prove_aurora_keys=settings.prove_aurora_keys,
        keys=settings.platform_keys,
        home_region=settings.home_region,
        regions=settings.regions,
        recover_clusters=settings.recover_clusters,
    )
    tagged = TaggedRole(platform.role_arn, platform.home_region) if settings.vendor.organisation_session_tag else None
    clients = AwsClients(
        session, build_config(settings), platform.account, settings.aws_calls_per_second, tagged_role=tagged
    )
    plan, keys = PlanActivities(platform), KeyActivities(clients, platform)
    poll = timedelta(seconds=settings.database_poll_seconds)
    database = DatabaseActivities(clients, platform, poll, DescribeBatcher(clients))
    proofs = AuroraProofActivities(clients, platform, poll)
    storage = StorageActivities(clients, platform)
    inventory, claims = InventoryActivities(clients, platform), ClaimActivities(clients, platform)
    evidence = EvidenceActivities(database, storage)
    tenant = TenantActivities(clients, platform)
    accounts, external_ids = AccountActivities(clients, platform), ExternalIdActivities(clients, platform)
    endpoints = settings.notifications.endpoints
    sender = WebhookSender(allow_private_addresses=settings.notifications.allow_private_addresses)
    records, rebuilding = RecordActivities(endpoints), RebuildActivities(clients, platform, evidence)
    health = HealthActivities(clients, platform, endpoints)
    return [
        plan.plan_key_check,
        plan.plan_environment,
        plan.plan_deletion,
        plan.plan_tenant,
        keys.probe_s3_key,
        keys.probe_key_claims,
        proofs.await_aurora_proof,
        proofs.ensure_proof_cluster,
        proofs.remove_proof_clusters,
        database.ensure_cluster,
        database.ensure_writer,
        database.await_writer,
        database.remove_writer,
        database.remove_cluster,
        storage.ensure_bucket,
        evidence.collect_evidence,
        storage.remove_bucket,
        tenant.probe_environment,
        storage.find_foreign_objects,
        inventory.find_resources,
        claims.release_unused_claims,
        claims.release_all_claims,
        claims.list_key_claims,
        tenant.build_tenant_commands,
        tenant.reconcile_key,
        accounts.find_unregistered_accounts,
        accounts.register_account,
        accounts.unregister_account,
        accounts.list_accounts,
        AttemptActivities().record_stop,
        records.open_record,
        records.report_run,
        records.report_tenant,
        NotificationActivities(endpoints, sender).deliver_notification,
        rebuilding.list_unrecorded_environments,
        rebuilding.rebuild_record,
        health.check_page,
        health.verify_environment,
        QuotaActivities(settings.quotas, settings.vendor).find_exceeded_quota,
        external_ids.get_external_id,
    ]


def build_worker_deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """Return this worker's version, or None if the worker is unversioned and accepts every workflow.

    A versioned worker receives new workflows only once its build is the current version. Workflows are pinned, so each
    workflow stays on the build that started it until the workflow ends. Most workflows take minutes. A workflow takes
    hours only while byok holds its environment. An old build therefore rarely has to keep running for long. Only two
    kinds of workflows move to the current build: the record of an environment, which lives as long as the environment,
    and the delivery of a notification, which may retry for days (`select_record_workflow`, `select_delivery_workflow`).

    The versioning behaviour is set here and not in the workflows, because an unversioned worker must not send a
    versioning behaviour: the server would reject its workflow tasks, and the workflows would hang.
    """
    if settings.worker_deployment is None or settings.worker_build_id is None:
        return None
    version = WorkerDeploymentVersion(settings.worker_deployment, settings.worker_build_id)
    return WorkerDeploymentConfig(
        version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


def make_worker(
    client: Client,
    settings: Settings,
    executor: ThreadPoolExecutor,
    activities: list[Callable[..., Any]],
    journal: AuditJournal,
) -> Worker:
    """Create the worker for all workflows and activities.

    The client's plugin provides the data converter and the input validation.
    """
    deployment = build_worker_deployment_config(settings)
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=list_workflows(versioned=deployment is not None),
        activities=activities,
        # The sandbox detects nondeterministic workflow code. Only the tests use the sandbox, because in production it
        # would take a third of the worker's CPU time (decision 0024).
        workflow_runner=UnsandboxedWorkflowRunner(),
        activity_executor=executor,
        max_concurrent_activities=settings.activity_threads,
        max_cached_workflows=settings.max_cached_workflows,
        interceptors=[
            HeartbeatInterceptor(),
            HoldInterceptor(timedelta(seconds=settings.hold_pause_seconds)),
            LogContextInterceptor(),
            RunRecordInterceptor(client, journal),
        ],
        deployment_config=deployment,
        # By default, the SDK sends a heartbeat only after 4/5 of the heartbeat timeout. If that one heartbeat is lost,
        # the activity times out.
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        sticky_queue_schedule_to_start_timeout=STICKY_SCHEDULE_TO_START_TIMEOUT,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN_TIMEOUT,
    )


async def run_worker(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT arrives, then finish the activities in progress.

    The worker polls its task queue only while it is fit.
    """
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    journal = AuditJournal(settings.audit.directory)
    try:
        journal.require_writable()
    except JournalUnwritableError as error:
        fix = "Set BYOK_AUDIT__DIRECTORY to a directory that the worker can write to."
        raise RuntimeError(f"{error}. {fix}") from error
    client = await connect_client()
    await register_search_attributes(client)
    if settings.health_check_seconds:
        interval = timedelta(seconds=settings.health_check_seconds)
        await ensure_health_schedules(client, TASK_QUEUE, settings.regions, interval)
    load_blueprint(settings.blueprint)  # even an unfit worker reports an invalid blueprint when it starts
    identity = WorkerIdentity(build_config(settings), settings.home_region, settings.platform_role_arn)
    with ThreadPoolExecutor(settings.activity_threads, thread_name_prefix="activity") as executor:
        asyncio.get_running_loop().set_default_executor(executor)  # for the AWS calls of async activities

        def start() -> Worker:
            if identity.session is None or identity.platform_role_arn is None:  # cannot happen: the worker is fit
                raise AssertionError("a fit worker has a session and a role")
            activities = build_activities(settings, identity.session, identity.platform_role_arn)
            made = make_worker(client, settings, executor, activities, journal)
            # Every object that exists now stays in memory until the process ends, so the garbage collector can skip it.
            gc.collect()
            gc.freeze()
            return made

        interval = timedelta(seconds=settings.worker_check_seconds)
        version = {"deployment": settings.worker_deployment, "build_id": settings.worker_build_id}
        background = [asyncio.create_task(ClosedRunRecorder(client, journal, TASK_QUEUE).run())]
        shipper = build_shipper(settings, journal)
        if shipper is not None:
            background.append(asyncio.create_task(shipper.run()))
        await WorkerSupervisor(client, TASK_QUEUE, identity.check, start, interval, version).run(stop)
        for task in background:
            task.cancel()


def main() -> int:
    """Run the worker.

    Returns:
        0 after a clean shutdown, 1 if the worker could not start. In the latter case, standard error shows the reason.
    """
    try:
        settings = Settings()
        configure_logging(settings)
        asyncio.run(run_worker(settings))
    except (ValidationError, SettingsError) as error:
        sys.stderr.write(f"error: The worker's settings are invalid: {format_settings_error(error)}\n")
        return 1
    except (ServiceError, RuntimeError, OSError, ValueError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"error: The worker cannot start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Skip the normal interpreter shutdown, during which the SDK's native threads can crash the interpreter. There is
    # nothing left to clean up.
    os._exit(code)
