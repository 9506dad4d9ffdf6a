"""A plain Temporal application that does the same work as byok: a second baseline, written like the SDK's tutorial.

Six blocking activities make the same AWS calls as byok, in the thread pool of a worker with default settings. A loop
with a timer waits for the database. Unlike byok, the application does not adopt existing resources, explain errors, or
resume stopped operations.

`python -m bench.plain` runs the worker. `python -m bench.plain --environments N --concurrency C` creates environments
and prints a `RunResult` as JSON.
"""

import argparse
import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import boto3

    from bench.floor import FloorProvisioner
    from bench.request_generator import PLATFORM_ROLE_ARN, RequestGenerator
    from bench.runs import RunTimer
    from byok.blueprints import load_blueprint
    from byok.domain.models import DatabaseTask, EnvironmentPlan
    from byok.domain.planning import Platform, plan_environment
    from byok.domain.vendor import VendorProfile
    from byok.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client

TASK_QUEUE = "byok"  # byok's task queue, where `bench.machine` expects the worker


@dataclass(frozen=True)
class PlainActivities:
    """The six activities.

    Attributes:
        s3: Returns an S3 client: either a new client for each activity, as in the tutorial, or always the same client.
        rds: Returns an RDS client: either a new client for each activity, or always the same client.
    """

    s3: "Callable[[], S3Client]"
    rds: "Callable[[], RDSClient]"

    @property
    def _steps(self) -> FloorProvisioner:
        return FloorProvisioner(self.s3(), self.rds(), poll_seconds=0)

    @activity.defn
    def validate_keys(self, plan: EnvironmentPlan) -> None:
        self._steps.probe_and_claim_keys(plan)

    @activity.defn
    def create_cluster(self, plan: EnvironmentPlan) -> None:
        self._steps.create_cluster(_database(plan))

    @activity.defn
    def create_buckets(self, plan: EnvironmentPlan) -> None:
        self._steps.create_buckets(plan)

    @activity.defn
    def create_writer(self, plan: EnvironmentPlan) -> None:
        self._steps.create_writer(_database(plan))

    @activity.defn
    def database_status(self, names: list[str]) -> str:
        """Return the cluster's status, or the instance's status if `names` also contains an instance's name."""
        cluster, *instance = names
        if instance:
            return self.rds().describe_db_instances(DBInstanceIdentifier=instance[0])["DBInstances"][0][
                "DBInstanceStatus"
            ]
        return self.rds().describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]["Status"]

    @activity.defn
    def verify(self, plan: EnvironmentPlan) -> None:
        self._steps.read_back(plan)


@workflow.defn
class PlainEnvironment:
    """Runs the activities one after another."""

    @workflow.run
    async def run(self, plan: EnvironmentPlan) -> str:
        """Create an environment."""
        limit = timedelta(minutes=2)
        await workflow.execute_activity_method(PlainActivities.validate_keys, plan, start_to_close_timeout=limit)
        await workflow.execute_activity_method(PlainActivities.create_cluster, plan, start_to_close_timeout=limit)
        await workflow.execute_activity_method(PlainActivities.create_buckets, plan, start_to_close_timeout=limit)
        await self._available([plan.cluster.identifier])
        await workflow.execute_activity_method(PlainActivities.create_writer, plan, start_to_close_timeout=limit)
        await self._available([plan.cluster.identifier, plan.cluster.writer_identifier])
        await workflow.execute_activity_method(PlainActivities.verify, plan, start_to_close_timeout=limit)
        return plan.environment.environment_id

    async def _available(self, names: list[str]) -> None:
        while True:
            status = await workflow.execute_activity_method(
                PlainActivities.database_status, names, start_to_close_timeout=timedelta(minutes=1)
            )
            if status == "available":
                return
            await workflow.sleep(timedelta(seconds=15))


def _database(plan: EnvironmentPlan) -> DatabaseTask:
    return DatabaseTask(environment=plan.environment, cluster=plan.cluster)


async def _connect() -> Client:
    config = ClientConfig.load_client_connect_config()
    return await Client.connect(**config, data_converter=pydantic_data_converter)


async def run_worker(*, clients_once: bool) -> None:
    """Run the worker until the process ends."""
    client = await _connect()
    making = threading.Lock()  # creating clients from the default session is not thread-safe

    def new(service: str) -> Any:
        with making:
            return boto3.client(service)  # type: ignore[call-overload]

    s3, rds = new("s3"), new("rds")
    given = (lambda: s3, lambda: rds) if clients_once else (lambda: new("s3"), lambda: new("rds"))
    activities = PlainActivities(*given)
    with ThreadPoolExecutor(50) as threads:
        await Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[PlainEnvironment],
            activities=[
                activities.validate_keys,
                activities.create_cluster,
                activities.create_buckets,
                activities.create_writer,
                activities.database_status,
                activities.verify,
            ],
            activity_executor=threads,
        ).run()


async def provision_environments(asking: RequestGenerator, environments: int, concurrency: int) -> None:
    """Create one environment as a warm-up, then the requested number of environments."""
    client, turn = await _connect(), asyncio.Semaphore(concurrency)
    platform = Platform(PLATFORM_ROLE_ARN, VendorProfile(), load_blueprint(Settings().blueprint))

    async def run_one() -> float:
        async with turn:
            plan = plan_environment(asking.next_request("plain"), platform, datetime.now(UTC), "")
            began = time.perf_counter()
            await client.execute_workflow(
                PlainEnvironment.run, plan, id=plan.environment.environment_id, task_queue=TASK_QUEUE
            )
            return time.perf_counter() - began

    await run_one()
    clock = RunTimer()
    print(clock.finish(await asyncio.gather(*(run_one() for _ in range(environments)))).model_dump_json())


def main() -> None:
    """Run the worker, or create environments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients-once", action="store_true", help="create the worker's boto3 clients only once")
    asking, chosen = RequestGenerator.from_arguments(parser)
    if chosen.environments is None:
        asyncio.run(run_worker(clients_once=chosen.clients_once))
    else:
        asyncio.run(provision_environments(asking, chosen.environments, chosen.concurrency))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # skip the interpreter's shutdown, which the SDK's native threads can abort
