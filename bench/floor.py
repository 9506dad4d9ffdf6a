"""`python -m bench.floor`: a bare boto3 script that creates environments, as a baseline for byok.

In the tables, this script is called the floor. The script makes exactly the same AWS calls as byok, with the same
parameters, but cannot resume after a crash and does not repair anything. With `--branches`, one thread creates the
buckets while another thread finishes the database, because byok also works on the buckets and the database in parallel.
Without `--branches`, all calls run sequentially. The script prints a `RunResult` as JSON.
"""

import argparse
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from activities.bucket_settings import required_bucket_settings
from activities.rds_resources import create_cluster_params, create_writer_params
from bench.request_generator import RequestGenerator
from bench.runs import RunTimer
from byok.blueprints import load_blueprint
from byok.domain.arns import parse_key_arn
from byok.domain.models import BucketPlan, DatabaseTask, EnvironmentPlan
from byok.domain.planning import Platform, plan_environment
from byok.domain.vendor import VendorProfile
from byok.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client


@dataclass(frozen=True)
class FloorProvisioner:
    """Creates environments without retrying any call.

    Attributes:
        poll_seconds: Interval between two status polls of a database.
    """

    s3: "S3Client"
    rds: "RDSClient"
    poll_seconds: float

    def provision(self, plan: EnvironmentPlan, *, branches: bool) -> None:
        """Probe the S3 key, claim both keys, create all resources, and read the resources back."""
        self.probe_and_claim_keys(plan)
        task = DatabaseTask(environment=plan.environment, cluster=plan.cluster)
        self.create_cluster(task)
        storage, database = partial(self.create_buckets, plan), partial(self._finish_database, task)
        if branches:
            with ThreadPoolExecutor(2) as threads:
                for branch in [threads.submit(storage), threads.submit(database)]:
                    branch.result()
        else:
            storage()
            database()
        self.read_back(plan)

    def probe_and_claim_keys(self, plan: EnvironmentPlan) -> None:
        """Write and read probe objects with the S3 key, with and without an S3 Bucket Key, and claim both keys."""
        environment = plan.environment
        for bucket_key in (False, True):
            key = f"probes/{environment.environment_id}/{uuid.uuid4()}"
            self.s3.put_object(
                Bucket=environment.probe_bucket,
                Key=key,
                Body=uuid.uuid4().bytes,
                ServerSideEncryption="aws:kms",
                SSEKMSKeyId=environment.s3_key_arn,
                BucketKeyEnabled=bucket_key,
            )
            self.s3.get_object(Bucket=environment.probe_bucket, Key=key)["Body"].read()
            self.s3.delete_object(Bucket=environment.probe_bucket, Key=key)
        for arn in (environment.s3_key_arn, environment.rds_key_arn):
            key_id = parse_key_arn(arn).global_id
            entry = f"claims-by-environment/{environment.environment_id}/{key_id}"
            self.s3.put_object(Bucket=environment.probe_bucket, Key=entry, Body=b"")
            self.s3.put_object(
                Bucket=environment.probe_bucket,
                Key=f"claims/{key_id}",
                Body=json.dumps({"environment_id": environment.environment_id, "key_arn": arn}).encode(),
                ContentType="application/json",
                IfNoneMatch="*",
            )

    def create_cluster(self, task: DatabaseTask) -> None:
        """Create the cluster."""
        _absent(lambda: self.rds.describe_db_clusters(DBClusterIdentifier=task.cluster.identifier))
        self.rds.create_db_cluster(**create_cluster_params(task))

    def create_buckets(self, plan: EnvironmentPlan) -> None:
        """Create all buckets and their objects."""
        for bucket in plan.buckets:
            self._create_bucket(plan, bucket)

    def _create_bucket(self, plan: EnvironmentPlan, bucket: BucketPlan) -> None:
        _absent(lambda: self.s3.head_bucket(Bucket=bucket.name))
        tags: Any = [{"Key": key, "Value": value} for key, value in plan.environment.tags.items()]
        place: Any = {"LocationConstraint": plan.environment.region, "Tags": tags}
        self.s3.create_bucket(Bucket=bucket.name, CreateBucketConfiguration=place)
        for setting in required_bucket_settings(bucket.name, plan.environment):
            setting.apply(self.s3, bucket.name)
        for item in bucket.objects:
            self.s3.put_object(Bucket=bucket.name, Key=item.key, Body=item.content.encode())
            self.s3.get_object(Bucket=bucket.name, Key=item.key)["Body"].read()

    def create_writer(self, task: DatabaseTask) -> None:
        """Create the writer instance."""
        _absent(lambda: self.rds.describe_db_instances(DBInstanceIdentifier=task.cluster.writer_identifier))
        self.rds.create_db_instance(**create_writer_params(task))

    def _finish_database(self, task: DatabaseTask) -> None:
        cluster, writer = task.cluster.identifier, task.cluster.writer_identifier
        while self.rds.describe_db_clusters(DBClusterIdentifier=cluster)["DBClusters"][0]["Status"] != "available":
            time.sleep(self.poll_seconds)
        self.create_writer(task)
        while True:
            found = self.rds.describe_db_instances(DBInstanceIdentifier=writer)["DBInstances"][0]
            if found["DBInstanceStatus"] == "available":
                return
            time.sleep(self.poll_seconds)

    def read_back(self, plan: EnvironmentPlan) -> None:
        """Read all resources back."""
        self.rds.describe_db_clusters(DBClusterIdentifier=plan.cluster.identifier)
        self.rds.describe_db_instances(DBInstanceIdentifier=plan.cluster.writer_identifier)
        for bucket in plan.buckets:
            self.s3.get_bucket_encryption(Bucket=bucket.name)
            for item in bucket.objects:
                self.s3.head_object(Bucket=bucket.name, Key=item.key)


def main() -> None:
    """Create one environment as a warm-up (unless `--cold`), then the requested number of environments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--branches", action="store_true")
    parser.add_argument("--cold", action="store_true", help="do not create an environment as a warm-up")
    asking, chosen = RequestGenerator.from_arguments(parser)
    config = Config(retries={"total_max_attempts": 1}, max_pool_connections=2 * chosen.concurrency)
    configured = Settings()
    blueprint: Path | None = configured.blueprint
    platform = Platform(configured.platform_role_arn or "", VendorProfile(), load_blueprint(blueprint))
    clock = RunTimer()
    floor = FloorProvisioner(
        boto3.client("s3", config=config), boto3.client("rds", config=config), configured.database_poll_seconds
    )

    def make(_: int) -> float:
        plan = plan_environment(asking.next_request("floor"), platform, datetime.now(UTC), "")
        began = time.perf_counter()
        floor.provision(plan, branches=chosen.branches)
        return time.perf_counter() - began

    if not chosen.cold:
        make(0)
        clock = RunTimer()
    with ThreadPoolExecutor(chosen.concurrency) as threads:
        print(clock.finish(list(threads.map(make, range(chosen.environments)))).model_dump_json())


def _absent(look: Any) -> None:
    try:
        look()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise


if __name__ == "__main__":
    main()
