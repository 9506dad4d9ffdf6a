"""RDS's responses when it cannot use a key, in the local AWS emulator or, with `--aws real`, in real AWS.

With real AWS, the tests use the AWS profiles `platform` (the platform role) and `byok` (a key administrator in
another account). The tests schedule their keys for deletion, after which the keys cost nothing, and delete all clusters
that AWS creates.
"""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from byok.domain.iam.statements import Statement, build_rds_key_statements, build_s3_key_statements
from tests.localaws.parity import OTHER_REGION, TwoAccounts
from tests.localaws.server import VENDOR

SENTENCE = "The specified KMS key [{}] either doesn't exist, isn't enabled, or isn't accessible by the current user."


def try_create_cluster(both: TwoAccounts, key_arn: str) -> tuple[str, Any]:
    """Try to create a cluster with a key. Return the cluster's name, together with the cluster or the error."""
    name = f"byok-parity-{uuid.uuid4().hex[:12]}"
    try:
        made = both.platform_client("rds").create_db_cluster(
            DBClusterIdentifier=name,
            Engine="aurora-postgresql",
            MasterUsername="byok",
            MasterUserAuthenticationType="iam-db-auth",
            EnableIAMDatabaseAuthentication=True,
            StorageEncrypted=True,
            KmsKeyId=key_arn,
        )
    except ClientError as error:
        return name, error
    return name, made["DBCluster"]


def _nonexistent(both: TwoAccounts) -> str:
    return f"arn:aws:kms:{both.region}:{both.customer_account}:key/{uuid.uuid4()}"


def _elsewhere(both: TwoAccounts) -> str:
    return both.create_key(*both.build_rds_statements(), region=OTHER_REGION)


def _disable(both: TwoAccounts) -> str:
    arn = both.create_key(*both.build_rds_statements())
    both.customer_client("kms").disable_key(KeyId=arn)
    return arn


def _pending_deletion(both: TwoAccounts) -> str:
    arn = both.create_key(*both.build_rds_statements())
    both.customer_client("kms").schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    return arn


def _pending_import(both: TwoAccounts) -> str:
    return both.create_key(*both.build_rds_statements(), Origin="EXTERNAL")


def _rsa(both: TwoAccounts) -> str:
    return both.create_key(*both.build_rds_statements(), KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")


def _hmac(both: TwoAccounts) -> str:
    return both.create_key(*both.build_rds_statements(), KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")


def _no_statement(both: TwoAccounts) -> str:
    return both.create_key()


def _s3_statement(both: TwoAccounts) -> str:
    return both.create_key(*build_s3_key_statements(both.role_arn, both.region, VENDOR))


def _no_grants(both: TwoAccounts) -> str:
    return both.create_key(both.build_rds_statements()[0])


def _no_describe(both: TwoAccounts) -> str:
    return both.create_key(both.build_rds_statements()[1])


def _service_of_other_region(both: TwoAccounts) -> str:
    return both.create_key(*build_rds_key_statements(both.role_arn, "eu-west-1", VENDOR))


def _explicit_deny(both: TwoAccounts) -> str:
    deny: Statement = {
        "Sid": "No",
        "Effect": "Deny",
        "Principal": {"AWS": both.role_arn},
        "Action": "kms:CreateGrant",
        "Resource": "*",
    }
    return both.create_key(*both.build_rds_statements(), deny)


# contract 86-91, 93, 99
@pytest.mark.parametrize(
    "broken",
    [
        _nonexistent,
        _elsewhere,
        _disable,
        _pending_deletion,
        _pending_import,
        _rsa,
        _hmac,
        _no_statement,
        _s3_statement,
        _no_grants,
        _no_describe,
        _service_of_other_region,
        _explicit_deny,
    ],
)
def test_unusable_key_is_a_single_error_that_names_the_key_and_leaves_nothing(
    accounts: TwoAccounts, broken: Callable[[TwoAccounts], str]
) -> None:
    arn = broken(accounts)
    name, answer = try_create_cluster(accounts, arn)
    assert isinstance(answer, ClientError), answer
    assert answer.response["Error"]["Code"] == "KMSKeyNotAccessibleFault"
    assert answer.response["Error"]["Message"] == SENTENCE.format(arn)
    assert answer.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    with pytest.raises(accounts.platform_client("rds").exceptions.DBClusterNotFoundFault):
        accounts.platform_client("rds").describe_db_clusters(DBClusterIdentifier=name)


# contract 92, 121
def test_usable_key_is_granted_to_rds_and_reported_with_its_encryption_type(accounts: TwoAccounts) -> None:
    arn = accounts.create_key(*accounts.build_rds_statements())
    name, cluster = try_create_cluster(accounts, arn)
    assert not isinstance(cluster, ClientError), cluster
    try:
        assert (cluster["Status"], cluster["StorageEncrypted"]) == ("creating", True)
        assert (cluster["KmsKeyId"], cluster["StorageEncryptionType"]) == (arn, "sse-kms")
        grants = accounts.customer_client("kms").list_grants(KeyId=arn)["Grants"]
        assert len(grants) >= 1
        assert {"Decrypt", "GenerateDataKey", "CreateGrant"} <= {one for grant in grants for one in grant["Operations"]}
    finally:
        _await_available(accounts, name)
        accounts.platform_client("rds").delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def test_existing_name_is_refused_and_changes_nothing(accounts: TwoAccounts) -> None:
    arn = accounts.create_key(*accounts.build_rds_statements())
    name, first = try_create_cluster(accounts, arn)
    with pytest.raises(accounts.platform_client("rds").exceptions.DBClusterAlreadyExistsFault) as refusal:
        accounts.platform_client("rds").create_db_cluster(
            DBClusterIdentifier=name, Engine="aurora-postgresql", MasterUsername="other", MasterUserPassword="x" * 12
        )
    assert refusal.value.response["Error"]["Code"] == "DBClusterAlreadyExistsFault"
    now = accounts.platform_client("rds").describe_db_clusters(DBClusterIdentifier=name)["DBClusters"][0]
    assert [now[member] for member in ("DbClusterResourceId", "KmsKeyId", "MasterUsername")] == [
        first[member] for member in ("DbClusterResourceId", "KmsKeyId", "MasterUsername")
    ]
    _await_available(accounts, name)
    accounts.platform_client("rds").delete_db_cluster(DBClusterIdentifier=name, SkipFinalSnapshot=True)


def _await_available(accounts: TwoAccounts, name: str) -> None:
    waiter = accounts.platform_client("rds").get_waiter("db_cluster_available")
    if not accounts.real:
        waiter.config.delay, waiter.config.max_attempts = 0.02, 500
    waiter.wait(DBClusterIdentifier=name)
