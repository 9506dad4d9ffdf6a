"""Runs a separate moto server for each peer as the peer's AWS account, and checks which resources the peer created."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import boto3
from botocore.exceptions import ClientError

from bench.peers.counted_moto import COUNT_PATH
from bench.peers.driver import HOST, EnvironmentSpec
from byok.local import parent_death_signal

ROOT: Final = Path(__file__).resolve().parents[2]
REGION: Final = "eu-central-1"


@dataclass(frozen=True)
class MotoAccount:
    """A fresh moto server.

    Attributes:
        pid: The server's process id.
    """

    pid: int
    url: str

    def build_sdk_environment(self) -> dict[str, str]:
        """Return environment variables that make an AWS SDK use this server and ignore the user's AWS configuration."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def count_calls(self) -> dict[str, int]:
        """Return the number of calls so far, by service."""
        with urllib.request.urlopen(f"{self.url}{COUNT_PATH}", timeout=10) as answer:
            found: dict[str, int] = json.load(answer)
        return found

    def create_environment_specs(self, count: int) -> list[EnvironmentSpec]:
        """Create two keys for each environment, and return the environments to request.

        One call to each service makes moto load the service before the peer starts.
        """
        kms, rds = make_client("kms", self.url), make_client("rds", self.url)
        make_client("sts", self.url).get_caller_identity()
        rds.describe_db_clusters()
        rds.describe_db_instances()
        make_client("s3", self.url).list_buckets()

        def arn() -> str:
            return str(kms.create_key()["KeyMetadata"]["Arn"])

        return [
            EnvironmentSpec(name=f"peer-{number:03}", region=REGION, s3_key_arn=arn(), rds_key_arn=arn())
            for number in range(count)
        ]

    def find_missing(self, environments: list[EnvironmentSpec], exempt: frozenset[str]) -> list[str]:
        """Return the parts that are missing from these environments, except parts that the tool cannot create."""
        found = []
        for environment in environments:
            for part, there in self._parts(environment).items():
                try:
                    if part not in exempt and not there():
                        found.append(f"{environment['name']}: {part}")
                except (ClientError, LookupError):
                    found.append(f"{environment['name']}: {part}")
        return found

    def _parts(self, environment: EnvironmentSpec) -> dict[str, Callable[[], bool]]:
        rds, s3, kms = (make_client(service, self.url) for service in ("rds", "s3", "kms"))
        name = environment["name"]
        bucket = f"{name}-data"
        keys = {"s3": environment["s3_key_arn"], "rds": environment["rds_key_arn"]}

        def cluster() -> bool:
            one = rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
            return bool(one["Status"] == "available" and one["KmsKeyId"] == keys["rds"])

        def writer() -> bool:
            one = rds.describe_db_instances(DBInstanceIdentifier=f"{name}-writer")["DBInstances"][0]
            return bool(one["DBInstanceStatus"] == "available")

        def encryption() -> bool:
            rule = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
            return bool(rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == keys["s3"])

        def aliases() -> bool:
            return all(
                f"alias/{name}-{purpose}" in {one["AliasName"] for one in kms.list_aliases(KeyId=arn)["Aliases"]}
                for purpose, arn in keys.items()
            )

        def tags() -> bool:
            wanted = {"TagKey": "environment", "TagValue": name}
            return all(wanted in kms.list_resource_tags(KeyId=arn)["Tags"] for arn in keys.values())

        return {
            "cluster": cluster,
            "writer": writer,
            "bucket": lambda: bool(s3.head_bucket(Bucket=bucket)),
            "access block": lambda: all(
                s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values()
            ),
            "versioning": lambda: s3.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled",
            "encryption": encryption,
            "policy": lambda: "s3:DeleteBucket" in s3.get_bucket_policy(Bucket=bucket)["Policy"],
            "object": lambda: s3.head_object(Bucket=bucket, Key="verification")["SSEKMSKeyId"] == keys["s3"],
            "aliases": aliases,
            "tags": tags,
        }


@cache
def make_client(service: str, url: str) -> Any:
    """Create a client for the benchmark itself."""
    session = boto3.session.Session("testing", "testing", region_name=REGION)
    make: Any = session.client  # the type stubs accept only literal service names
    return make(service, endpoint_url=url)


@contextmanager
def run_fresh_account(folder: Path) -> Iterator[MotoAccount]:
    """Run a new moto server with an empty account."""
    wrapped = (sys.executable, "-I", "-S", parent_death_signal.__file__, str(os.getpid()), str(int(signal.SIGKILL)))
    with (folder / "moto.log").open("wb") as log:
        server = subprocess.Popen(
            [*wrapped, sys.executable, "-m", "bench.peers.counted_moto"],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        assert server.stdout is not None
        port = server.stdout.readline().decode().strip()
        if not port:
            raise RuntimeError(f"moto did not start: {(folder / 'moto.log').read_text()[-500:]}")
        yield MotoAccount(server.pid, f"http://{HOST}:{port}")
    finally:
        server.kill()
        server.wait()
