"""A baseline for health checks: the usual design, in which each environment has a workflow with a timer.

Each workflow sleeps for the interval, and then runs an activity that reads the environment's health object and
describes the environment's cluster. The workflow does less than a sweep: it does not explain errors, compare settings
or report anything. Like byok's worker, the worker for this workflow creates its boto3 clients only once, and runs
without the workflow sandbox.

`python -m bench.timers` runs the worker.
"""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.envconfig import ClientConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

with workflow.unsafe.imports_passed_through():
    import boto3
    from botocore.config import Config

    from byok.domain.models import EnvironmentPlan

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client

TASK_QUEUE = "byok"  # byok's task queue, where `bench.machine` expects the worker

_THREADS: Final = 50
"""The number of activity threads, as in byok's default settings."""


class TimerRequest(BaseModel):
    """The input of the workflow: what to check, and how often."""

    environment_id: str
    cluster: str
    bucket: str
    key: str
    interval_seconds: float

    @classmethod
    def from_plan(cls, plan: EnvironmentPlan, interval_seconds: float) -> "TimerRequest":
        """Build the input for an environment."""
        name = plan.environment.environment_id
        return cls(
            environment_id=name,
            cluster=plan.cluster.identifier,
            bucket=plan.environment.probe_bucket,
            key=f"probes/{name}/health",
            interval_seconds=interval_seconds,
        )


@dataclass(frozen=True)
class TimerActivities:
    """The activity and its boto3 clients."""

    s3: "S3Client"
    rds: "RDSClient"

    @activity.defn
    def check(self, request: TimerRequest) -> str:
        """Read the health object, and return the cluster's status."""
        self.s3.get_object(Bucket=request.bucket, Key=request.key)["Body"].read()
        return self.rds.describe_db_clusters(DBClusterIdentifier=request.cluster)["DBClusters"][0]["Status"]


@workflow.defn
class CheckByTimer:
    """Checks one environment for as long as the environment exists."""

    @workflow.run
    async def run(self, request: TimerRequest) -> None:
        """Check the environment at every interval, and continue as new when the history is long."""
        while not workflow.info().is_continue_as_new_suggested():
            await workflow.sleep(timedelta(seconds=request.interval_seconds))
            await workflow.execute_activity_method(
                TimerActivities.check, request, start_to_close_timeout=timedelta(minutes=1)
            )
        workflow.continue_as_new(request)


async def run_worker() -> None:
    """Run the worker until the process ends."""
    options = ClientConfig.load_client_connect_config()
    client = await Client.connect(**options, data_converter=pydantic_data_converter)
    config = Config(max_pool_connections=_THREADS)
    activities = TimerActivities(boto3.client("s3", config=config), boto3.client("rds", config=config))
    with ThreadPoolExecutor(_THREADS) as threads:
        await Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[CheckByTimer],
            activities=[activities.check],
            activity_executor=threads,
            max_concurrent_activities=_THREADS,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ).run()


if __name__ == "__main__":
    asyncio.run(run_worker())
    sys.stdout.flush()
    os._exit(0)  # skip the interpreter's shutdown, which the SDK's native threads can abort
