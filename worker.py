"""The worker process: the one place where workflows, activities and clients are joined."""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import ValidationError
from pydantic_settings import SettingsError
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.worker import UnsandboxedWorkflowRunner, Worker, WorkerDeploymentConfig

from activities.clients import AwsClients
from activities.database import DatabaseActivities
from activities.describe_batcher import DescribeBatcher
from activities.evidence import EvidenceActivities
from activities.heartbeat import HEARTBEAT_INTERVAL, HeartbeatInterceptor
from activities.keys import KeyActivities
from activities.planning import PlanActivities
from activities.storage import StorageActivities
from activities.tenant import TenantActivities
from byok.blueprints import load_blueprint
from byok.contracts import TASK_QUEUE
from byok.domain.arns import role_arn_of_session
from byok.domain.planning import Platform
from byok.log import LogContextInterceptor, configure_logging
from byok.settings import Settings, format_settings_error
from byok.temporal import connect, register_search_attributes
from workflows.check_keys import CheckKeys
from workflows.delete_environment import DeleteEnvironment
from workflows.provision_environment import ProvisionEnvironment
from workflows.reconcile_tenant import ReconcileTenant

# A killed worker's cached workflows wait this long for it before another worker takes them; the default is 10 s.
STICKY_SCHEDULE_TO_START_TIMEOUT = timedelta(seconds=2)
# Longer than one AWS call may take (boto's 5 s to connect and 20 s to read): a deployment cuts no call in half.
GRACEFUL_SHUTDOWN_TIMEOUT = timedelta(seconds=30)


def resolve_platform_role_arn(settings: Settings, clients: AwsClients) -> str:
    """The role that the customers' key policies name: as set, or else the one this worker's credentials belong to.

    Raises:
        RuntimeError: Nothing is set, and the credentials do not belong to a role.
    """
    if settings.platform_role_arn:
        return settings.platform_role_arn
    caller = clients.sts().get_caller_identity()["Arn"]
    role = role_arn_of_session(caller)
    if role is None:
        raise RuntimeError(
            f"BYOK_PLATFORM_ROLE_ARN is not set, and {caller} is no session of a role. "
            "Set it to the role that the customers' key policies name."
        )
    return role


def build_activities(settings: Settings) -> list[Callable[..., Any]]:
    """Every activity, with its clients and settings."""
    clients = AwsClients.from_settings(
        connect_timeout=timedelta(seconds=settings.aws_connect_timeout_seconds),
        read_timeout=timedelta(seconds=settings.aws_read_timeout_seconds),
        connections=settings.activity_threads,
    )
    platform = Platform(
        resolve_platform_role_arn(settings, clients), settings.vendor, load_blueprint(settings.blueprint)
    )
    plan, keys = PlanActivities(platform), KeyActivities(clients, platform)
    poll = timedelta(seconds=settings.database_poll_seconds)
    database = DatabaseActivities(clients, platform, poll, DescribeBatcher(clients))
    storage = StorageActivities(clients, platform)
    evidence = EvidenceActivities(database, storage)
    tenant = TenantActivities(clients, platform)
    return [
        plan.plan_key_check,
        plan.plan_environment,
        plan.plan_deletion,
        plan.plan_tenant,
        keys.probe_s3_key,
        database.ensure_cluster,
        database.ensure_writer,
        database.await_writer,
        database.remove_writer,
        database.remove_cluster,
        database.list_databases,
        storage.ensure_bucket,
        evidence.collect_evidence,
        storage.remove_bucket,
        tenant.probe_environment,
        storage.list_buckets,
        tenant.reconcile_key,
    ]


def build_worker_deployment_config(settings: Settings) -> WorkerDeploymentConfig | None:
    """Which version this worker is; None where it is not versioned, and takes whatever comes.

    A versioned worker takes new workflows only once its build is the current one, and those that began on it until they
    end. They are pinned because they take minutes, an hour at the most: no build has to be kept for longer than that.

    It is said here and not on the workflows: the server refuses a workflow with a behaviour from a worker without a
    version, so that it would hang there.
    """
    if settings.worker_deployment is None or settings.worker_build_id is None:
        return None
    version = WorkerDeploymentVersion(settings.worker_deployment, settings.worker_build_id)
    return WorkerDeploymentConfig(
        version, use_worker_versioning=True, default_versioning_behavior=VersioningBehavior.PINNED
    )


def make_worker(client: Client, settings: Settings, executor: ThreadPoolExecutor) -> Worker:
    """A worker for everything this product does; it takes converter and guard from its client's plugin."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[ProvisionEnvironment, DeleteEnvironment, CheckKeys, ReconcileTenant],
        activities=build_activities(settings),
        # The sandbox finds workflow code that is not deterministic. It is on in the tests, where that is found; here it
        # would be a third of the work (decision 0024).
        workflow_runner=UnsandboxedWorkflowRunner(),
        activity_executor=executor,
        max_concurrent_activities=settings.activity_threads,
        max_cached_workflows=settings.max_cached_workflows,
        interceptors=[HeartbeatInterceptor(), LogContextInterceptor()],
        deployment_config=build_worker_deployment_config(settings),
        # Without it the SDK sends a beat only when four fifths of the timeout are over: too late, where one gets lost.
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        sticky_queue_schedule_to_start_timeout=STICKY_SCHEDULE_TO_START_TIMEOUT,
        graceful_shutdown_timeout=GRACEFUL_SHUTDOWN_TIMEOUT,
    )


async def run_worker(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then finish what was begun."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    client = await connect()
    await register_search_attributes(client)
    with ThreadPoolExecutor(settings.activity_threads, thread_name_prefix="activity") as executor:
        asyncio.get_running_loop().set_default_executor(executor)  # for the calls of activities that are coroutines
        async with make_worker(client, settings, executor):
            # What is loaded by now stays for good: the collector need not look at it again and again.
            gc.collect()
            gc.freeze()
            structlog.get_logger().info(
                "worker_started",
                task_queue=TASK_QUEUE,
                namespace=client.namespace,
                deployment=settings.worker_deployment,
                build_id=settings.worker_build_id,
            )
            await stop.wait()
            structlog.get_logger().info("worker_stopping")


def main() -> int:
    """Run the worker.

    Returns:
        0 after a clean stop, 1 where it could not start: the reason is on standard error.
    """
    try:
        settings = Settings()
        configure_logging(settings)
        asyncio.run(run_worker(settings))
    except (ValidationError, SettingsError) as error:
        sys.stderr.write(f"The worker's settings are wrong: {format_settings_error(error)}\n")
        return 1
    except (RuntimeError, OSError, ValueError, BotoCoreError, ClientError) as error:
        sys.stderr.write(f"The worker cannot start: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # The SDK's native threads can abort a Python interpreter that is shutting down; there is nothing left to tidy up.
    os._exit(code)
