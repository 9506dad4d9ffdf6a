"""Tests every cell of docs/what-happens-when.md: after an action on a key, a resource works or fails as documented.

The expected problem codes come from the page's data, `byok.domain.key_owner_acts`. Each test is parametrized with the
acts, so that a test id such as `test_existing_objects[disable]` names one cell.
"""

from typing import Any, Final

import pytest

from byok.domain.key_owner_acts import ACTS, CELLS, Act, Resource
from tests.localaws.key_owner import KeyOwner, create_owner, find_problem_code
from tests.localaws.server import REGION, AwsHarness
from tests.localaws.test_rds_clusters import NAME, build_cluster_params, get_status
from tests.localaws.test_rds_restores import RESTORED, RESTORES, create_snapshot, let_role_restore

BUCKET: Final = "an-environment"
UNDOABLE: Final = [act for act in Act if ACTS[act].undoable]


def list_tested_acts(resource: Resource) -> list[Act]:
    """List the acts whose effect on a resource is tested."""
    return [act for act in Act if CELLS[act, resource].tested]


@pytest.fixture
def instant(aws: AwsHarness) -> AwsHarness:
    """The local AWS emulator, with databases that change their status immediately."""
    aws.call_control("POST", "settings", database_seconds=0)
    return aws


def create_bucket_with_object(owner: KeyOwner) -> Any:
    """Create a bucket with one object and with the owner's key as the default key, and return the S3 client."""
    s3 = owner.aws.platform_client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": owner.key}
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    s3.put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.put_object(Bucket=BUCKET, Key="existing", Body=b"x")
    return s3


def create_cluster(aws: AwsHarness, act: Act, **changed: Any) -> KeyOwner:
    """Create a cluster that is encrypted with a key, and return the key's owner."""
    owner = create_owner(aws, aws.create_rds_key, act)
    aws.platform_client("rds").create_db_cluster(**build_cluster_params(owner.key, **changed))
    assert get_status(aws.platform_client("rds")) == "available"
    return owner


def act_on_cluster_key(owner: KeyOwner, act: Act) -> None:
    """Perform an action on a cluster's key.

    Before the action, a status request lets the cluster detect the state of the key.
    """
    owner.prepare(act)
    get_status(owner.aws.platform_client("rds"))
    owner.perform(act)


def find_status_code(aws: AwsHarness) -> str:
    """Return the problem code that byok reports for the cluster's status, or "" if the cluster is available."""
    status = get_status(aws.platform_client("rds"))
    return "" if status == "available" else f"rds.{status}"


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.OBJECTS))
def test_existing_objects(aws: AwsHarness, act: Act) -> None:
    owner = create_owner(aws, aws.create_s3_key, act)
    s3 = create_bucket_with_object(owner)
    assert owner.kms.list_grants(KeyId=owner.key)["Grants"] == []
    owner.prepare(act)

    owner.perform(act)

    found = find_problem_code("s3", s3.get_object, Bucket=BUCKET, Key="existing")
    assert found == CELLS[act, Resource.OBJECTS].code


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.WRITES))
def test_new_objects(aws: AwsHarness, act: Act) -> None:
    owner = create_owner(aws, aws.create_s3_key, act)
    s3 = create_bucket_with_object(owner)
    owner.prepare(act)

    owner.perform(act)

    found = find_problem_code("s3", s3.put_object, Bucket=BUCKET, Key="new", Body=b"x")
    assert found == CELLS[act, Resource.WRITES].code
    if not found:
        assert s3.get_object(Bucket=BUCKET, Key="new")["SSEKMSKeyId"] == owner.key


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.RUNNING_CLUSTER))
def test_running_cluster(instant: AwsHarness, act: Act) -> None:
    owner = create_cluster(instant, act)

    act_on_cluster_key(owner, act)

    assert find_status_code(instant) == CELLS[act, Resource.RUNNING_CLUSTER].code


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.STOPPED_CLUSTER))
def test_stopped_cluster(instant: AwsHarness, act: Act) -> None:
    owner, rds = create_cluster(instant, act), instant.operator_client("rds")
    rds.stop_db_cluster(DBClusterIdentifier=NAME)

    act_on_cluster_key(owner, act)

    assert get_status(rds) == "stopped"
    found = find_problem_code("rds", rds.start_db_cluster, DBClusterIdentifier=NAME)
    assert found == CELLS[act, Resource.STOPPED_CLUSTER].code
    assert get_status(rds) == ("stopped" if found else "available")


