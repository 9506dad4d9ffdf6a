"""Create a complete environment without a workflow, and check byok's calls to AWS and the resulting resources."""

from collections import Counter

import pytest
from temporalio.exceptions import ApplicationError

from tests.activities.conftest import ActivityHarness


def test_environment_reads_back_as_requested(harness: ActivityHarness) -> None:
    harness.provision_environment()

    found = harness.run_with_retries(harness.evidence.collect_evidence, harness.plan)

    database = found.database
    assert database.key_arn == harness.plan.environment.rds_key_arn  # contract 1, 85, 98
    assert database.storage_encryption_type == "sse-kms"
    assert database.writer_key_arn == harness.plan.environment.rds_key_arn
    assert {bucket.key_arn for bucket in found.buckets} == {harness.plan.environment.s3_key_arn}  # contract 119
    objects = [item for bucket in found.buckets for item in bucket.objects]
    assert {item.key_arn for item in objects} == {harness.plan.environment.s3_key_arn}
    assert len(objects) == sum(len(bucket.objects) for bucket in harness.plan.buckets)  # contract 95


def test_every_resource_names_its_key_from_its_creation(harness: ActivityHarness) -> None:
    environment = harness.plan.environment
    harness.provision_environment()

    calls = harness.aws.call_control("GET", "calls")["calls"]
    (cluster,) = harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"]
    assert (cluster["Engine"], cluster["StorageEncrypted"]) == ("aurora-postgresql", True)  # contract 120
    assert cluster["KmsKeyId"] == environment.rds_key_arn  # contract 1
    assert [call["params"]["KmsKeyId"] for call in calls if call["operation"] == "CreateDBCluster"] == [
        environment.rds_key_arn
    ]  # contract 8
    assert not [call for call in calls if call["operation"].startswith("Modify")]  # contract 8
    s3 = harness.aws.operator_client("s3")
    for bucket in harness.plan.buckets:
        (rule,) = s3.get_bucket_encryption(Bucket=bucket.name)["ServerSideEncryptionConfiguration"]["Rules"]
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": environment.s3_key_arn}
        assert rule["ApplyServerSideEncryptionByDefault"] == default  # contract 1, 119
        assert rule["BucketKeyEnabled"] is True  # D13
        for item in bucket.objects:
            head = harness.aws.platform_client("s3").head_object(Bucket=bucket.name, Key=item.key)
            written = (head["ServerSideEncryption"], head["SSEKMSKeyId"], head["BucketKeyEnabled"])
            assert written == ("aws:kms", environment.s3_key_arn, True)  # contract 1, D13
        settings = [
            call["operation"]
            for call in calls
            if call["params"].get("Bucket") == bucket.name and call["service"] == "s3"
        ]
        assert settings.count("PutBucketEncryption") == 1  # contract 8
        if bucket.objects:
            assert settings.index("PutBucketEncryption") < settings.index("PutObject")  # contract 8


def test_evidence_requires_a_writer_that_is_still_available(harness: ActivityHarness) -> None:
    harness.provision_environment()
    name = harness.plan.cluster.writer_identifier
    harness.aws.call_control("POST", "settings", database_seconds=3600)
    harness.aws.operator_client("rds").delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.evidence.collect_evidence, harness.plan)

    assert caught.value.type == "rds.deleting"  # a writer in this status never becomes `available` on its own


def test_provisioning_makes_no_unnecessary_calls(harness: ActivityHarness) -> None:
    harness.run_with_retries(
        harness.keys.probe_s3_key, harness.plan.environment
    )  # creates the Region's probe bucket, which later environments reuse
    harness.aws.call_control("DELETE", "calls")

    harness.provision_environment()

    calls = Counter(harness.aws.list_calls())
    buckets, objects = len(harness.plan.buckets), sum(len(bucket.objects) for bucket in harness.plan.buckets)
    polls = {name: calls.pop(name) for name in ("DescribeDBClusters", "DescribeDBInstances")}
    assert calls == {
        "CreateDBCluster": 1,
        "CreateDBInstance": 1,
        "HeadBucket": buckets,
        "CreateBucket": buckets,
        "PutPublicAccessBlock": buckets,
        "PutBucketOwnershipControls": buckets,
        "PutBucketEncryption": buckets,
        "PutBucketVersioning": buckets,
        "PutBucketPolicy": buckets,
        # probes with and without an S3 Bucket Key, two claims with their index entries, initial objects
        "PutObject": 2 + 2 * 2 + objects,
        "GetObject": 2 + objects,
        "DeleteObject": 2,
    }
    assert min(polls.values()) >= 2


def test_second_build_writes_nothing(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.aws.call_control("DELETE", "calls")

    for index in range(len(harness.plan.buckets)):
        assert not harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task(index)).created
    assert not harness.run_with_retries(harness.database.ensure_cluster, harness.database_task).created
    assert not harness.run_with_retries(harness.database.ensure_writer, harness.database_task).created

    writes = [call for call in harness.aws.list_calls() if call.startswith(("Create", "Put", "Delete", "Modify"))]
    # byok makes two writes for each key: the index entry again, and then the claim. S3 rejects the claim, because the
    # key is already claimed.
    assert writes == ["PutObject"] * 4
