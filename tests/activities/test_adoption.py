"""What bears the right name is adopted only by tag and key; anything else of that name is a conflict and left alone."""

import pytest
from temporalio.exceptions import ApplicationError

from byok.domain.models import BucketResource, Problem
from localaws.accounts import PLATFORM_ROLE
from tests.activities.conftest import ActivityHarness, stop_of


def stopped(bench: ActivityHarness, activity: object, task: object) -> Problem:
    with pytest.raises(ApplicationError) as caught:
        bench.settle(activity, task)  # type: ignore[arg-type]
    return stop_of(caught.value)


def half_made(bench: ActivityHarness) -> BucketResource:
    """The bucket of an environment whose key was disabled in the meantime: there, and empty."""
    bench.aws.customer("kms").disable_key(KeyId=bench.plan.environment.s3_key_arn)
    with pytest.raises(ApplicationError) as caught:
        bench.settle(bench.storage.ensure_bucket, bench.storage_task())
    assert stop_of(caught.value).code == "s3.KMS.DisabledException"
    return BucketResource.model_validate(caught.value.details[1])


def foreign_cluster(bench: ActivityHarness, tag: str, key_arn: str) -> None:
    bench.aws.platform("rds").create_db_cluster(
        DBClusterIdentifier=bench.plan.cluster.identifier,
        Engine="aurora-postgresql",
        MasterUsername="byok",
        MasterUserAuthenticationType="iam-db-auth",
        EnableIAMDatabaseAuthentication=True,
        StorageEncrypted=True,
        KmsKeyId=key_arn,
        Tags=[{"Key": "byok:environment-id", "Value": tag}],
    )


def foreign_bucket(bench: ActivityHarness, tag: str) -> str:
    name = bench.plan.buckets[0].name
    bench.aws.operator("s3").create_bucket(
        Bucket=name,
        CreateBucketConfiguration={
            "LocationConstraint": bench.plan.environment.region,
            "Tags": [{"Key": "byok:environment-id", "Value": tag}],
        },
    )
    return name


def claimed(bench: ActivityHarness) -> set[str]:
    """The ids of the keys that are claimed."""
    found = bench.aws.operator("s3").list_objects_v2(Bucket=bench.plan.environment.probe_bucket, Prefix="claims/")
    return {item["Key"].rpartition("/")[2] for item in found.get("Contents", [])}