def restore_after(aws: AwsHarness, act: Act, operation: str) -> str:
    """Perform an action and restore the cluster. Return the problem code, or "" if the cluster is available."""
    let_role_restore(aws)
    owner, rds = create_cluster(aws, act), aws.platform_client("rds")
    create_snapshot(aws)
    act_on_cluster_key(owner, act)
    found = find_problem_code("rds", getattr(rds, operation), DBClusterIdentifier=RESTORED, **RESTORES[operation])
    restored = [one for one in rds.describe_db_clusters()["DBClusters"] if one["DBClusterIdentifier"] == RESTORED]
    statuses = [(one["Status"], one["KmsKeyId"]) for one in restored]
    assert statuses == ([] if found else [("available", owner.key)])
    return found


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.SNAPSHOTS))
def test_snapshots(instant: AwsHarness, act: Act) -> None:
    found = restore_after(instant, act, "restore_db_cluster_from_snapshot")

    assert found == CELLS[act, Resource.SNAPSHOTS].code


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.BACKUPS))
def test_automated_backups(instant: AwsHarness, act: Act) -> None:
    found = restore_after(instant, act, "restore_db_cluster_to_point_in_time")

    assert found == CELLS[act, Resource.BACKUPS].code


# contract 145
@pytest.mark.parametrize("act", list_tested_acts(Resource.SECRET))
def test_managed_password(instant: AwsHarness, act: Act) -> None:
    operator = instant.operator_client("kms")
    platform_key = operator.create_key()["KeyMetadata"]["Arn"]
    managed = {"ManageMasterUserPassword": True, "MasterUserSecretKmsKeyId": platform_key}
    owner = create_cluster(instant, act, MasterUserAuthenticationType=None, **managed)

    act_on_cluster_key(owner, act)

    cluster = instant.platform_client("rds").describe_db_clusters()["DBClusters"][0]
    secret = cluster["MasterUserSecret"]
    assert (secret["SecretStatus"], secret["KmsKeyId"]) == ("active", platform_key)
    assert find_problem_code("kms", operator.generate_data_key, KeyId=secret["KmsKeyId"], KeySpec="AES_256") == ""
    assert CELLS[act, Resource.SECRET].code == ""


# contract 145
@pytest.mark.parametrize("act", Act)
def test_aurora_key_check(instant: AwsHarness, act: Act) -> None:
    """A check of the Aurora key creates a cluster without instances. A check of the S3 key writes a new object."""
    owner = create_owner(instant, instant.create_rds_key, act)
    owner.prepare(act)

    owner.perform(act)

    create = instant.platform_client("rds").create_db_cluster
    assert find_problem_code("rds", create, **build_cluster_params(owner.key)) == ACTS[act].aurora_check


# contract 145
@pytest.mark.parametrize("act", UNDOABLE)
def test_undo(instant: AwsHarness, act: Act) -> None:
    s3_owner = create_owner(instant, instant.create_s3_key, act)
    s3 = create_bucket_with_object(s3_owner)
    s3_owner.prepare(act)
    before = s3_owner.get_policy()
    s3_owner.perform(act)

    s3_owner.undo(act, before)

    assert s3.get_object(Bucket=BUCKET, Key="existing")["Body"].read() == b"x"


# contract 145
@pytest.mark.parametrize("act", UNDOABLE)
def test_cluster_works_after_undo_and_start(instant: AwsHarness, act: Act) -> None:
    owner, rds = create_cluster(instant, act), instant.operator_client("rds")
    before = owner.get_policy()
    act_on_cluster_key(owner, act)
    lost = find_status_code(instant)

    owner.undo(act, before)

    assert find_status_code(instant) == lost == CELLS[act, Resource.RUNNING_CLUSTER].code
    if lost:
        rds.start_db_cluster(DBClusterIdentifier=NAME)
    assert find_status_code(instant) == ""
