"""Removal deletes only the resources and objects that provisioning created.

Removal keeps all other objects, and all resources that have the right name but not the environment's tag.
"""

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.models import BucketRemovalTask, DatabaseRemovalTask, DeleteRequest, OwnedResource
from byok.domain.phases import Phase
from byok.domain.planning import plan_deletion
from localaws.state import STATE
from tests.activities.conftest import PLATFORM, ActivityHarness, parse_stop_problem
from tests.localaws.server import REGION
from tests.remedy_text import text_of


def remove_everything(harness: ActivityHarness) -> None:
    assert harness.run_with_retries(harness.database.remove_writer, harness.database_removal()).removed
    assert harness.run_with_retries(harness.database.remove_cluster, harness.database_removal()).removed
    for index in range(len(harness.plan.buckets)):
        assert harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal(index)).removed
    harness.run_with_retries(harness.claims.release_unused_claims, harness.plan.environment)


def assert_only_empty_probe_bucket_left(harness: ActivityHarness) -> None:
    assert harness.aws.operator_client("rds").describe_db_clusters()["DBClusters"] == []
    assert harness.aws.operator_client("rds").describe_db_instances()["DBInstances"] == []
    left = [bucket["Name"] for bucket in harness.aws.operator_client("s3").list_buckets()["Buckets"]]
    assert left == [harness.plan.environment.probe_bucket]
    kept = harness.aws.operator_client("s3").list_objects_v2(Bucket=left[0])
    assert kept["KeyCount"] == 0  # no probe object or claim is left behind


def test_removal_leaves_nothing_behind(harness: ActivityHarness) -> None:
    harness.provision_environment()

    remove_everything(harness)

    assert_only_empty_probe_bucket_left(harness)
    remove_everything(harness)  # a resource that is already gone counts as removed


@pytest.mark.parametrize(
    "call",
    [
        *("rds:DescribeDBInstances", "rds:DeleteDBInstance", "rds:ModifyDBCluster", "rds:DeleteDBCluster"),
        *("s3:HeadBucket", "s3:GetBucketTagging", "s3:ListObjectVersions", "s3:GetObjectTagging", "s3:DeleteObject"),
        "s3:DeleteBucket",
    ],
)
def test_faults_of_any_kind_at_any_call_do_not_change_the_result(harness: ActivityHarness, call: str) -> None:
    harness.provision_environment()
    harness.inject_every_fault_kind(call)

    remove_everything(harness)

    assert_only_empty_probe_bucket_left(harness)
    assert harness.aws.call_control("GET", "faults")["faults"] == []  # every fault was triggered


def test_everything_is_removed_even_if_both_keys_are_disabled(harness: ActivityHarness) -> None:
    harness.provision_environment()
    for arn in (harness.plan.environment.s3_key_arn, harness.plan.environment.rds_key_arn):
        harness.aws.customer_client("kms").disable_key(KeyId=arn)

    remove_everything(harness)

    assert_only_empty_probe_bucket_left(harness)


def test_rollback_keeps_resources_of_an_earlier_run(harness: ActivityHarness) -> None:
    """The resources of an earlier run may be in use, so the rollback of a later run must not delete them."""
    harness.provision_environment()
    s3, mine = harness.aws.platform_client("s3"), harness.plan.buckets[-1].name
    s3.delete_bucket(Bucket=mine)
    asked = harness.plan.environment
    harness.plan = harness.build_plan(
        "another-run",
        environment_id=asked.environment_id,
        s3_key_arn=asked.s3_key_arn,
        rds_key_arn=asked.rds_key_arn,
    )
    harness.provision_environment()

    writer = harness.run_with_retries(harness.database.remove_writer, harness.database_removal())
    cluster = harness.run_with_retries(harness.database.remove_cluster, harness.database_removal())
    buckets = [
        harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal(index)) for index in (0, -1)
    ]

    assert [item.removed for item in (writer, cluster, *buckets)] == [False, False, False, True]
    assert {item.why_kept for item in (writer, cluster, buckets[0])} == {
        "an earlier run of this environment created it, and it may be in use; `byok delete` removes it"
    }
    assert len(STATE.clusters) == len(STATE.instances) == 1
    assert s3.list_object_versions(Bucket=harness.plan.buckets[0].name)["Versions"]


def test_deletion_removes_resources_of_every_run(harness: ActivityHarness) -> None:
    harness.provision_environment()
    plan = plan_deletion(_deletion(harness), PLATFORM, harness.now)
    database = DatabaseRemovalTask(environment=plan.environment, cluster=plan.cluster, phase=Phase.DELETING)

    harness.run_with_retries(harness.database.remove_writer, database)
    harness.run_with_retries(harness.database.remove_cluster, database)
    for bucket in plan.buckets:
        task = BucketRemovalTask(environment=plan.environment, bucket=bucket, phase=Phase.DELETING)
        harness.run_with_retries(harness.storage.remove_bucket, task)
    harness.run_with_retries(harness.claims.release_all_claims, harness.plan.environment)

    assert_only_empty_probe_bucket_left(harness)


