"""Run activities in Temporal's test environment against the local AWS emulator, and retry them as Temporal does."""

import asyncio
import contextlib
import contextvars
import dataclasses
import inspect
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.accounts import AccountActivities
from activities.aurora_proofs import AuroraProofActivities
from activities.claims import ClaimActivities
from activities.clients import AwsClients
from activities.database import DatabaseActivities
from activities.describe_batcher import DescribeBatcher
from activities.evidence import EvidenceActivities
from activities.inventory import InventoryActivities
from activities.keys import KeyActivities
from activities.planning import PlanActivities
from activities.storage import StorageActivities
from byok.blueprints import load_blueprint
from byok.domain.models import (
    BucketRemovalTask,
    BucketTask,
    DatabaseRemovalTask,
    DatabaseTask,
    EnvironmentPlan,
    InventoryTask,
    Problem,
    ProvisionRequest,
)
from byok.domain.planning import Platform, plan_environment
from localaws.accounts import PLATFORM_CREDENTIALS, PLATFORM_ROLE_ARN
from tests.localaws.server import REGION, VENDOR, AwsHarness

OTHER_REGION = "us-east-1"
PLATFORM = Platform(PLATFORM_ROLE_ARN, VENDOR, load_blueprint(None), regions=(REGION, OTHER_REGION))
_MOST_ATTEMPTS = 2000


class ActivityHarness:
    """Runs the activities of one environment, whose two keys are in the local AWS emulator.

    Attributes:
        run_id: The id of the workflow run that executes the activities. In a replay, this id differs from the id of the
            run that created the plan.

    Args:
        aws: The local AWS emulator to call.
        clients: The AWS clients to use; by default, the clients that all tests of a process share.
        platform: The vendor's configuration.
    """

    def __init__(
        self, aws: AwsHarness, clients: AwsClients | None = None, platform: Platform = PLATFORM, region: str = REGION
    ) -> None:
        self.aws, self.platform = aws, platform
        self.clients = clients or _shared_clients(aws.endpoint)
        self.plans = PlanActivities(platform)
        self.keys = KeyActivities(self.clients, platform)
        self.describer = DescribeBatcher(self.clients, contextlib.nullcontext)
        poll = timedelta(milliseconds=10)
        self.database = DatabaseActivities(self.clients, platform, poll, self.describer)
        self.proofs = AuroraProofActivities(self.clients, platform, poll)
        self.storage = StorageActivities(self.clients, platform)
        self.inventory = InventoryActivities(self.clients, platform)
        self.claims = ClaimActivities(self.clients, platform)
        self.accounts = AccountActivities(self.clients, platform)
        self.evidence = EvidenceActivities(self.database, self.storage)
        self.run_id = "this-run"
        self.plan = self.build_plan(region=region)

    def build_plan(self, run_id: str = "this-run", **request: Any) -> EnvironmentPlan:
        """Plan an environment with two valid keys; `request` overrides fields of the default request."""
        values = {"environment_id": f"env-{uuid.uuid4().hex[:8]}", "region": REGION, "key_grace_seconds": 0} | request
        keys = {"s3_key_arn": self.aws.create_s3_key, "rds_key_arn": self.aws.create_rds_key}
        values |= {name: make(str(values["region"])) for name, make in keys.items() if name not in request}
        return plan_environment(ProvisionRequest.model_validate(values), self.platform, self.now, run_id)

    @property
    def now(self) -> datetime:
        """Return the timestamp that activities record in findings."""
        return datetime.now(UTC)

    @property
    def database_task(self) -> DatabaseTask:
        """Return the input of the activities that create the database."""
        return DatabaseTask(environment=self.plan.environment, cluster=self.plan.cluster)

    def bucket_task(self, index: int = 0) -> BucketTask:
        """Return the input of the activity that creates one bucket."""
        return BucketTask(environment=self.plan.environment, bucket=self.plan.buckets[index])

    def database_removal(self, final_snapshot: str | None = None) -> DatabaseRemovalTask:
        """Return the input of the activities that remove the database."""
        return DatabaseRemovalTask(
            environment=self.plan.environment, cluster=self.plan.cluster, final_snapshot=final_snapshot
        )

    def inventory_task(self, final_snapshot: str | None = None) -> InventoryTask:
        """Return the input of the activity that lists the environment's resources."""
        return InventoryTask(environment=self.plan.environment, final_snapshot=final_snapshot)

    def bucket_removal(self, index: int = 0) -> BucketRemovalTask:
        """Return the input of the activity that removes one bucket."""
        return BucketRemovalTask(environment=self.plan.environment, bucket=self.plan.buckets[index])

    def inject_every_fault_kind(self, call: str) -> None:
        """Make the next calls to an operation fail, with one kind of fault after another.

        The last fault is a lost response: AWS executes the call, but the response never arrives.

        Args:
            call: The service and operation, for example `s3:PutObject`.
        """
        service, _, operation = call.partition(":")
        for kind, times in (("throttle", 2), ("error500", 2), ("timeout", 2), ("lose_answer", 1)):
            self.aws.call_control("POST", "faults", service=service, operation=operation, kind=kind, times=times)

    def run_once(self, activity: Callable[..., Any], argument: Any) -> Any:
        """Run only the first attempt of an activity."""
        environment = ActivityEnvironment()
        environment.info = dataclasses.replace(environment.info, workflow_run_id=self.run_id)
        return _attempt(environment, activity, argument)

    def run_with_retries(self, activity: Callable[..., Any], argument: Any) -> Any:
        """Run an activity, and retry it as Temporal does.

        Every attempt gets the details of the last heartbeat. Retries end when the activity succeeds or raises a
        non-retryable error.
        """
        details: list[Any] = []
        for attempt in range(1, _MOST_ATTEMPTS):
            environment = ActivityEnvironment()
            environment.info = dataclasses.replace(
                environment.info, attempt=attempt, heartbeat_details=details, workflow_run_id=self.run_id
            )
            environment.on_heartbeat = lambda *beat: details.__setitem__(slice(None), beat)
            try:
                return _attempt(environment, activity, argument)
            except ApplicationError as error:
                if error.non_retryable:
                    raise
        raise AssertionError(f"{activity} was still being retried after {_MOST_ATTEMPTS} attempts")

    def wait_until_cluster_available(self) -> None:
        """Wait until RDS reports that the cluster is available."""
        waiter = self.aws.operator_client("rds").get_waiter("db_cluster_available")
        waiter.wait(DBClusterIdentifier=self.plan.cluster.identifier, WaiterConfig={"Delay": 0, "MaxAttempts": 1000})

    def provision_environment(self) -> None:
        """Run the activities that create an environment, in the same order as the workflow."""
        if self.plan.environment.customer_keys:
            self.run_with_retries(self.keys.probe_s3_key, self.plan.environment)
        self.run_with_retries(self.database.ensure_cluster, self.database_task)
        for index in range(len(self.plan.buckets)):
            self.run_with_retries(self.storage.ensure_bucket, self.bucket_task(index))
        self.run_with_retries(self.database.ensure_writer, self.database_task)
        self.run_with_retries(self.database.await_writer, self.database_task)


