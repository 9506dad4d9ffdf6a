"""byok adopts an existing resource only if the resource has the environment's tag and is encrypted with the right key.

If a resource has the right name but a different tag or key, byok leaves it unchanged and reports a conflict.
"""

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.models import BucketResource, Problem
from localaws.accounts import PLATFORM_ROLE_NAME
from tests.activities.conftest import ActivityHarness, parse_stop_problem
from tests.remedy_text import text_of


def run_until_problem(harness: ActivityHarness, activity: object, task: object) -> Problem:
    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(activity, task)  # type: ignore[arg-type]
    return parse_stop_problem(caught.value)


def create_bucket_stopped_by_disabled_key(harness: ActivityHarness) -> BucketResource:
    """Disable the S3 key, so that `ensure_bucket` stops and leaves an empty bucket."""
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.s3_key_arn)
    with pytest.raises(ApplicationError) as caught:
        harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())
    assert parse_stop_problem(caught.value).code == "s3.KMS.DisabledException"
    return BucketResource.model_validate(caught.value.details[1])


def create_foreign_cluster(harness: ActivityHarness, tag: str, key_arn: str) -> None:
    harness.aws.platform_client("rds").create_db_cluster(
        DBClusterIdentifier=harness.plan.cluster.identifier,
        Engine="aurora-postgresql",
        MasterUsername="byok",
        MasterUserAuthenticationType="iam-db-auth",
        EnableIAMDatabaseAuthentication=True,
        StorageEncrypted=True,
        KmsKeyId=key_arn,
        Tags=[{"Key": "byok:environment-id", "Value": tag}],
    )


def create_foreign_bucket(harness: ActivityHarness, tag: str) -> str:
    name = harness.plan.buckets[0].name
    harness.aws.operator_client("s3").create_bucket(
        Bucket=name,
        CreateBucketConfiguration={
            "LocationConstraint": harness.plan.environment.region,
            "Tags": [{"Key": "byok:environment-id", "Value": tag}],
        },
    )
    return name


def list_claimed_key_ids(harness: ActivityHarness) -> set[str]:
    """Return the ids of the keys that environments have claimed."""
    found = harness.aws.operator_client("s3").list_objects_v2(
        Bucket=harness.plan.environment.probe_bucket, Prefix="claims/"
    )
    return {item["Key"].rpartition("/")[2] for item in found.get("Contents", [])}


def test_cluster_of_another_environment_is_left_unchanged(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    create_foreign_cluster(harness, "another-environment", harness.plan.environment.rds_key_arn)

    problem = run_until_problem(harness, harness.database.ensure_cluster, harness.database_task)

    assert (problem.code, problem.key) == ("byok.NameTaken", None)
    assert harness.plan.cluster.identifier in problem.message
    harness.run_with_retries(harness.claims.release_unused_claims, harness.plan.environment)
    assert list_claimed_key_ids(harness) == set()  # contract 138


def test_own_cluster_on_another_key_is_not_adopted(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    other = harness.aws.create_rds_key()
    create_foreign_cluster(harness, harness.plan.environment.environment_id, other)

    problem = run_until_problem(harness, harness.database.ensure_cluster, harness.database_task)

    assert problem.code == "byok.OtherKey"  # contract 99
    assert other in problem.message
    harness.run_with_retries(harness.claims.release_unused_claims, harness.plan.environment)
    assert list_claimed_key_ids(harness) == set()  # contract 138: neither key encrypts any resource


def test_own_cluster_on_the_right_key_is_adopted(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    create_foreign_cluster(harness, harness.plan.environment.environment_id, harness.plan.environment.rds_key_arn)

    assert not harness.run_with_retries(harness.database.ensure_cluster, harness.database_task).created


def test_bucket_of_another_environment_is_left_unchanged(harness: ActivityHarness) -> None:
    name = create_foreign_bucket(harness, "another-environment")

    problem = run_until_problem(harness, harness.storage.ensure_bucket, harness.bucket_task())

    assert problem.code == "byok.NameTaken"
    assert harness.run_with_retries(harness.storage.remove_bucket, harness.bucket_removal()).why_kept
    tags = harness.aws.operator_client("s3").get_bucket_tagging(Bucket=name)["TagSet"]
    assert tags == [{"Key": "byok:environment-id", "Value": "another-environment"}]


def test_own_unfinished_bucket_is_completed(harness: ActivityHarness) -> None:
    name = create_foreign_bucket(harness, harness.plan.environment.environment_id)

    assert not harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task()).created

    s3 = harness.aws.operator_client("s3")
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": harness.plan.environment.s3_key_arn}


def test_key_replaced_before_it_encrypts_anything_is_released(harness: ActivityHarness) -> None:
    first, name = harness.plan.environment, harness.plan.environment.environment_id
    harness.run_with_retries(harness.keys.probe_s3_key, first)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    create_bucket_stopped_by_disabled_key(harness)

    harness.plan = harness.build_plan(environment_id=name, rds_key_arn=first.rds_key_arn)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())

    keys = (harness.plan.environment.s3_key_arn, first.rds_key_arn)
    assert list_claimed_key_ids(harness) == {arn.rpartition("/")[2] for arn in keys}


def test_own_bucket_with_objects_on_another_key_is_not_adopted(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.plan = harness.build_plan(
        environment_id=harness.plan.environment.environment_id, rds_key_arn=harness.plan.environment.rds_key_arn
    )

    problem = run_until_problem(harness, harness.storage.ensure_bucket, harness.bucket_task())

    assert problem.code == "byok.OtherKey"  # contract 8


def test_failure_reports_the_bucket_created_before_it(harness: ActivityHarness) -> None:
    kept = create_bucket_stopped_by_disabled_key(harness)

    assert (kept.name, kept.created, kept.objects) == (harness.plan.buckets[0].name, True, ())  # D9


def test_own_empty_bucket_gets_the_corrected_key(harness: ActivityHarness) -> None:
    create_bucket_stopped_by_disabled_key(harness)
    harness.plan = harness.build_plan(
        environment_id=harness.plan.environment.environment_id, rds_key_arn=harness.plan.environment.rds_key_arn
    )

    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())

    item = harness.plan.buckets[0].objects[0]
    stored = harness.aws.platform_client("s3").head_object(Bucket=harness.plan.buckets[0].name, Key=item.key)
    assert stored["SSEKMSKeyId"] == harness.plan.environment.s3_key_arn


def test_instance_with_the_writers_name_but_without_the_tag_is_left_unchanged(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.wait_until_cluster_available()
    harness.aws.operator_client("rds").create_db_instance(
        DBInstanceIdentifier=harness.plan.cluster.writer_identifier,
        DBClusterIdentifier=harness.plan.cluster.identifier,
        Engine="aurora-postgresql",
        DBInstanceClass="db.serverless",
    )

    problem = run_until_problem(harness, harness.database.ensure_writer, harness.database_task)

    assert problem.code == "byok.NameTaken"  # the instance lacks the environment's tag


def test_key_lost_while_awaiting_the_cluster_is_the_customers_problem(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.rds_key_arn)

    problem = run_until_problem(harness, harness.database.ensure_writer, harness.database_task)

    assert problem.code == "rds.inaccessible-encryption-credentials-recoverable"  # contract 89, 111
    assert problem.key_arn == harness.plan.environment.rds_key_arn


def test_cluster_without_key_access_gets_no_writer_and_stops_at_once(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.wait_until_cluster_available()
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.rds_key_arn)

    with pytest.raises(ApplicationError) as caught:
        harness.run_once(harness.database.ensure_writer, harness.database_task)

    problem = parse_stop_problem(caught.value)
    assert problem.code == "rds.inaccessible-encryption-credentials-recoverable"
    assert problem.key_arn == harness.plan.environment.rds_key_arn


def test_own_cluster_being_deleted_is_recreated_after_it_is_gone(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.keys.probe_s3_key, harness.plan.environment)
    harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)
    harness.wait_until_cluster_available()
    rds, name = harness.aws.operator_client("rds"), harness.plan.cluster.identifier
    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False)
    gone = rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)["DBCluster"]

    made = harness.run_with_retries(harness.database.ensure_cluster, harness.database_task)

    assert made.created
    (found,) = rds.describe_db_clusters()["DBClusters"]
    assert found["DbClusterResourceId"] != gone["DbClusterResourceId"]


