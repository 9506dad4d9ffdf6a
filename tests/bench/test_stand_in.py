"""The AWS stand-in responds to the worker's calls like the local AWS emulator, and rejects all other calls."""

import asyncio
import io
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

import activities.s3_probe
from activities import rds_resources
from activities.health_check import HealthCheck
from bench.request_generator import PLATFORM_ROLE_ARN
from bench.seeding import list_differences
from bench.stand_in.app import StandIn, run_server
from byok.domain.arns import is_session_of_role
from byok.domain.models import EnvironmentPlan, HealthReport, HealthState, HealthTarget
from tests.activities.conftest import PLATFORM, ActivityHarness, make_clients
from tests.localaws.server import REGION, AwsHarness

SECONDS = 0.05
FINAL = "byok-final"
# Values that differ between two responses to the same call: host names, resource ids, version ids.
RANDOM = (
    (re.compile(r"[0-9a-f]{12}(?=\.eu-central-1\.rds)"), "host"),
    (re.compile(r"^(cluster|db)-[A-Z0-9]{26}$"), "resource id"),
    (re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$"), "version id"),
)
_NEITHER = {"RequestId", "HostId", "ResponseMetadata"}


class StandInAws(AwsHarness):
    """A harness for the stand-in, whose control endpoint has a different path than the local AWS emulator's."""

    def call_control(self, method: str, name: str, **body: Any) -> dict[str, Any]:
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(f"{self.endpoint}/_stand_in/{name}", data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            content: dict[str, Any] = json.loads(answer.read())
            return content

    def count_calls(self) -> dict[str, int]:
        counts: dict[str, int] = self.call_control("GET", "calls")["calls"]
        return counts


@pytest.fixture
def stand_in() -> Iterator[StandInAws]:
    ports: queue.SimpleQueue[int] = queue.SimpleQueue()
    loop, ended = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with run_server(StandIn(SECONDS, page=2), 0) as port:
            ports.put(port)
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    yield StandInAws(f"http://127.0.0.1:{ports.get(timeout=10)}")
    loop.call_soon_threadsafe(ended.set)
    thread.join(10)
    loop.close()


def normalize_response(value: Any) -> Any:
    """Return a response without the values that differ between two responses to the same call."""
    if isinstance(value, dict):
        metadata = value.get("ResponseMetadata", {})
        status = {"HTTPStatusCode": metadata["HTTPStatusCode"]} if metadata else {}
        return status | {name: normalize_response(item) for name, item in value.items() if name not in _NEITHER}
    if isinstance(value, list):
        return [normalize_response(item) for item in value]
    if isinstance(value, datetime):
        return "a time"
    if isinstance(value, str):
        for pattern, name in RANDOM:
            value = pattern.sub(name, value)
    return value


class RecordingHarness(ActivityHarness):
    """Runs an environment's activities, and records every parsed response."""

    def __init__(self, aws: AwsHarness) -> None:
        super().__init__(aws, make_clients())
        self.answers: list[tuple[str, Any]] = []
        databases = [self.clients.rds(region) for region in PLATFORM.regions]
        for client in (self.clients.s3(REGION), self.clients.sts(REGION), *databases):
            client.meta.events.register("after-call", self._record)

    def _record(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        body = parsed.get("Body")
        if body is not None:
            content = body.read()
            parsed["Body"] = StreamingBody(io.BytesIO(content), len(content))
        answer = normalize_response(parsed) | ({"Body": content} if body is not None else {})
        self.answers.append((model.name, answer))

    def run_whole_life(self) -> None:
        """Create an environment, read it, create it again, and remove it twice. The first removal takes a snapshot."""
        self.clients.sts(REGION).get_caller_identity()
        self.provision_environment()
        self.run_with_retries(
            self.database.read_and_verify_database, self.database_task
        )  # read one resource at a time, because the evidence activity would read all resources concurrently
        for bucket in self.plan.buckets:
            self.storage.read_and_verify_bucket(self.plan.environment, bucket)
        buckets, removal = range(len(self.plan.buckets)), self.database_removal(FINAL)
        for index in buckets:
            self.run_with_retries(self.storage.ensure_bucket, self.bucket_task(index))
        self.run_with_retries(self.database.ensure_cluster, self.database_task)
        self.run_with_retries(self.database.ensure_writer, self.database_task)
        for thoroughly in (False, True, False):  # the first check also writes the object that later checks read
            assert self.check_health(self.plan, thoroughly=thoroughly).problems == ()
        for _ in range(2):
            self.run_with_retries(self.inventory.find_resources, self.inventory_task(FINAL))
            self.run_with_retries(self.database.remove_writer, removal)
            self.run_with_retries(self.database.remove_cluster, removal)
            for index in buckets:
                self.run_with_retries(self.storage.remove_bucket, self.bucket_removal(index))
            self.run_with_retries(self.claims.release_unused_claims, self.plan.environment)

    def check_health(self, plan: EnvironmentPlan, *, thoroughly: bool) -> HealthReport:
        """Check an environment as a sweep does: with one call, read the clusters of several environments."""
        environment = plan.environment
        names = [plan.cluster.identifier, "none"]
        cluster = rds_resources.find_clusters(self.clients.rds(REGION), names)[plan.cluster.identifier]
        target = HealthTarget(
            environment_id=environment.environment_id,
            region=environment.region,
            encryption=environment.encryption,
            s3_key_arn=environment.s3_key_arn,
            rds_key_arn=environment.rds_key_arn,
        )
        check = HealthCheck(self.clients, self.platform, target, cluster, self.now)
        report: HealthReport = self.run_with_retries(lambda _: check.run(thoroughly=thoroughly), None)
        return report

    def responses_without_polls(self) -> list[tuple[str, Any]]:
        """Return all recorded responses except responses to polls, because the number of polls depends on timing."""
        found: list[tuple[str, Any]] = []
        for operation, answer in self.answers:
            polled = operation.startswith("Describe") and re.search("'(creating|deleting)'", str(answer))
            if not polled and (not found or found[-1] != (operation, answer)):
                found.append((operation, answer))
        return found


def test_stand_in_answers_every_activity_call_as_local_aws_does(
    aws: AwsHarness, stand_in: StandInAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activities.s3_probe, "uuid", SimpleNamespace(uuid4=lambda: uuid.UUID(int=7)))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws.endpoint)
    local = RecordingHarness(aws)
    monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.endpoint)
    lean = RecordingHarness(aws)
    lean.plan = local.plan

    local.run_whole_life()
    lean.run_whole_life()

    for ours, theirs in zip(lean.responses_without_polls(), local.responses_without_polls(), strict=True):
        assert ours == theirs
    assert stand_in.call_control("GET", "calls")["not_modelled"] == {}
    assert sum(stand_in.count_calls().values()) == len(lean.answers)


def test_cluster_is_created_after_the_configured_time(stand_in: StandInAws) -> None:
    rds = stand_in.platform_client("rds")
    made = create_cluster(rds, "one")

    while (found := rds.describe_db_clusters(DBClusterIdentifier="one")["DBClusters"][0])["Status"] == "creating":
        pass

    assert made["Status"] == "creating"
    assert found["Status"] == "available"
    assert (found["LatestRestorableTime"] - made["ClusterCreateTime"]).total_seconds() >= SECONDS


def test_clusters_and_instances_are_paged_and_filtered(stand_in: StandInAws) -> None:
    rds, names = stand_in.platform_client("rds"), [f"one-{index}" for index in range(5)]
    for name in names:
        create_cluster(rds, name)
        rds.create_db_instance(
            DBInstanceIdentifier=f"{name}-writer",
            DBClusterIdentifier=name,
            Engine="aurora-postgresql",
            DBInstanceClass="db.serverless",
        )
    some = [{"Name": "db-cluster-id", "Values": ["one-3", "one-1", "none"]}]
    two = [{"Name": "db-instance-id", "Values": ["one-3-writer", "one-1-writer", "none"]}]

    pages = [page["DBClusters"] for page in rds.get_paginator("describe_db_clusters").paginate()]
    wide = rds.describe_db_clusters(MaxRecords=100)["DBClusters"]
    filtered = rds.describe_db_clusters(Filters=some)["DBClusters"]
    instances = [page["DBInstances"] for page in rds.get_paginator("describe_db_instances").paginate()]
    writers = rds.describe_db_instances(Filters=two)["DBInstances"]

    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one["DBClusterIdentifier"] for page in pages for one in page] == names
    assert [one["DBClusterIdentifier"] for one in wide] == names
    assert [one["DBClusterIdentifier"] for one in filtered] == ["one-1", "one-3"]
    assert [one["DBClusterIdentifier"] for page in instances for one in page] == names
    assert [one["DBInstanceIdentifier"] for one in writers] == ["one-1-writer", "one-3-writer"]