def _deletion(harness: ActivityHarness) -> DeleteRequest:
    asked = harness.plan.environment
    return DeleteRequest(
        environment_id=asked.environment_id,
        confirm=asked.environment_id,
        region=asked.region,
        s3_key_arn=asked.s3_key_arn,
        rds_key_arn=asked.rds_key_arn,
    )


def test_bucket_with_foreign_objects_is_kept(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    name = harness.plan.buckets[0].name
    for key in "abcd":
        harness.aws.platform_client("s3").put_object(Bucket=name, Key=f"of-a-user/{key}", Body=b"x")

    removal = harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal())

    assert not removal.removed
    why = "it holds objects that provisioning did not write: of-a-user/a, of-a-user/b, of-a-user/c"
    assert removal.why_kept == why
    kept = harness.aws.operator_client("s3").list_object_versions(Bucket=name)["Versions"]
    assert {item["Key"] for item in kept} >= {
        item.key for item in harness.plan.buckets[0].objects
    }  # the initial objects are kept, too


def test_foreign_version_of_an_initial_object_keeps_the_bucket(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    name, item = harness.plan.buckets[0].name, harness.plan.buckets[0].objects[0]
    harness.aws.platform_client("s3").put_object(Bucket=name, Key=item.key, Body=b"theirs")

    removal = harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal())

    assert removal.why_kept == f"it holds objects that provisioning did not write: {item.key}"


def test_deleted_initial_object_does_not_keep_the_bucket(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    name, item = harness.plan.buckets[0].name, harness.plan.buckets[0].objects[0]
    harness.aws.platform_client("s3").delete_object(Bucket=name, Key=item.key)  # leaves a delete marker

    assert harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal()).removed


def test_final_snapshot_uses_the_aurora_key_and_is_listed(harness: ActivityHarness) -> None:
    harness.provision_environment()
    removal = harness.database_removal("acme-final-1")
    harness.run_with_retries(harness.database.remove_writer, removal)

    harness.run_with_retries(harness.database.remove_cluster, removal)

    kept = harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task("acme-final-1"))
    assert (kept.clusters, kept.instances) == ((), ())
    assert kept.final_snapshot is not None
    assert kept.final_snapshot.identifier == "acme-final-1"
    assert kept.final_snapshot.key_arn == harness.plan.environment.rds_key_arn  # contract 122


def test_final_snapshot_of_a_cluster_without_key_access_is_refused(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.rds_key_arn)
    removal = harness.database_removal("acme-final-1")
    harness.run_with_retries(harness.database.remove_writer, removal)

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.database.remove_cluster, removal)

    problem = parse_stop_problem(caught.value)
    assert problem.code == "rds.inaccessible-encryption-credentials-recoverable"
    assert "--no-final-snapshot" in text_of(problem.remediation)
    assert len(STATE.clusters) == 1  # nothing was deleted


def test_deletion_stops_before_removing_anything_if_the_snapshot_is_impossible(
    harness: ActivityHarness,
) -> None:
    harness.provision_environment()
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.rds_key_arn)

    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task("acme-final-1"))

    assert "--no-final-snapshot" in text_of(parse_stop_problem(caught.value).remediation)
    listed = harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task())
    assert len(listed.instances) == len(listed.clusters) == 1


def test_only_tagged_resources_are_listed(harness: ActivityHarness) -> None:
    harness.provision_environment()
    environment = harness.plan.environment
    s3, place = harness.aws.operator_client("s3"), {"LocationConstraint": REGION}
    former = f"byok-{environment.environment_id}-former-1a2b3c4d"
    tags = [{"Key": name, "Value": value} for name, value in environment.tags.items()]
    s3.create_bucket(Bucket=former, CreateBucketConfiguration={**place, "Tags": tags})
    s3.create_bucket(Bucket=f"byok-{environment.environment_id}-foreign", CreateBucketConfiguration=place)

    found = harness.run_with_retries(harness.inventory.find_resources, harness.inventory_task())

    cluster, keys = harness.plan.cluster, (environment.s3_key_arn, environment.rds_key_arn)
    own = {"region": REGION, "key_arn": keys[1]}
    assert found.instances == (OwnedResource(name=cluster.writer_identifier, **own),)
    assert found.clusters == (OwnedResource(name=cluster.identifier, **own),)
    assert {one.name: one.key_arn for one in found.buckets} == {
        former: None,
        **{bucket.name: keys[0] for bucket in harness.plan.buckets},
    }
