"""If a network or service fault hits any AWS call, every planned resource still exists exactly once at the end."""

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.models import Problem
from tests.activities.conftest import ActivityHarness

CALLS = [
    *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:HeadBucket", "s3:CreateBucket", "s3:HeadObject"),
    *("s3:PutPublicAccessBlock", "s3:PutBucketOwnershipControls", "s3:PutBucketEncryption", "s3:PutBucketVersioning"),
    *("s3:PutBucketPolicy", "s3:PutBucketLifecycleConfiguration", "s3:GetBucketEncryption"),
    *("rds:DescribeDBClusters", "rds:CreateDBCluster", "rds:DescribeDBInstances", "rds:CreateDBInstance"),
]


def assert_exactly_as_planned(harness: ActivityHarness) -> None:
    """Check that one cluster, one writer and the planned buckets and objects exist, all with the customer's keys."""
    plan = harness.plan
    rds, s3 = harness.aws.operator_client("rds"), harness.aws.operator_client("s3")
    clusters = rds.describe_db_clusters()["DBClusters"]
    assert [(c["DBClusterIdentifier"], c["KmsKeyId"]) for c in clusters] == [
        (plan.cluster.identifier, plan.environment.rds_key_arn)
    ]
    instances = rds.describe_db_instances()["DBInstances"]
    assert [instance["DBInstanceIdentifier"] for instance in instances] == [plan.cluster.writer_identifier]
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} - {plan.environment.probe_bucket}
    assert buckets == {bucket.name for bucket in plan.buckets}
    for bucket in plan.buckets:
        versions = s3.list_object_versions(Bucket=bucket.name).get("Versions", [])
        assert {version["Key"] for version in versions} == {item.key for item in bucket.objects}
    harness.run_with_retries(harness.evidence.collect_evidence, plan)


@pytest.mark.parametrize("call", CALLS)
def test_faults_of_any_kind_at_any_call_do_not_change_the_result(harness: ActivityHarness, call: str) -> None:
    harness.inject_every_fault_kind(call)

    harness.provision_environment()

    assert_exactly_as_planned(harness)
    assert harness.aws.call_control("GET", "faults")["faults"] == []  # every fault was triggered


def test_network_failure_is_not_attributed_to_the_key(harness: ActivityHarness) -> None:
    harness.aws.call_control("POST", "faults", service="rds", operation="CreateDBCluster", kind="timeout")
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.database.ensure_cluster, harness.database_task)

    assert not caught.value.non_retryable
    problem = Problem.model_validate(caught.value.details[0])
    assert problem.code.startswith("network.")
    assert problem.key is None


def test_throttling_is_not_attributed_to_the_key(harness: ActivityHarness) -> None:
    harness.aws.call_control("POST", "faults", service="s3", operation="PutObject", kind="throttle")

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.keys.probe_s3_key, harness.plan.environment)

    assert (caught.value.type, caught.value.non_retryable) == ("s3.SlowDown", False)
    assert Problem.model_validate(caught.value.details[0]).key is None