def test_cluster_of_another_environment_is_left_alone(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    foreign_cluster(bench, "somebody-else", bench.plan.environment.rds_key_arn)

    problem = stopped(bench, bench.database.ensure_cluster, bench.database_task)

    assert (problem.code, problem.key) == ("byok.NameTaken", None)
    assert bench.plan.cluster.identifier in problem.message
    assert claimed(bench) == set()


def test_own_cluster_on_another_key_is_not_taken_over(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    other = bench.aws.rds_key()
    foreign_cluster(bench, bench.plan.environment.environment_id, other)

    problem = stopped(bench, bench.database.ensure_cluster, bench.database_task)

    assert problem.code == "byok.OtherKey"  # contract 99
    assert other in problem.message
    assert claimed(bench) == {bench.plan.environment.s3_key_arn.rpartition("/")[2]}


def test_own_cluster_on_the_right_key_is_adopted(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    foreign_cluster(bench, bench.plan.environment.environment_id, bench.plan.environment.rds_key_arn)

    assert not bench.settle(bench.database.ensure_cluster, bench.database_task).created


def test_bucket_of_another_environment_is_left_alone(bench: ActivityHarness) -> None:
    name = foreign_bucket(bench, "somebody-else")

    problem = stopped(bench, bench.storage.ensure_bucket, bench.storage_task())

    assert problem.code == "byok.NameTaken"
    assert bench.settle(bench.storage.remove_bucket, bench.bucket_removal()).why_kept
    tags = bench.aws.operator("s3").get_bucket_tagging(Bucket=name)["TagSet"]
    assert tags == [{"Key": "byok:environment-id", "Value": "somebody-else"}]


def test_own_half_made_bucket_is_finished(bench: ActivityHarness) -> None:
    name = foreign_bucket(bench, bench.plan.environment.environment_id)

    assert not bench.settle(bench.storage.ensure_bucket, bench.storage_task()).created

    s3 = bench.aws.operator("s3")
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    rule = s3.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = rule["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": bench.plan.environment.s3_key_arn}


def test_key_that_is_exchanged_before_it_encrypts_anything_is_free_again(bench: ActivityHarness) -> None:
    first, name = bench.plan.environment, bench.plan.environment.environment_id
    bench.settle(bench.keys.probe_s3_key, first)
    bench.settle(bench.database.ensure_cluster, bench.database_task)
    half_made(bench)

    bench.plan = bench.planned(environment_id=name, rds_key_arn=first.rds_key_arn)
    bench.settle(bench.database.ensure_cluster, bench.database_task)
    bench.settle(bench.storage.ensure_bucket, bench.storage_task())

    keys = (bench.plan.environment.s3_key_arn, first.rds_key_arn)
    assert claimed(bench) == {arn.rpartition("/")[2] for arn in keys}


def test_own_bucket_with_objects_on_another_key_is_not_taken_over(bench: ActivityHarness) -> None:
    bench.build()
    bench.plan = bench.planned(
        environment_id=bench.plan.environment.environment_id, rds_key_arn=bench.plan.environment.rds_key_arn
    )

    problem = stopped(bench, bench.storage.ensure_bucket, bench.storage_task())

    assert problem.code == "byok.OtherKey"  # contract 8


def test_bucket_that_was_made_before_a_refusal_is_told_with_it(bench: ActivityHarness) -> None:
    kept = half_made(bench)

    assert (kept.name, kept.created, kept.objects) == (bench.plan.buckets[0].name, True, ())  # D9


def test_own_empty_bucket_gets_the_corrected_key(bench: ActivityHarness) -> None:
    half_made(bench)
    bench.plan = bench.planned(
        environment_id=bench.plan.environment.environment_id, rds_key_arn=bench.plan.environment.rds_key_arn
    )

    bench.settle(bench.storage.ensure_bucket, bench.storage_task())

    item = bench.plan.buckets[0].objects[0]
    stored = bench.aws.platform("s3").head_object(Bucket=bench.plan.buckets[0].name, Key=item.key)
    assert stored["SSEKMSKeyId"] == bench.plan.environment.s3_key_arn


def test_instance_of_the_writers_name_in_another_cluster_is_left_alone(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    bench.settle(bench.database.ensure_cluster, bench.database_task)
    bench.await_cluster()
    bench.aws.operator("rds").create_db_instance(
        DBInstanceIdentifier=bench.plan.cluster.writer_identifier,
        DBClusterIdentifier=bench.plan.cluster.identifier,
        Engine="aurora-postgresql",
        DBInstanceClass="db.serverless",
    )

    problem = stopped(bench, bench.database.ensure_writer, bench.database_task)

    assert problem.code == "byok.NameTaken"  # it does not bear the tag


def test_cluster_that_loses_its_key_while_awaited_is_the_customers_problem(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    bench.settle(bench.database.ensure_cluster, bench.database_task)
    bench.aws.customer("kms").disable_key(KeyId=bench.plan.environment.rds_key_arn)

    problem = stopped(bench, bench.database.ensure_writer, bench.database_task)

    assert problem.code == "rds.inaccessible-encryption-credentials-recoverable"  # contract 89, 111
    assert problem.key_arn == bench.plan.environment.rds_key_arn


def test_cluster_that_has_lost_its_key_gets_no_writer_and_stops_at_once(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    bench.settle(bench.database.ensure_cluster, bench.database_task)
    bench.await_cluster()
    bench.aws.customer("kms").disable_key(KeyId=bench.plan.environment.rds_key_arn)

    with pytest.raises(ApplicationError) as caught:
        bench.attempt(bench.database.ensure_writer, bench.database_task)

    problem = stop_of(caught.value)
    assert problem.code == "rds.inaccessible-encryption-credentials-recoverable"
    assert problem.key_arn == bench.plan.environment.rds_key_arn


def test_own_cluster_that_is_still_being_deleted_is_made_anew_once_it_is_gone(bench: ActivityHarness) -> None:
    bench.settle(bench.keys.probe_s3_key, bench.plan.environment)
    bench.settle(bench.database.ensure_cluster, bench.database_task)
    bench.await_cluster()
    rds, name = bench.aws.operator("rds"), bench.plan.cluster.identifier
    rds.modify_db_cluster(DBClusterIdentifier=name, DeletionProtection=False)
    gone = rds.delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)["DBCluster"]

    made = bench.settle(bench.database.ensure_cluster, bench.database_task)

    assert made.created
    (found,) = rds.describe_db_clusters()["DBClusters"]
    assert found["DbClusterResourceId"] != gone["DbClusterResourceId"]


def test_own_writer_that_is_still_being_deleted_is_made_anew_once_it_is_gone(bench: ActivityHarness) -> None:
    bench.build()
    rds, name = bench.aws.operator("rds"), bench.plan.cluster.writer_identifier
    rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)

    assert bench.settle(bench.database.ensure_writer, bench.database_task).created
    assert bench.settle(bench.database.await_writer, bench.database_task).status == "available"


def test_cluster_that_vanishes_is_said_to_have_vanished(bench: ActivityHarness) -> None:
    problem = stopped(bench, bench.database.ensure_writer, bench.database_task)

    assert problem.code == "byok.Vanished"


def test_evidence_that_does_not_hold_names_what_differs(bench: ActivityHarness) -> None:
    bench.build()
    bucket = bench.plan.buckets[0].name
    aes = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}
    bench.aws.operator("s3").put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=aes)
    storage = stopped(bench, bench.evidence.collect_evidence, bench.plan)
    bench.aws.operator("rds").modify_db_cluster(
        DBClusterIdentifier=bench.plan.cluster.identifier, DeletionProtection=False, ApplyImmediately=True
    )

    both = stopped(bench, bench.evidence.collect_evidence, bench.plan)

    assert storage.code == both.code == "byok.VerificationFailed"  # contract 98
    assert "algorithm is 'AES256' and not 'aws:kms'" in storage.message
    assert "deletion_protection is False and not True" in both.message, "always the same one of two"


def test_reason_that_head_hides_is_asked_for(bench: ActivityHarness) -> None:
    bench.build()
    bench.aws.customer("kms").disable_key(KeyId=bench.plan.environment.s3_key_arn)

    again = stopped(bench, bench.storage.ensure_bucket, bench.storage_task())
    verifying = stopped(bench, bench.evidence.collect_evidence, bench.plan)

    assert again.code == verifying.code == "s3.KMS.DisabledException"


def test_role_without_the_permission_is_the_operators_problem(bench: ActivityHarness) -> None:
    iam = bench.aws.operator("iam")
    iam.delete_role_policy(RoleName=PLATFORM_ROLE, PolicyName="platform")

    problem = stopped(bench, bench.storage.ensure_bucket, bench.storage_task())

    assert (problem.code, problem.key) == ("s3.403", None)
    assert "customer has nothing to do" in problem.remediation.lower()


def test_bucket_keeps_everybody_out_that_does_not_belong(bench: ActivityHarness) -> None:
    bench.settle(bench.storage.ensure_bucket, bench.storage_task())

    s3, name = bench.aws.operator("s3"), bench.plan.buckets[0].name
    block = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    ownership = s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"]
    assert set(block.values()) == {True}
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    with pytest.raises(s3.exceptions.ClientError) as caught:
        s3.put_object(Bucket=name, Key="x", Body=b"x", ServerSideEncryption="AES256")
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
