"""Six plain boto3 functions that create an environment.

The functions make 18 AWS calls if the first poll finds the database available. All peers that are written in Python
share these functions, so that only the tool differs.
"""

import json
import time
from functools import cache
from typing import Any

import boto3

from bench.peers.driver import EnvironmentSpec

POLL_SECONDS = 0.2
BODY = b"readable"


@cache
def get_client(service: str, region: str) -> Any:
    """Return the client for a service. All threads of a process share the client."""
    make: Any = boto3.client  # the type stubs accept only literal service names
    return make(service, region_name=region)


def create_clients(region: str) -> None:
    """Create all clients in advance, because creating a client is not thread-safe."""
    for service in ("sts", "kms", "rds", "s3"):
        get_client(service, region)


def check_keys(environment: EnvironmentSpec) -> None:
    """Make 3 calls: get the caller's identity, and check that both keys are enabled."""
    get_client("sts", environment["region"]).get_caller_identity()
    for arn in (environment["s3_key_arn"], environment["rds_key_arn"]):
        key = get_client("kms", environment["region"]).describe_key(KeyId=arn)["KeyMetadata"]
        if key["KeyState"] != "Enabled":
            raise RuntimeError(f"{arn} is {key['KeyState']}")


def create_database(environment: EnvironmentSpec) -> None:
    """Make 2 calls: create the cluster and its writer."""
    rds, name = get_client("rds", environment["region"]), environment["name"]
    rds.create_db_cluster(
        DBClusterIdentifier=name,
        Engine="aurora-postgresql",
        MasterUsername="postgres",
        MasterUserPassword="a-password-of-no-use",
        StorageEncrypted=True,
        KmsKeyId=environment["rds_key_arn"],
    )
    rds.create_db_instance(
        DBInstanceIdentifier=f"{name}-writer",
        DBClusterIdentifier=name,
        DBInstanceClass="db.t4g.medium",
        Engine="aurora-postgresql",
    )


def await_database(environment: EnvironmentSpec) -> None:
    """Make at least 2 calls: poll until the cluster and the writer are available."""
    rds, name = get_client("rds", environment["region"]), environment["name"]
    while rds.describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]["Status"] != "available":
        time.sleep(POLL_SECONDS)
    writer = f"{name}-writer"
    while rds.describe_db_instances(DBInstanceIdentifier=writer)["DBInstances"][0]["DBInstanceStatus"] != "available":
        time.sleep(POLL_SECONDS)


def create_bucket(environment: EnvironmentSpec) -> None:
    """Make 5 calls: create a private, versioned bucket, encrypt it with the key, and deny its deletion."""
    s3, bucket = get_client("s3", environment["region"]), f"{environment['name']}-data"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": environment["region"]})
    s3.put_public_access_block(
        Bucket=bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": environment["s3_key_arn"]}
    s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": by_default, "BucketKeyEnabled": True}]
        },
    )
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": f"arn:aws:s3:::{bucket}"}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def verify_bucket(environment: EnvironmentSpec) -> None:
    """Make 2 calls: write an object that is encrypted with the key, and read it back."""
    s3, bucket = get_client("s3", environment["region"]), f"{environment['name']}-data"
    s3.put_object(
        Bucket=bucket,
        Key="verification",
        Body=BODY,
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=environment["s3_key_arn"],
    )
    if s3.get_object(Bucket=bucket, Key="verification")["Body"].read() != BODY:
        raise RuntimeError(f"the object read from {bucket} differs from the one written")


def name_keys(environment: EnvironmentSpec) -> None:
    """Make 4 calls: create an alias for each key, and add a tag to each key."""
    kms, name = get_client("kms", environment["region"]), environment["name"]
    for purpose, arn in (("s3", environment["s3_key_arn"]), ("rds", environment["rds_key_arn"])):
        kms.create_alias(AliasName=f"alias/{name}-{purpose}", TargetKeyId=arn)
        kms.tag_resource(KeyId=arn, Tags=[{"TagKey": "environment", "TagValue": name}])


STEPS = (check_keys, create_database, await_database, create_bucket, verify_bucket, name_keys)