def test_own_writer_being_deleted_is_recreated_after_it_is_gone(harness: ActivityHarness) -> None:
    harness.provision_environment()
    rds, name = harness.aws.operator_client("rds"), harness.plan.cluster.writer_identifier
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)

    assert harness.run_with_retries(harness.database.ensure_writer, harness.database_task).created
    assert harness.run_with_retries(harness.database.await_writer, harness.database_task).status == "available"


def test_vanished_cluster_is_reported(harness: ActivityHarness) -> None:
    problem = run_until_problem(harness, harness.database.ensure_writer, harness.database_task)

    assert problem.code == "byok.Vanished"


def test_failed_verification_names_the_differences(harness: ActivityHarness) -> None:
    harness.provision_environment()
    bucket = harness.plan.buckets[0].name
    aes = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    harness.aws.operator_client("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=aes)
    storage = run_until_problem(harness, harness.evidence.collect_evidence, harness.plan)
    harness.aws.operator_client("rds").modify_db_cluster(
        DBClusterIdentifier=harness.plan.cluster.identifier, DeletionProtection=False, ApplyImmediately=True
    )

    both = run_until_problem(harness, harness.evidence.collect_evidence, harness.plan)

    assert storage.code == both.code == "byok.VerificationFailed"  # contract 98
    assert "algorithm is 'AES256', expected 'aws:kms'" in storage.message
    assert "deletion_protection is False, expected True" in both.message, "the order of the differences is stable"


def test_disabled_key_is_reported_although_head_hides_the_reason(harness: ActivityHarness) -> None:
    harness.provision_environment()
    harness.aws.customer_client("kms").disable_key(KeyId=harness.plan.environment.s3_key_arn)

    again = run_until_problem(harness, harness.storage.ensure_bucket, harness.bucket_task())
    verifying = run_until_problem(harness, harness.evidence.collect_evidence, harness.plan)

    assert again.code == verifying.code == "s3.KMS.DisabledException"


def test_missing_platform_permission_is_the_operators_problem(harness: ActivityHarness) -> None:
    iam = harness.aws.operator_client("iam")
    iam.delete_role_policy(RoleName=PLATFORM_ROLE_NAME, PolicyName="platform")

    problem = run_until_problem(harness, harness.storage.ensure_bucket, harness.bucket_task())

    assert (problem.code, problem.key) == ("s3.403", None)
    assert "customer does not need to do anything" in text_of(problem.remediation).lower()


def test_bucket_denies_public_access_and_other_encryption(harness: ActivityHarness) -> None:
    harness.run_with_retries(harness.storage.ensure_bucket, harness.bucket_task())

    s3, name = harness.aws.operator_client("s3"), harness.plan.buckets[0].name
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert set(block.values()) == {True}
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.put_object(Bucket=name, Key="x", Body=b"x", ServerSideEncryption="AES256")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