def test_copies_of_an_environment_are_as_healthy_as_the_original(
    aws: AwsHarness, stand_in: StandInAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.endpoint)
    harness = RecordingHarness(aws)
    harness.provision_environment()
    harness.check_health(harness.plan, thoroughly=False)
    copies = [harness.build_plan() for _ in range(3)]

    stand_in.call_control("POST", "copies", copies=[list_differences(harness.plan, copy) for copy in copies])

    for copy in copies:
        for thoroughly in (False, True):
            report = harness.check_health(copy, thoroughly=thoroughly)
            assert (report.state, report.problems) == (HealthState.HEALTHY, ())
    buckets = stand_in.platform_client("s3").list_buckets()["Buckets"]
    assert len(buckets) == 1 + 4 * len(harness.plan.buckets)
    assert stand_in.call_control("GET", "calls")["not_modelled"] == {}


def test_s3_refuses_a_disabled_key(aws: AwsHarness, stand_in: StandInAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", stand_in.endpoint)
    harness = RecordingHarness(aws)
    harness.provision_environment()
    states = []

    for thoroughly in (False, True):
        stand_in.call_control("POST", "disable", key=harness.plan.environment.s3_key_arn)
        states.append(harness.check_health(harness.plan, thoroughly=thoroughly).state)
        stand_in.call_control("DELETE", "disable")
        states.append(harness.check_health(harness.plan, thoroughly=thoroughly).state)

    assert states == [HealthState.KEY_LOST, HealthState.HEALTHY] * 2


def test_unused_operations_are_refused_as_not_modelled(stand_in: StandInAws) -> None:
    refused: list[Callable[[], object]] = [
        lambda: stand_in.platform_client("rds").describe_db_engine_versions(),
        lambda: stand_in.platform_client("rds").describe_db_clusters(IncludeShared=True),
        lambda: stand_in.platform_client("s3").list_objects_v2(Bucket="any"),
        lambda: stand_in.platform_client("s3").copy_object(Bucket="any", Key="one", CopySource="any/other"),
        lambda: stand_in.platform_client("kms").list_keys(),
    ]

    for call in refused:
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501

    assert len(stand_in.call_control("GET", "calls")["not_modelled"]) == len(refused)


def test_configured_refusals_last_until_they_are_removed(stand_in: StandInAws) -> None:
    s3, disabled = stand_in.platform_client("s3"), {"code": "KMS.DisabledException", "message": "It is disabled."}
    s3.create_bucket(Bucket="any-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    stand_in.call_control("POST", "refuse", operation="PutObject", status=400, **disabled)
    stand_in.call_control(
        "POST", "refuse", operation="DescribeDBClusters", status=503, code="Throttling", message="Slower."
    )

    with pytest.raises(ClientError, match="It is disabled") as put:
        s3.put_object(Bucket="any-bucket", Key="one", Body=b"1")
    with pytest.raises(ClientError, match="Slower"):
        stand_in.platform_client("rds").describe_db_clusters()
    log = stand_in.call_control("GET", "calls")
    stand_in.call_control("DELETE", "refuse")
    s3.put_object(Bucket="any-bucket", Key="one", Body=b"1")

    assert put.value.response["Error"]["Code"] == "KMS.DisabledException"
    assert [one["operation"] for one in log["refused"]] == ["PutObject", "DescribeDBClusters"]
    assert log["since"] <= log["refused"][0]["at"] <= log["refused"][1]["at"]


def test_workers_of_benchmarks_have_the_role_that_the_stand_in_reports(stand_in: StandInAws) -> None:
    caller = stand_in.platform_client("sts").get_caller_identity()["Arn"]
    assert is_session_of_role(caller, PLATFORM_ROLE_ARN)  # with any other role, a worker does not start polling


def test_calls_are_counted_until_they_are_reset(stand_in: StandInAws) -> None:
    stand_in.platform_client("sts").get_caller_identity()
    stand_in.platform_client("s3").list_buckets()
    stand_in.platform_client("s3").list_buckets()

    log = stand_in.call_control("GET", "calls")
    stand_in.call_control("DELETE", "calls")

    expected = {"sts:GetCallerIdentity": 1, "s3:ListBuckets": 2}
    assert log["calls"] == expected
    per_second = {name: sum(one.get(name, 0) for one in log["per_second"]) for name in expected}
    assert per_second == expected
    assert all(log["since"] - 1 <= one["second"] for one in log["per_second"])
    assert stand_in.count_calls() == {}


def test_program_serves_until_sigterm() -> None:
    program = [sys.executable, "-m", "bench.stand_in", "--port", "0", "--database-seconds", "1"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().split()[-1]
        ready = StandInAws(endpoint).call_control("GET", "health")
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert ready == {"ready": True}


def create_cluster(rds: Any, name: str) -> dict[str, Any]:
    made: dict[str, Any] = rds.create_db_cluster(
        DBClusterIdentifier=name, Engine="aurora-postgresql", MasterUsername="someone"
    )["DBCluster"]
    return made