def _attempt(environment: ActivityEnvironment, activity: Callable[..., Any], argument: Any) -> Any:
    """Run one attempt of an activity in a separate context, as a worker does."""
    found = contextvars.copy_context().run(environment.run, activity, argument)
    return asyncio.run(found) if inspect.iscoroutine(found) else found


@cache
def _shared_clients(endpoint: str) -> AwsClients:
    """Build the clients only once, because building them takes longer than most tests."""
    return make_clients()


def make_clients() -> AwsClients:
    """Build the platform's clients for the endpoint in AWS_ENDPOINT_URL."""
    session = boto3.Session(*PLATFORM_CREDENTIALS, region_name=REGION)
    config = Config(read_timeout=2, connect_timeout=2, retries={"total_max_attempts": 1})
    return AwsClients(session, config, PLATFORM.account)


def parse_stop_problem(error: ApplicationError) -> Problem:
    """Extract the problem from a failure that stops a workflow."""
    assert error.non_retryable
    return Problem.model_validate(error.details[0])


def list_real_activities(harness: ActivityHarness) -> list[Any]:
    """Return the harness's activities, so that a test can register them with a worker."""
    owners: list[Any] = [harness.plans, harness.keys, harness.proofs, harness.database, harness.storage]
    owners += [harness.evidence, harness.inventory, harness.claims]
    return [
        getattr(owner, name)
        for owner in owners
        for name in dir(type(owner))
        if hasattr(getattr(type(owner), name), "__temporal_activity_definition")
    ]


@pytest.fixture
def harness(aws: AwsHarness, monkeypatch: pytest.MonkeyPatch) -> ActivityHarness:
    """An environment with two valid keys."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    return ActivityHarness(aws)
